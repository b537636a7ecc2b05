"""The characters of each language, as Unicode ranges and letters: data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from belle_edge.errors import ConversionError

Range = tuple[int, int]  # first and last code point
Characters = tuple[Range | str, ...]  # ranges, and strings of single letters (both cases are meant)

# Kept for every language: programs, numbers, formulas and emoji occur in all of them.
ALWAYS: Characters = (
    (0x0000, 0x007F),  # ASCII
    (0x0080, 0x00BF),  # Latin-1 controls, spaces, punctuation and symbols: § ° ± « » …
    (0x00D7, 0x00D7),  # ×
    (0x00F7, 0x00F7),  # ÷
    (0x0370, 0x03FF),  # Greek, for formulas
    (0x2000, 0x206F),  # general punctuation: dashes, quotes, the joiners of emoji and Indic scripts
    (0x2070, 0x20CF),  # superscripts, subscripts, currencies
    (0x20D0, 0x20FF),  # marks that enclose: keycaps
    (0x2100, 0x218F),  # letter-like symbols, fractions, Roman numerals
    (0x2190, 0x23FF),  # arrows, mathematical operators, technical signs
    (0x2400, 0x27BF),  # enclosed numbers, box drawing, geometric shapes, symbols, dingbats
    (0x27C0, 0x27FF),  # more of mathematics and arrows
    (0x2900, 0x2BFF),  # and again
    (0x3000, 0x3000),  # the ideographic space
    (0xFE00, 0xFE0F),  # variation selectors
    (0xFEFF, 0xFEFF),  # the byte order mark
    (0xFFFC, 0xFFFD),  # replacement characters
    (0x1F000, 0x1FAFF),  # emoji, from mahjong tiles to the latest
    (0xE0020, 0xE007F),  # the tags in flags
)

_MARKS = (0x0300, 0x036F)  # combining diacritics: letters may come in two parts
_CJK_PUNCTUATION: Characters = (
    (0x3000, 0x303F),
    (0x3200, 0x33FF),  # enclosed and squared
    (0xFE10, 0xFE1F),  # vertical forms
    (0xFE30, 0xFE6F),  # compatibility and small forms
    (0xFF00, 0xFFEF),  # full and half width
)
_HAN: Characters = (
    (0x2E80, 0x2FFF),  # radicals, description characters
    (0x31C0, 0x31EF),  # strokes
    (0x3400, 0x9FFF),  # extension A, hexagrams, unified ideographs
    (0xF900, 0xFAFF),  # compatibility ideographs
    (0x20000, 0x323AF),  # extensions B to I
    *_CJK_PUNCTUATION,
)
_ARABIC: Characters = (
    (0x0600, 0x06FF),
    (0x0750, 0x077F),
    (0x08A0, 0x08FF),
    (0xFB50, 0xFDFF),
    (0xFE70, 0xFEFE),
)
_DEVANAGARI: Characters = ((0x0900, 0x097F), (0x1CD0, 0x1CFF), (0xA8E0, 0xA8FF))
_DANDA: Range = (0x0964, 0x0965)
_BENGALI: Characters = (_DANDA, (0x0980, 0x09FF))

LANGUAGES: Mapping[str, Characters] = {
    "ar": _ARABIC,
    "as": _BENGALI,
    "bn": _BENGALI,
    "ca": (_MARKS, "àçèéíïòóúüŀ"),
    "de": (_MARKS, "äöüßẞ"),
    "en": (),
    "es": (_MARKS, "áéíñóúü"),
    "eu": (_MARKS, "çñü"),
    "fr": (_MARKS, "àâæçèéêëîïôœùûüÿ"),
    "gu": (_DANDA, (0x0A80, 0x0AFF)),
    "hi": _DEVANAGARI,
    "id": (_MARKS, "é"),
    "it": (_MARKS, "àèéìíîòóùú"),
    "ja": (*_HAN, (0x3040, 0x30FF), (0x31F0, 0x31FF), (0x1B000, 0x1B16F)),
    "kn": (_DANDA, (0x0C80, 0x0CFF)),
    "ko": (*_CJK_PUNCTUATION, (0x1100, 0x11FF), (0x3130, 0x318F), (0xA960, 0xA97F), (0xAC00, 0xD7FB)),
    "ml": (_DANDA, (0x0D00, 0x0D7F)),
    "mr": _DEVANAGARI,
    "ne": _DEVANAGARI,
    "nl": (_MARKS, "áäéèëíïóöúüĳ"),
    "or": (_DANDA, (0x0B00, 0x0B7F)),
    "pa": (_DANDA, (0x0A00, 0x0A7F)),
    "pl": (_MARKS, "ąćęłńóśźż"),
    "pt": (_MARKS, "áâãàçéêíóôõúü"),
    "ru": (_MARKS, (0x0400, 0x04FF)),
    "sw": (),
    "ta": (_DANDA, (0x0B80, 0x0BFF)),
    "te": (_DANDA, (0x0C00, 0x0C7F)),
    "th": ((0x0E00, 0x0E7F),),
    "tr": (_MARKS, "âçğıİîöşûü"),
    "ur": _ARABIC,
    "vi": (_MARKS, "àáâãèéêìíòóôõùúýăđĩũơư", (0x1EA0, 0x1EF9)),
    "yo": (_MARKS, "àáèéìíńǹòóṣùúẹọ"),
    "zh": (*_HAN, (0x3100, 0x312F), (0x31A0, 0x31BF)),  # with bopomofo; pinyin's accents are not among them
}


def language_codes(codes: Iterable[str]) -> tuple[str, ...]:
    """The codes sorted, each once. ConversionError, with the choices, for one that is unknown."""
    found = sorted({code.strip().lower() for code in codes})
    unknown = [code for code in found if code not in LANGUAGES]
    if unknown:
        raise ConversionError(
            f"[vocab] unknown language {unknown[0]!r}: expected some of {', '.join(sorted(LANGUAGES))}"
        )
    return tuple(found)


def characters_of(codes: Sequence[str]) -> frozenset[int]:
    """The code points of texts in these languages."""
    found: set[int] = set()
    for entry in (*ALWAYS, *(entry for code in codes for entry in LANGUAGES[code])):
        if isinstance(entry, str):
            found.update(ord(letter) for text in (entry, entry.upper(), entry.lower()) for letter in text)
        else:
            found.update(range(entry[0], entry[1] + 1))
    return frozenset(found)
