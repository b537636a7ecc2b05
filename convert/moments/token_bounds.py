"""How many tokens a calibration takes."""

from __future__ import annotations

FEWEST_TOKENS = 8192  # at the shape of 7B less than 20 minutes on two cores
PLENTY_OF_TOKENS = 32768  # more gains little
MOST_TOKENS = 1 << 20  # their hidden states are kept on disk, and in memory
_LARGE = 7_000_000_000


def default_tokens(n_weights: int) -> int:
    """For a model of so many weights: a small one has time for more."""
    return min(PLENTY_OF_TOKENS, max(FEWEST_TOKENS, FEWEST_TOKENS * _LARGE // max(1, n_weights)))
