"""BLEU of a corpus by sacreBLEU, from what is counted in each sentence, so that a part of them can be taken again.

Post, A Call for Clarity in Reporting BLEU Scores, WMT 2018. Chinese is cut by its tokenizer `zh`, other languages by
`13a`; the signature is otherwise the default: `case:mixed|eff:no|smooth:exp`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

Counts = list[
    int
]  # matches and n-grams of orders 1 to 4, length of the answer, length of the nearest reference
_ORDERS = 4


def counts(references: Sequence[str], prediction: str, *, language: str) -> Counts:
    """What a sentence adds to the counts of its corpus. language: of the references, "zh" or another."""
    found = _metric("zh" if language == "zh" else "13a").sentence_score(prediction, list(references))
    return [*found.counts, *found.totals, found.sys_len, found.ref_len]


def corpus_bleu(sentences: Sequence[Counts]) -> float:
    """BLEU, 0 to 100, of all sentences together."""
    from sacrebleu.metrics.bleu import BLEU

    sums = [sum(column) for column in zip(*sentences, strict=True)]
    matches, n_grams = sums[:_ORDERS], sums[_ORDERS : 2 * _ORDERS]
    score = BLEU.compute_bleu(matches, n_grams, sums[-2], sums[-1], smooth_method="exp")
    return float(score.score)


@lru_cache(maxsize=2)
def _metric(tokenizer: str) -> Any:
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(tokenize=tokenizer, effective_order=True)  # of one sentence; its score is not what is read
