"""How the zeros of a GPTQ checkpoint are stored: less one, as GPTQ's first code did, or plainly, as format v2 does.

Nothing in a file without configuration says so, and the wrong choice moves every weight by one step of its scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from belle_edge.convert.sources.gptq.packed_blocks import unpack
from belle_edge.convert.sources.gptq.packed_tensor import GptqLayout, GptqParts
from belle_edge.errors import ConversionError, excerpt

ZERO_OFFSETS: Mapping[str, int] = {"minus-one": 1, "plain": 0}  # what is added to a stored zero
_FORMATS = {"gptq": "minus-one", "gptq_v2": "plain"}  # checkpoint_format in a configuration
_MAX_MATRICES = 48  # that are looked at
_SAMPLE = 256  # inputs of each that are
_TOLERANCE = 0.25  # steps that the mean may be away from what a convention predicts
_AGREEMENT = 0.9  # share of the matrices that must point to the same convention


@dataclass(frozen=True)
class Sample:
    """A matrix, and its stored zero where that is the same everywhere (symmetric quantization)."""

    parts: GptqParts
    layout: GptqLayout
    constant_zero: int | None


def read_convention(
    samples: Sequence[Sample], settings: Mapping[str, Any], forced: str | None
) -> tuple[str, str | None]:
    """(a key of ZERO_OFFSETS, a warning or None): the user's word, else the configuration's, else what the numbers say.

    Raises ConversionError when nothing decides it, or the configuration names a format that is not read.
    """
    if forced is not None:
        if forced not in ZERO_OFFSETS:
            raise ConversionError(
                f"[gptq_zeros] unknown convention {forced!r}: expected {' or '.join(ZERO_OFFSETS)}"
            )
        return forced, None
    symmetric = _of_symmetric(samples)
    named = settings.get("checkpoint_format")
    if named is not None:
        if named not in _FORMATS:
            raise ConversionError(
                f"[quantize_config.json] checkpoint_format {excerpt(named)}: expected {' or '.join(_FORMATS)}"
            )
        return _FORMATS[named], _contradiction(named, symmetric)
    return (symmetric, None) if symmetric else _of_statistics(samples)


def _contradiction(named: str, symmetric: str | None) -> str | None:
    """A warning where symmetric codes, whose zeros are known, do not agree with the configuration."""
    if symmetric in (None, _FORMATS[named]):
        return None
    return (
        f"checkpoint_format {named} was followed, but the zeros look stored as {symmetric}; if the answers are noise,"
        f" convert with --gptq-zeros {symmetric}"
    )


def _of_symmetric(samples: Sequence[Sample]) -> str | None:
    """Symmetric quantization puts its zero in the middle of the codes; None where it is not that."""
    for name, offset in ZERO_OFFSETS.items():
        if all(sample.constant_zero == (1 << (sample.layout.bits - 1)) - offset for sample in samples):
            return name
    return None


def _of_statistics(samples: Sequence[Sample]) -> tuple[str, str | None]:
    """Weights are spread around 0, so codes are around their zeros: the mean of code - stored zero is 1, or 0.

    Where that is not clear, a file without g_idx is old, for format v2 came with programs that always write it.
    """
    step = max(1, len(samples) // _MAX_MATRICES)
    means = [values for sample in samples[::step] if (values := _mean_distances(sample)).size]
    found = "there is nothing to judge by"
    if means:
        centers, values = np.array([values.mean() for values in means]), np.concatenate(means)
        center = float(np.median(centers))
        name = "minus-one" if center > 0.5 else "plain"
        away = abs(center - ZERO_OFFSETS[name])
        spread = max(float(values.std()) / values.size**0.5, float(centers.std()) / centers.size**0.5)
        agreeing = float(np.mean((centers > 0.5) == (center > 0.5)))
        if values.size > 1 and away < _TOLERANCE and away + 4 * spread < 0.5 and agreeing >= _AGREEMENT:
            return name, None
        found = f"codes lie {center:.2f} ± {spread:.2f} steps above the stored zeros ({agreeing:.0%} of the matrices)"
    unclear = f"{found}, where 1 (zeros less one) or 0 (plain zeros, format gptq_v2) is expected"
    if all(sample.parts.g_idx is None for sample in samples):
        return "minus-one", (
            f"GPTQ's zeros were taken as stored less one, as in all files of its time without g_idx, but {unclear};"
            " if the answers are noise, convert with --gptq-zeros plain"
        )
    raise ConversionError(
        f"[{samples[0].parts.qweight.file}] cannot tell how GPTQ's zeros are stored: {unclear}."
        " Say which with --gptq-zeros minus-one or plain"
    )


def _mean_distances(sample: Sample) -> NDArray[np.float64]:
    """Mean of code - stored zero over some inputs, for each output; without those whose zero could have wrapped."""
    bits = sample.layout.bits
    period = 3 if bits == 3 else 1
    n_words = min(sample.parts.qweight.shape[0], max(period, _SAMPLE * bits // 32 // period * period))
    codes = unpack(np.ascontiguousarray(sample.parts.words(0, n_words)), bits)
    zeros = sample.parts.stored_zeros(bits)[sample.layout.groups[: codes.shape[0]]]
    inside = ((zeros > 0) & (zeros < (1 << bits) - 1)).all(axis=0)
    distances = codes[:, inside].astype(np.int16) - zeros[:, inside]
    return np.asarray(distances.mean(axis=0), dtype=np.float64)
