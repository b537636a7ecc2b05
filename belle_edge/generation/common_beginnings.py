"""How far prompts are alike."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile


def common_length(first: Sequence[int], second: Sequence[int], most: int) -> int:
    """Tokens that two prompts begin with, `most` at most."""
    low, high = 0, min(len(first), len(second), most)
    if first[:high] == second[:high]:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle
    return low


def common_prefix(prompts: Sequence[Sequence[int]]) -> int:
    """Tokens that all prompts begin with; at least one token of each is left out, for its own pass."""
    longest = min((len(prompt) for prompt in prompts), default=1) - 1
    alike = (len(set(ids)) == 1 for ids in zip(*(prompt[:longest] for prompt in prompts), strict=True))
    return sum(takewhile(bool, alike))
