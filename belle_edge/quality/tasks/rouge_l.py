"""ROUGE-L of Chinese per character: the longest common subsequence of two texts, as F1.

Lin, ROUGE: A Package for Automatic Evaluation of Summaries, 2004. Google's `rouge-score` computes it; only what counts
as a token is ours. For English it is that package's own value, without stemming.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

# A run of ASCII letters and digits, or one letter or digit of any other script. Marks and spaces are no tokens.
_TOKEN = re.compile(r"[a-z0-9]+|[^\W_a-z0-9]")


def tokens(text: str) -> list[str]:
    """Characters of Chinese, words and numbers of ASCII; lower case, without marks."""
    return _TOKEN.findall(text.lower())


def rouge_l(references: Sequence[str], prediction: str) -> float:
    """F1 of the longest common subsequence of tokens, 0 to 1; of the reference that it fits best."""
    scorer = _scorer()
    return max(
        (float(scorer.score(reference, prediction)["rougeL"].fmeasure) for reference in references),
        default=0.0,
    )


class _Tokens:
    """What `rouge-score` calls for a text's tokens."""

    def tokenize(self, text: str) -> list[str]:
        return tokens(text)


@lru_cache(maxsize=1)
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], tokenizer=_Tokens())
