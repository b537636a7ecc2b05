"""The page in one language: its texts, and numbers as its readers write them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...languages import LANGUAGES, Translator, msg, translator
from .markup import line

_TAGS = {"zh": "zh-CN"}  # values of `lang` that choose the right glyphs
_SMALLEST = 1e-6  # what is below it is written so
_NAMES = {
    "all": msg("All texts"),
    "zh": msg("Chinese"),
    "en": msg("English"),
    "es": msg("Spanish"),
    "other": msg("other languages"),
}


@dataclass(frozen=True)
class Speech:
    """How to say things in one of LANGUAGES."""

    translator: Translator

    @classmethod
    def of(cls, language: str) -> Speech:
        """ValueError for another language."""
        return cls(translator(language))

    @property
    def language(self) -> str:
        return self.translator.language

    def t(self, text: str, /, **values: object) -> str:
        """`text` in this language, with `values` in place of its `{name}`s."""
        return self.translator.text(text, **values)

    def tn(self, one: str, several: str, /, *, n: int, **values: object) -> str:
        """As `t`, in the form for the number n."""
        return self.translator.plural(one, several, n=n, **values)

    @property
    def tag(self) -> str:
        """The value of the attribute `lang`."""
        return lang_tag(self.language)

    def language_name(self, language: str) -> str:
        """Of texts: "zh" -> "Chinese"; what is not known stays as it is."""
        name = _NAMES.get(language)
        return line(language, 24) if name is None else self.translator.text(name)

    def language_heading(self, language: str) -> str:
        """The same where a line begins with it."""
        name = self.language_name(language)
        return name[:1].upper() + name[1:]

    def count(self, n: int) -> str:
        return self._local(f"{n:,}")

    def percent(self, share: float) -> str:
        """Of 1, with one decimal; two near the ends, so that only everything is 100%."""
        parts = share * 100
        near = 0 < parts < 0.1 or 99.9 < parts < 100
        text = f"{min(max(parts, 0.01), 99.99):.2f}" if near else f"{parts:.1f}".removesuffix(".0")
        return self._local(text) + self._percent_sign

    def part(self, share: float) -> str:
        """As `percent`, with two digits that count: 0.0012%, 45%, 250%."""
        return self.small(share * 100) + self._percent_sign

    def part_tick(self, share: float) -> str:
        """As `part`, for a round number: 0.1%, 20%."""
        return self.plain(share * 100) + self._percent_sign

    def plain(self, value: float) -> str:
        """A round number: 2, 0.5, 1,000."""
        return self._local(f"{value:,.10g}")

    def small(self, value: float, digits: int = 2) -> str:
        """A number from 0 with so many digits that count: 0.0012, 3.4, 120."""
        if not math.isfinite(value):
            return "∞"
        if value == 0:
            return "0"
        if value < _SMALLEST:
            return "<\u00a0" + self._local(f"{_SMALLEST:.6f}")
        return self._local(f"{value:,.{_decimals(value, digits)}f}")

    def with_error(self, value: float, error: float) -> str:
        """0.0123 ± 0.0004, 2,400,000 ± 400,000: the value to the digits that its error leaves."""
        if not (math.isfinite(value) and math.isfinite(error)) or error < _SMALLEST or value < _SMALLEST:
            return self.small(value, 3)
        decimals = min(max(_place(error, 1), _place(value, 2)), 6)
        value, error = round(value, decimals), round(error, decimals)
        return self._local(f"{value:,.{max(decimals, 0)}f}\u00a0±\u00a0{error:,.{max(decimals, 0)}f}")

    def size(self, n_bytes: int) -> str:
        """Of files: 4.1 MB, 3.93 GB; powers of 1000."""
        for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
            if n_bytes >= factor:
                number = f"{n_bytes / factor:.{_decimals(n_bytes / factor, 3)}f}"
                return (
                    self._local(number.rstrip("0").rstrip(".") if "." in number else number) + f"\u00a0{unit}"
                )
        return f"{n_bytes}\u00a0B"

    @property
    def _percent_sign(self) -> str:
        return "\u00a0%" if self.language == "es" else "%"

    def _local(self, number: str) -> str:
        if self.language != "es":
            return number
        return number.translate(str.maketrans(",.", "\u202f,"))


def lang_tag(language: str) -> str:
    """The value of `lang` for one of LANGUAGES."""
    return _TAGS.get(language, language)


def text_lang(language: str) -> str:
    """The value of `lang` for a text; "" says that its language is not known."""
    return lang_tag(language) if language in LANGUAGES else ""


def _place(value: float, digits: int) -> int:
    """Decimals that show so many digits of a number above 0; below 0 for tens, hundreds, …"""
    return digits - 1 - math.floor(math.log10(value))


def _decimals(value: float, digits: int) -> int:
    return max(0, _place(value, digits))
