"""How a comparison is made, and the stages that it goes through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...convert.sources.opening_options import SourceOptions
from ...settings import integer, threads_or_all
from .compare_defaults import DEFAULT_ANSWER, DEFAULT_TOKENS, DEFAULT_WORST
from .opened_models import STREAMED

BACKENDS = ("native", "llama.cpp", STREAMED)
Progress = Callable[[str, int, int], None]  # a stage of compare_defaults.py, done, in all


@dataclass(frozen=True)
class CompareOptions:
    """How a comparison is made. ValueError for a number out of range."""

    backend: str = "native"  # that candidates run on
    max_tokens: int = DEFAULT_TOKENS  # that are read
    worst: int = DEFAULT_WORST  # prompts that are shown
    answer_tokens: int = DEFAULT_ANSWER  # of their answers; 0: none are written
    family: str | None = None  # prompt family, in place of the one recognised
    source: SourceOptions | None = None  # how a checkpoint is opened
    threads: int = 0  # 0: every usable processor

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            raise ValueError(f"[compare] unknown backend '{self.backend}' (known: {', '.join(BACKENDS)})")
        integer("[compare] max_tokens", self.max_tokens, low=2)
        integer("[compare] worst", self.worst, low=0)
        integer("[compare] answers", self.answer_tokens, low=0, high=1024)
        threads_or_all("[compare] threads", self.threads)


@dataclass(frozen=True)
class Stage:
    """What took time."""

    name: str  # LAYERS, LOGITS or ANSWERS
    n_tokens: int
    seconds: float
