"""The files of a comparison as the page speaks of them: by a letter, which charts and tables have room for."""

from __future__ import annotations

from dataclasses import dataclass

from ..comparison.result import ALL, Candidate, Comparison, Measures
from .markup import Markup, line, tag

_N_COLOURS = 6  # of styles/base.css


@dataclass(frozen=True)
class Shown:
    """One candidate with its letter; a lone one has none."""

    candidate: Candidate
    index: int
    letter: str

    @property
    def name(self) -> str:
        return line(self.candidate.side.name)

    @property
    def type(self) -> str:
        return line(self.candidate.side.type, 24)

    @property
    def label(self) -> str:
        """For running text: "B (name)", or the name."""
        return f"{self.letter} ({self.name})" if self.letter else self.name

    @property
    def colour(self) -> str:
        """The class of what stands for it in a chart; its dashes and marks tell it apart, too."""
        return f"series s{self.index % _N_COLOURS}"

    @property
    def measures(self) -> Measures:
        """Over all texts."""
        return self.candidate.languages[ALL]

    def badge(self) -> Markup | None:
        return tag("span", self.letter, class_="badge") if self.letter else None


def shown_candidates(comparison: Comparison) -> list[Shown]:
    """In their order, A, B, …, Z, A2, …"""
    several = len(comparison.candidates) > 1
    return [
        Shown(candidate, n, _letter(n) if several else "")
        for n, candidate in enumerate(comparison.candidates)
    ]


def _letter(index: int) -> str:
    round_, place = divmod(index, 26)
    return chr(ord("A") + place) + (str(round_ + 1) if round_ else "")
