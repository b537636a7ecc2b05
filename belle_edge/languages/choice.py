"""Which language: a setting, the environment's variables, what the system says; else English."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping

LANGUAGES = ("zh", "en", "es")
NAMES = {"zh": "中文", "en": "English", "es": "Español"}  # as their speakers call them
VARIABLE = "BELLE_LANGUAGE"
_LOCALE_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")  # the first that is set decides
_MOST_RANGES = 32  # of an Accept-Language header that are looked at
_WINDOWS_LANGUAGES = {0x04: "zh", 0x09: "en", 0x0A: "es"}  # the low ten bits of a language identifier


def supported(name: str | None) -> str | None:
    """The language of a name as "zh_TW.UTF-8", "es-MX", "English"; None for another one, or none."""
    if not name:
        return None
    text = name.strip().lower()
    for language, own_name in NAMES.items():
        if text == own_name.lower():
            return language
    first = text.replace("-", "_").partition(".")[0].partition("@")[0].partition("_")[0]
    return first if first in LANGUAGES else None


def chosen(
    setting: str | None = None,
    accept_language: str | None = None,
    *,
    environment: Mapping[str, str] | None = None,
) -> str:
    """The language for a person: one of LANGUAGES.

    setting: what the person chose. accept_language: the header of a request, where there is one. environment: the
    variables in place of this process's. A name that is not known counts as none.
    """
    if (language := supported(setting)) is not None:
        return language
    if accept_language and (language := next(_accepted(accept_language), None)) is not None:
        return language
    return of_environment(os.environ if environment is None else environment)


def of_environment(environment: Mapping[str, str]) -> str:
    """BELLE_LANGUAGE, then LANGUAGE and the locale as gettext reads them, then what the system says."""
    if (language := supported(environment.get(VARIABLE))) is not None:
        return language
    locale = next((value for name in _LOCALE_VARIABLES if (value := environment.get(name))), None)
    if locale in ("C", "POSIX"):  # plain output was asked for: gettext ignores LANGUAGE there, too
        return "en"
    for name in (environment.get("LANGUAGE") or "").split(":"):
        if (language := supported(name)) is not None:
            return language
    if locale is not None:
        return supported(locale) or "en"
    return supported(_of_system()) or "en"


def _accepted(header: str) -> Iterator[str]:
    """Our languages in an Accept-Language header, the most wanted first."""
    wanted: list[tuple[float, int, str]] = []
    for place, part in enumerate(header.split(",", _MOST_RANGES)[:_MOST_RANGES]):
        name, _, parameters = part.partition(";")
        key, _, number = parameters.partition("=")
        try:
            quality = float(number) if key.strip().lower() == "q" else 1.0
        except ValueError:
            continue
        language = supported(name)
        if language is not None and 0 < quality <= 1:
            wanted.append((-quality, place, language))
    return (language for _, _, language in sorted(wanted))


def _of_system() -> str | None:
    """What Windows and macOS know without variables; None elsewhere."""
    if sys.platform == "win32":
        return _of_windows()
    if sys.platform == "darwin":
        return _of_macos()
    return None


def _of_windows() -> str | None:
    import ctypes

    try:
        identifier = ctypes.windll.kernel32.GetUserDefaultUILanguage()  # type: ignore[attr-defined, unused-ignore]
    except (AttributeError, OSError):
        return None
    return _WINDOWS_LANGUAGES.get(int(identifier) & 0x3FF)


def _of_macos() -> str | None:
    """The first of the languages that the person ordered in the settings."""
    import plistlib
    from pathlib import Path

    try:
        path = Path("~/Library/Preferences/.GlobalPreferences.plist").expanduser()
        settings = plistlib.loads(path.read_bytes())
        names = [*settings.get("AppleLanguages", ()), settings.get("AppleLocale")]
    except (OSError, RuntimeError, ValueError, AttributeError, TypeError):
        return None
    return next((name for name in names if isinstance(name, str)), None)
