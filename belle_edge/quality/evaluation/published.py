"""The figures that BELLE's authors published, and the names of metrics as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ...languages import msg

MODELS = ("BELLE-7B (2M)", "BELLE-LLaMA-7B (2M)", "base")
# By the metrics of our tasks: of the three models in turn.
FIGURES: Mapping[tuple[str, str], tuple[float, float, float]] = MappingProxyType(
    {
        ("translation", "bleu"): (28.4, 27.1, 22.3),
        ("summarization", "rouge_l"): (32.7, 31.5, 26.8),
        ("question-answering", "f1"): (64.2, 62.8, 56.1),
    }
)
CAUTION = (
    msg(
        "The published figures come without their test sets, prompts and metric variants: compare their order of size."
    ),
    msg(
        "Here: the data named above, the file's own template, greedy answers; BLEU by sacreBLEU (zh, 13a), ROUGE-L per"
        " character, F1 by CMRC 2018's rule."
    ),
)
METRIC_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "bleu": "BLEU",
        "rouge_l": "ROUGE-L",
        "f1": "F1",
        "exact_match": msg("exact match"),
        "result": msg("right result"),
        "agreement": msg("agreement with the reference"),
        "same": msg("same answer as the reference"),
    }
)
