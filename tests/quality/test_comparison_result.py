"""What a comparison found: its JSON comes back as it was, and what is no comparison is refused with its place."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

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

MEASURES = Measures(
    n_tokens=30,
    kl_mean=0.02,
    kl_error=0.001,
    kl_median=0.01,
    kl_99=0.3,
    kl_max=0.5,
    kl_histogram=Histogram((0.001, 0.1), (20, 8, 2)),
    top1=0.9,
    top5=0.94,
    perplexity=math.inf,
    perplexity_error=math.inf,
    reference_perplexity=11.5,
    reference_perplexity_error=0.4,
    ratio_error=math.inf,
)
COMPARISON = Comparison(
    Side("belle", "checkpoint", "f16", 100, "reference"),
    (
        Candidate(
            Side("belle.gguf", "gguf", "q4_0", 30, "native"),
            {"all": MEASURES, "zh": replace(MEASURES, perplexity=12.0, n_broken=1)},
            Share(38, 40),
            (LayerError(0, 0.01), LayerError(1, math.inf)),
            (
                WorstPrompt("zh", "你好", 0.4, "你好！", "您好！", 0),
                WorstPrompt("en", "Hello\n", 0.2, None, None, None),
            ),
            Verdict("changed", 2, 40),
        ),
    ),
    (TextSet("zh", "belle-edge:zh", "0" * 64, 40, 31),),
)


def test_json_is_one_line_and_comes_back() -> None:
    text = COMPARISON.to_json()
    assert "\n" not in text
    assert "Infinity" not in text
    assert Comparison.from_json(text) == COMPARISON
    assert Comparison.from_json(text.encode()) == COMPARISON


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("reference", "kind"), "folder", r"\[kind\] expected one of checkpoint, gguf"),
        (("reference", "n_bytes"), "many", r"comparison\.reference\.n_bytes\] expected a whole number"),
        (("reference", "place"), "/home", r"comparison\.reference\] expected the fields"),
        (("candidates", 0, "first_words", "same"), 41, r"\[share\] expected at most 40, got 41"),
        (("candidates", 0, "languages"), {}, r'expected measures of "all"'),
        (("candidates", 0, "languages", "all", "top1"), 1.5, r"\[top1\] expected a number from 0 to 1"),
        (("candidates", 0, "languages", "all", "kl_max"), None, r"\[kl_max\] expected a finite number"),
        (("candidates", 0, "languages", "all", "kl_histogram", "counts"), [1], "expected 3 counts, got 1"),
        (("candidates", 0, "layers", 1, "layer"), True, r"layers\[1\]\.layer\] expected a whole number"),
        (("candidates", 0, "verdict", "level"), "fine", r"\[level\] expected one of identical, close"),
        (("texts",), {}, r"comparison\.texts\] expected a list"),
    ],
)
def test_what_is_no_comparison_is_refused(path: tuple[str | int, ...], value: Any, message: str) -> None:
    document: Any = json.loads(COMPARISON.to_json())
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(ValueError, match=message):
        Comparison.from_json(json.dumps(document))


def test_a_missing_field_is_named() -> None:
    with pytest.raises(ValueError, match="none named texts"):
        Comparison.from_json('{"reference": {}, "candidates": []}')
    with pytest.raises(ValueError, match=r"\[comparison\] expected an object"):
        Comparison.from_json("[]")
