"""What a comparison found: numbers and texts alone, as JSON and back. Nothing of where or when it was made."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ...strict_json import parse
from .result_json import dumped, loaded, refused

ALL = "all"  # the language under which the numbers of all texts together are
Kind = Literal["checkpoint", "gguf"]
Engine = Literal["reference", "native", "llama.cpp"]
Level = Literal["identical", "close", "changed", "damaged"]


@dataclass(frozen=True)
class Side:
    """A model that was compared."""

    name: str  # of the file or folder, without where it is
    kind: Kind
    type: str  # of the matrices: "f16", "q4_0", "mixed"
    n_bytes: int  # of its weights
    engine: Engine  # "reference": the float model, streamed layer by layer

    def __post_init__(self) -> None:
        _one_of("kind", self.kind, ("checkpoint", "gguf"))
        _one_of("engine", self.engine, ("reference", "native", "llama.cpp"))
        _counts(n_bytes=self.n_bytes)


@dataclass(frozen=True)
class TextSet:
    """The texts of one language out of one file."""

    language: str
    name: str  # of the file, without where it is; of the bundled texts "belle-edge:zh"
    sha256: str  # of the token ids
    n_records: int
    n_tokens: int

    def __post_init__(self) -> None:
        _counts(n_records=self.n_records, n_tokens=self.n_tokens)


@dataclass(frozen=True)
class Histogram:
    """How many values lie below the first edge, between each two edges, and from the last one up."""

    edges: tuple[float, ...]  # rising
    counts: tuple[int, ...]  # [len(edges) + 1]

    def __post_init__(self) -> None:
        if len(self.counts) != len(self.edges) + 1:
            raise refused("histogram", f"{len(self.edges) + 1} counts", len(self.counts))
        if list(self.edges) != sorted(set(self.edges)):
            raise refused("histogram", "rising edges", list(self.edges))
        _counts(**{f"count {place}": n for place, n in enumerate(self.counts)})


@dataclass(frozen=True)
class Measures:
    """Of the next tokens after `n_tokens` positions. KL is KL(reference || candidate), in nats."""

    n_tokens: int
    kl_mean: float
    kl_error: float  # standard error of the mean
    kl_median: float
    kl_99: float  # 99th percentile
    kl_max: float
    kl_histogram: Histogram
    top1: float  # share of positions where both find the same token the most probable
    top5: float  # mean share of the reference's five most probable tokens that are the candidate's, too
    perplexity: float  # of the candidate; this and its errors are infinite where it is too large for a float
    perplexity_error: float
    reference_perplexity: float
    reference_perplexity_error: float
    ratio_error: float  # standard error of perplexity / reference_perplexity: less than the two errors say
    n_broken: int = 0  # positions with no numbers at all (NaN); they count as if every token were as probable

    def __post_init__(self) -> None:
        _counts(n_tokens=self.n_tokens, n_broken=self.n_broken)
        _shares(top1=self.top1, top5=self.top5)
        for name in ("kl_mean", "kl_error", "kl_median", "kl_99", "kl_max"):
            if not math.isfinite(value := getattr(self, name)):
                raise refused(name, "a finite number", value)

    @property
    def ratio(self) -> float:
        """perplexity / reference_perplexity"""
        return self.perplexity / self.reference_perplexity


@dataclass(frozen=True)
class Share:
    """`same` of `of`."""

    same: int
    of: int

    def __post_init__(self) -> None:
        _counts(same=self.same, of=self.of)
        if self.same > self.of:
            raise refused("share", f"at most {self.of}", self.same)

    @property
    def changed(self) -> int:
        return self.of - self.same


@dataclass(frozen=True)
class LayerError:
    """|candidate - reference| / |reference| of what comes out of a layer, the mean over some tokens."""

    layer: int  # from 0
    error: float  # infinite where the candidate has no numbers

    def __post_init__(self) -> None:
        _counts(layer=self.layer)
        if not self.error >= 0:
            raise refused("layer error", "a number from 0", self.error)


@dataclass(frozen=True)
class WorstPrompt:
    """A prompt whose answer moved most."""

    language: str
    prompt: str
    kl: float  # mean over the positions of its answer
    reference_answer: str | None  # greedy, the first tokens; None: none was asked for
    answer: str | None
    first_difference: (
        int | None
    )  # characters that the answers have in common; None: they are the same, or none


@dataclass(frozen=True)
class Verdict:
    """How much of the original is left (verdict.py has the rule). The sentence about it is made where it is shown."""

    level: Level
    n: int  # answers that change their first word
    of: int  # of so many

    def __post_init__(self) -> None:
        _one_of("level", self.level, ("identical", "close", "changed", "damaged"))
        _counts(n=self.n, of=self.of)
        if self.n > self.of:
            raise refused("verdict", f"at most {self.of}", self.n)


@dataclass(frozen=True)
class Candidate:
    """One model against the reference."""

    side: Side
    languages: Mapping[str, Measures]  # "all" first, then in the order of the texts
    first_words: Share  # prompts whose greedy answer begins with the same token
    layers: tuple[LayerError, ...]  # empty: not computed
    worst: tuple[WorstPrompt, ...]  # the worst one first
    verdict: Verdict

    def __post_init__(self) -> None:
        if ALL not in self.languages:
            raise refused("candidate", f'measures of "{ALL}"', list(self.languages))


@dataclass(frozen=True)
class Comparison:
    """All of a comparison."""

    reference: Side
    candidates: tuple[Candidate, ...]
    texts: tuple[TextSet, ...]

    def to_json(self) -> str:
        """One line. A number that is infinite becomes null."""
        return dumped(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> Comparison:
        """Inverse of `to_json`. ValueError says where it is not one, and what was expected."""
        return loaded(cls, parse(text), "comparison")


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise refused(name, f"one of {', '.join(known)}", value)


def _counts(**values: int) -> None:
    for name, value in values.items():
        if value < 0:
            raise refused(name, "a number from 0", value)


def _shares(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise refused(name, "a number from 0 to 1", value)
