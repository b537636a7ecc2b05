"""A model beside its original: how far its answers are from it, in numbers, in words, layer by layer."""

from .result import (
    Candidate,
    Comparison,
    Histogram,
    LayerError,
    Measures,
    Share,
    Side,
    TextSet,
    Verdict,
    WorstPrompt,
)

__all__ = [
    "Candidate",
    "Comparison",
    "Histogram",
    "LayerError",
    "Measures",
    "Share",
    "Side",
    "TextSet",
    "Verdict",
    "WorstPrompt",
]
