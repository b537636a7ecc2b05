"""Which language is chosen: settings, headers, variables, names that nobody knows."""

from __future__ import annotations

import plistlib
from pathlib import Path

import pytest

from belle_edge.languages import LANGUAGES, chosen, translator
from belle_edge.languages.choice import _of_macos, of_environment, supported


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("zh", "zh"),
        ("zh_CN.UTF-8", "zh"),
        ("zh_TW", "zh"),
        ("zh-Hant-HK", "zh"),
        ("es_MX.UTF-8", "es"),
        ("ES", "es"),
        ("en_US.UTF-8@euro", "en"),
        ("English", "en"),
        ("中文", "zh"),
        ("español", "es"),
        ("fr_FR", None),
        ("zhuang", None),
        ("", None),
        (None, None),
        ("C", None),
    ],
)
def test_names_of_locales(name: str | None, language: str | None) -> None:
    assert supported(name) == language


@pytest.mark.parametrize(
    ("variables", "language"),
    [
        ({"BELLE_LANGUAGE": "es", "LANGUAGE": "zh", "LC_ALL": "C"}, "es"),
        ({"BELLE_LANGUAGE": "fr", "LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANGUAGE": "fr:es:zh", "LANG": "zh_CN.UTF-8"}, "es"),
        ({"LANGUAGE": "zh", "LANG": "C"}, "en"),
        ({"LANGUAGE": "zh", "LANG": "C.UTF-8"}, "zh"),
        ({"LC_ALL": "es_ES.UTF-8", "LC_MESSAGES": "zh_CN.UTF-8", "LANG": "en_US.UTF-8"}, "es"),
        ({"LC_ALL": "", "LC_MESSAGES": "zh_HK.UTF-8", "LANG": "en_US.UTF-8"}, "zh"),
        ({"LANG": "zh_SG"}, "zh"),
        ({"LANG": "xx_YY.UTF-8"}, "en"),
        ({"LANG": "C"}, "en"),
        ({"LANG": "POSIX"}, "en"),
    ],
)
def test_variables(variables: dict[str, str], language: str) -> None:
    assert of_environment(variables) == language
    assert chosen(environment=variables) == language


@pytest.mark.parametrize("system", ["zh_CN", "es-ES", "en", "fr", None])
def test_without_variables_the_system_decides(system: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("belle_edge.languages.choice._of_system", lambda: system)
    assert of_environment({}) == (supported(system) or "en")


@pytest.mark.parametrize(
    ("names", "language"), [(["zh-Hans-CN", "en"], "zh"), (["es-419"], "es"), ([], "en")]
)
def test_macos_says_it_in_the_settings(
    names: list[str], language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "Library" / "Preferences"
    place.mkdir(parents=True)
    (place / ".GlobalPreferences.plist").write_bytes(plistlib.dumps({"AppleLanguages": names}))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert (supported(_of_macos()) or "en") == language


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("fr-FR,fr;q=0.9,es;q=0.3,en;q=0.5", "en"),
        ("de, es;q=0", "zh"),
        ("es;q=nonsense, en;q=0.1", "en"),
        ("*", "zh"),
        (";;;,,,", "zh"),
    ],
)
def test_headers(header: str, language: str) -> None:
    assert chosen(None, header, environment={"LANG": "zh_CN.UTF-8"}) == language


def test_a_setting_comes_before_a_header() -> None:
    assert chosen("es", "zh", environment={}) == "es"
    assert chosen("", "zh", environment={}) == "zh"
    assert chosen("klingon", None, environment={"LANG": "es_ES"}) == "es"


def test_there_is_a_translator_for_each_language_and_no_other() -> None:
    assert [translator(language).language for language in LANGUAGES] == ["zh", "en", "es"]
    with pytest.raises(ValueError, match="expected one of zh, en, es, got 'fr'"):
        translator("fr")
