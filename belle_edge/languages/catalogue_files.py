"""The catalogues: compiled ones (.mo), as a build makes them, or their sources (.po) where Babel can read them.

An installation has the compiled ones. A source tree that was not built, or changed since, compiles in memory if Babel
is there, and speaks English if not.
"""

from __future__ import annotations

import gettext
import io
from functools import cache
from pathlib import Path

DOMAIN = "belle_edge"
FOLDER = Path(__file__).resolve().parent / "catalogues"


def source_path(language: str) -> Path:
    """The .po of a language."""
    return FOLDER / language / "LC_MESSAGES" / f"{DOMAIN}.po"


def compiled_path(language: str) -> Path:
    """The .mo of a language."""
    return source_path(language).with_suffix(".mo")


@cache
def open_catalogue(language: str) -> gettext.NullTranslations:
    """The translations to a language; none where there is no catalogue that can be read."""
    compiled, source = compiled_path(language), source_path(language)
    try:
        if not source.is_file() or source.stat().st_mtime <= compiled.stat().st_mtime:
            with compiled.open("rb") as file:
                return gettext.GNUTranslations(file)
    except OSError:
        pass
    return _from_source(source)


def _from_source(path: Path) -> gettext.NullTranslations:
    try:
        from babel.messages import mofile, pofile

        with path.open("rb") as file:
            catalogue = pofile.read_po(file)
    except (ImportError, OSError):
        return gettext.NullTranslations()
    content = io.BytesIO()
    mofile.write_mo(content, catalogue)
    content.seek(0)
    return gettext.GNUTranslations(content)


def texts(catalogue: gettext.NullTranslations) -> dict[str, str]:
    """English text -> its translation; of plurals each form under the text of its number."""
    found: dict[str | tuple[str, int], str] = getattr(catalogue, "_catalog", {})
    table: dict[str, str] = {}
    for key, translation in found.items():
        if isinstance(key, str):
            table[key] = translation
        else:  # (the English text for one, the number of the form)
            table.setdefault(key[0], translation)
    table.pop("", None)  # the header
    return {english: translation for english, translation in table.items() if translation}
