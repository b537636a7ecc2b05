"""Comparisons made by hand, with values as they occur: a file at each level, prompts in two languages."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from belle_edge.quality.comparison import (
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

N_TOKENS = 21_044
EDGES = tuple(10 ** (step / 5) for step in range(-30, 6))  # 1e-6 … 10
WORST = (
    WorstPrompt(
        "zh", "列出三种减少塑料污染的方法。", 1.21, "1. 使用环保袋子。\n2. 少用餐具。", "1. 使用环保水杯。", 7
    ),
    WorstPrompt("en", "Which is larger, a third or a quarter?", 0.94, "A，or B.", "The quarter is.", 0),
    WorstPrompt("en", "Write a short greeting.", 0.81, "Hello! How are you?", "Hello!", 6),
    WorstPrompt("en", "Say yes.", 0.7, "Yes.", "Yes.", None),
    WorstPrompt("other", "朝ごはんは？", 0.6, "", "", None),
)
# name, type, bytes, mean KL, share of equal tokens, answers that change of 120, level
FILES = (
    ("belle-demo-q8_0.gguf", "q8_0", 8_204_000, 0.00002, 0.998, 0, "identical"),
    ("belle-demo-iq4_m.gguf", "iq4_m", 4_604_000, 0.012, 0.951, 3, "close"),
    ("belle-demo-q2_k.gguf", "q2_k", 3_404_000, 0.31, 0.82, 31, "changed"),
    ("belle-demo-broken.gguf", "q4_0", 4_304_000, 4.1, 0.19, 97, "damaged"),
)


def comparison(*levels: str, **changes: Any) -> Comparison:
    """Of the files at these levels; of all four where none is named. changes: of every candidate."""
    files = [candidate(*file) for file in FILES if not levels or file[-1] in levels]
    return Comparison(
        Side("belle-demo", "checkpoint", "f16", 15_204_352, "reference"),
        tuple(replace(file, **changes) for file in files),
        (
            TextSet("zh", "belle-edge:zh", "ab" * 32, 80, 14_020),
            TextSet("en", "questions.jsonl", "cd" * 32, 40, 7_024),
        ),
    )


def candidate(
    name: str, type: str, n_bytes: int, kl: float, top1: float, n_changed: int, level: Any
) -> Candidate:
    return Candidate(
        Side(name, "gguf", type, n_bytes, "native"),
        {
            "all": measures(kl, top1),
            "zh": measures(0.9 * kl, top1, 14_020),
            "en": measures(1.2 * kl, top1, 7_024),
        },
        Share(120 - n_changed, 120),
        tuple(LayerError(layer, math.sqrt(kl) * (0.2 + 0.06 * layer)) for layer in range(12)),
        WORST,
        Verdict(level, n_changed, 120),
    )


def measures(kl: float, top1: float, n_tokens: int = N_TOKENS, width: float = 1.6) -> Measures:
    """Divergences as they spread over tokens: the logarithm is about normal, `width` wide."""
    median = kl / math.exp(width * width / 2)
    return Measures(
        n_tokens=n_tokens,
        kl_mean=kl,
        kl_error=kl * 0.05,
        kl_median=median,
        kl_99=median * math.exp(2.33 * width),
        kl_max=median * math.exp(4 * width),
        kl_histogram=Histogram(EDGES, spread_counts(median, width, n_tokens)),
        top1=top1,
        top5=top1**0.7,
        perplexity=12.4 * (1 + 0.8 * kl),
        perplexity_error=0.31,
        reference_perplexity=12.4,
        reference_perplexity_error=0.3,
        ratio_error=0.004,
    )


def spread_counts(median: float, width: float, n: int) -> tuple[int, ...]:
    below = [round(n * 0.5 * math.erfc(-math.log(edge / median) / width / math.sqrt(2))) for edge in EDGES]
    return tuple(after - before for before, after in zip([0, *below], [*below, n], strict=True))
