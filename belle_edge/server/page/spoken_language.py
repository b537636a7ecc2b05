"""In which language a text is, for the right glyphs on the page: by its letters, since that is all that glyphs need."""

from __future__ import annotations

_SAMPLE = 2000  # characters
_SPANISH = frozenset("ñáéíóúü¿¡ÑÁÉÍÓÚÜ")


def language_of(text: str) -> str:
    """As in HTML's `lang`: zh, ja, ko, es, en; empty where there are no letters."""
    sample = text[:_SAMPLE]
    n_han = sum("\u3400" <= c <= "\u9fff" or "\U00020000" <= c <= "\U0003ffff" for c in sample)
    n_kana = sum("\u3040" <= c <= "\u30ff" for c in sample)
    n_hangul = sum("\uac00" <= c <= "\ud7af" for c in sample)
    n_latin = sum(c.isascii() and c.isalpha() for c in sample)
    if n_hangul > n_han + n_kana and n_hangul * 4 > n_latin:
        return "ko"
    if n_kana * 4 > n_han and n_kana:
        return "ja"
    if n_han and n_han * 8 > n_latin:
        return "zh"
    if not n_latin:
        return ""
    return "es" if any(c in _SPANISH for c in sample) else "en"
