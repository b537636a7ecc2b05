"""How the zeros of a GPTQ checkpoint are stored: less one, as GPTQ's first code did, or plainly, as format v2 does.

Nothing in a file without configuration says so, and the wrong choice moves every weight by one step of its scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from belle_edge.convert.sources.gptq_blocks import unpack
from belle_edge.convert.sources.gptq_tensor import GptqLayout, GptqParts
from belle_edge.errors import ConversionError

ZERO_OFFSETS: Mapping[str, int] = {"minus-one": 1, "plain": 0}  # what is added to a stored zero
_FORMATS = {"gptq": "minus-one", "gptq_v2": "plain"}  # checkpoint_format in a configuration
_MAX_MATRICES = 48  # that are looked at
_SAMPLE = 128  # inputs of each that are
_TOLERANCE = 0.25  # steps that the mean may be away from what a convention predicts
_AGREEMENT = 0.9  # share of the matrices that must point to the same convention


@dataclass(frozen=True)
class Sample:
    """A matrix, and its stored zero where that is the same everywhere (symmetric quantization)."""

    parts: GptqParts
    layout: GptqLayout
    constant_zero: int | None


def read_convention(samples: Sequence[Sample], settings: Mapping[str, Any], forced: str | None) -> str:
    """A key of ZERO_OFFSETS: the user's word, else the configuration's, else what the numbers say.

    Raises ConversionError when nothing decides it, or the configuration names a format that is not read.
    """
    if forced is not None:
        if forced not in ZERO_OFFSETS:
            raise ConversionError(
                f"[gptq_zeros] unknown convention {forced!r}: expected {' or '.join(ZERO_OFFSETS)}"
            )
        return forced
    named = settings.get("checkpoint_format")
    if named is not None:
        if named not in _FORMATS:
            raise ConversionError(
                f"[quantize_config.json] checkpoint_format {named!r}: expected {' or '.join(_FORMATS)}"
            )
        return _FORMATS[named]
    return _of_symmetric(samples) or _of_statistics(samples)


def _of_symmetric(samples: Sequence[Sample]) -> str | None:
    """Symmetric quantization puts its zero in the middle of the codes; None where it is not that."""
    for name, offset in ZERO_OFFSETS.items():
        if all(sample.constant_zero == (1 << (sample.layout.bits - 1)) - offset for sample in samples):
            return name
    return None


def _of_statistics(samples: Sequence[Sample]) -> str:
    """Weights are spread around 0, so codes are around their zeros: the mean of code - stored zero is 1, or 0."""
    step = max(1, len(samples) // _MAX_MATRICES)
    means = [_mean_distances(sample) for sample in samples[::step]]
    centers = np.array([values.mean() for values in means if values.size])
    values = np.concatenate(means)
    if values.size > 1:
        center = float(np.median(centers))
        name = "minus-one" if center > 0.5 else "plain"
        uncertainty = 4 * float(values.std()) / values.size**0.5
        agreeing = float(np.mean((centers > 0.5) == (center > 0.5)))
        away = abs(center - ZERO_OFFSETS[name])
        if away < _TOLERANCE and away + uncertainty < 0.5 and agreeing >= _AGREEMENT:
            return name
        found = f"codes lie {center:.2f} steps above the stored zeros, in {agreeing:.0%} of the matrices on that side"
    else:
        found = "there is nothing to judge by"
    raise ConversionError(
        f"[{samples[0].parts.qweight.file}] cannot tell how GPTQ's zeros are stored: {found}; expected 1 (old files)"
        " or 0 (format gptq_v2). Say which with --gptq-zeros minus-one or plain"
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
