"""The sampler of this package's extension: every backend chooses tokens with it, so they choose alike."""

from __future__ import annotations

from .. import _core
from ..sampling import SamplingParams


def core_sampler(params: SamplingParams) -> _core.Sampler:
    """A sampler with these settings and an empty history. ValueError for a setting out of range."""
    return _core.Sampler(
        temperature=params.temperature,
        top_k=min(params.top_k, 2**31 - 1),
        top_p=params.top_p,
        min_p=params.min_p,
        repetition_penalty=params.repetition_penalty,
        presence_penalty=params.presence_penalty,
        frequency_penalty=params.frequency_penalty,
        seed=params.with_seed().seed or 0,
        logit_bias=dict(params.logit_bias),
        banned=list(params.banned),
    )
