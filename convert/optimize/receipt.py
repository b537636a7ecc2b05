"""What an optimized file says about itself, under belle.optimized.*: how, on what data, and what that was worth.

The header's size is known before anything is written. So what is measured at the end has entries of fixed width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from belle_edge.convert.architectures.mapped_model import Metadata
from belle_edge.convert.moments.moments_facts import MomentsFacts

PREFIX = "belle.optimized."
EFFORT, METHOD = (f"{PREFIX}{name}" for name in ("effort", "method"))
DATA, DATA_HASH, TOKENS = (f"{PREFIX}{name}" for name in ("data", "data_sha256", "tokens"))
MOMENTS_HASH, TARGET_BYTES = (f"{PREFIX}{name}" for name in ("moments_sha256", "target_bytes"))
ERROR_RATIO = f"{PREFIX}error_ratio"
HELD_OUT_TOKENS, DIVERGENCE, NEAREST_DIVERGENCE = (
    f"{PREFIX}{name}" for name in ("held_out_tokens", "divergence", "divergence_nearest")
)
# Not under the prefix: it stays true when the matrices get other types.
COLUMN_SCALES = "belle.column_scales"
ERROR_FEEDBACK, WEIGHTED_SEARCH = "error feedback", "weighted search"
_KINDS: Mapping[str, type | tuple[type, ...]] = {
    **dict.fromkeys((EFFORT, METHOD, DATA_HASH, MOMENTS_HASH, TARGET_BYTES), str),
    **dict.fromkeys((TOKENS, HELD_OUT_TOKENS), int),
    **dict.fromkeys((ERROR_RATIO, DIVERGENCE, NEAREST_DIVERGENCE), (int, float)),
    DATA: list,
}


def receipt(
    facts: MomentsFacts,
    *,
    has_full: bool,
    effort: str | None,
    moments_hash: str,
    data: tuple[str, ...],
    target_bytes: int | None,
) -> Metadata:
    """What is known before the rows are rounded, with room for what is measured.

    effort: None for types alone. has_full: whether there are moments, and not energies alone.
    """
    entries: Metadata = {}
    if effort is not None:
        entries[EFFORT] = effort
        entries[METHOD] = ERROR_FEEDBACK if has_full else WEIGHTED_SEARCH
    if target_bytes is not None:
        entries[TARGET_BYTES] = str(target_bytes)
    entries[DATA] = list(data)
    if facts.token_sha256:
        entries[DATA_HASH] = facts.token_sha256
    entries[TOKENS] = facts.n_tokens
    entries[MOMENTS_HASH] = moments_hash
    return entries | ({ERROR_RATIO: 0.0, COLUMN_SCALES: 0} if effort is not None else {})


def room_for_divergence() -> Metadata:
    """The entries of `divergence_entries` before they are known."""
    return {HELD_OUT_TOKENS: 0, DIVERGENCE: 0.0, NEAREST_DIVERGENCE: 0.0}


def divergence_entries(*, n_tokens: int, written: float, nearest: float) -> Metadata:
    """Mean divergences from the float model: of what is written, and of its types with the nearest values."""
    return {
        HELD_OUT_TOKENS: n_tokens,
        DIVERGENCE: measured_value(written),
        NEAREST_DIVERGENCE: measured_value(nearest),
    }


def measured_value(value: float) -> float:
    """To four digits: what is beyond them differs between machines' exponential functions."""
    return float(f"{value:.4g}")


def receipt_of(metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    """The receipt in a file's metadata, names without their prefix; None where there is none.

    A stranger's file may have anything under these names: what is of another kind is left out.
    """
    found = {
        key.removeprefix(PREFIX): value
        for key, value in metadata.items()
        if key in _KINDS and isinstance(value, _KINDS[key]) and not isinstance(value, bool)
    }
    scales = metadata.get(COLUMN_SCALES)
    if found and isinstance(scales, int) and not isinstance(scales, bool):
        found["column_scales"] = scales
    return found or None
