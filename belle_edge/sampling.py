"""How the next token is chosen: validated, immutable settings. The choosing itself happens in a backend."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any, Literal, get_args

PenaltyScope = Literal["all", "answer"]
_NEUTRAL_PENALTIES = {"repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}


@dataclass(frozen=True)
class SamplingParams:
    """Settings of one answer. They act in Hugging Face's order: repetition penalty, presence and frequency
    penalty, logit bias, banned tokens, temperature, top-k, top-p, min-p, one draw.

    The defaults sample from the model's own distribution, unchanged. Tokens are named by id: one text can be
    several tokens, `Belle.tokenize` tells. Raises ValueError, naming the setting, for a value out of range.
    """

    temperature: float = 1.0  # 0: always the most probable token, lowest id on ties
    top_k: int = 0  # keep the k most probable tokens; 0: all
    top_p: float = 1.0  # keep the smallest set of tokens with at least this probability; 1: all
    min_p: float = 0.0  # keep tokens at least this fraction as probable as the best; 0: all
    repetition_penalty: float = 1.0  # seen tokens: positive logits divided by it, negative multiplied; 1: off
    presence_penalty: float = 0.0  # subtracted from the logit of each seen token
    frequency_penalty: float = 0.0  # subtracted once per occurrence
    penalty_scope: PenaltyScope = "all"  # tokens that count as seen: prompt and answer, or the "answer" alone
    seed: int | None = None  # None: from the system's entropy
    logit_bias: Mapping[int, float] = field(default_factory=dict)  # id -> added to its logit
    banned: Sequence[int] = ()  # ids that are never chosen
    stop: Sequence[str] = ()  # strings that end the text and are not part of it
    top_logprobs: int | None = None  # report log-probabilities: of each token and this many best; None: none

    def __post_init__(self) -> None:
        _check_number("temperature", self.temperature, low=0.0)
        _check_number("top_p", self.top_p, low=0.0, high=1.0, low_open=True)
        _check_number("min_p", self.min_p, low=0.0, high=1.0)
        _check_number("repetition_penalty", self.repetition_penalty, low=0.0, low_open=True)
        _check_number("presence_penalty", self.presence_penalty)
        _check_number("frequency_penalty", self.frequency_penalty)
        _check_integer("top_k", self.top_k)
        if self.penalty_scope not in get_args(PenaltyScope):
            raise ValueError(
                f"[sampling] penalty_scope: expected 'all' or 'answer', got {self.penalty_scope!r}"
            )
        if self.top_logprobs is not None:
            _check_integer("top_logprobs", self.top_logprobs)
        if self.seed is not None:
            _check_integer("seed", self.seed)
            if self.seed >= 2**64:
                raise ValueError(f"[sampling] seed: expected less than 2**64, got {self.seed}")
        for token_id, bias in dict(self.logit_bias).items():
            _check_integer("logit_bias id", token_id)
            _check_number(f"logit_bias of id {token_id}", bias)
        for token_id in _items("banned", self.banned):
            _check_integer("banned id", token_id)
        for text in _items("stop", self.stop):
            if not isinstance(text, str) or not text:
                raise ValueError(f"[sampling] stop: expected non-empty strings, got {text!r}")
        # A private, immutable copy: what the caller does to its own containers later has no effect here.
        object.__setattr__(self, "logit_bias", MappingProxyType(dict(self.logit_bias)))
        object.__setattr__(self, "banned", tuple(self.banned))
        object.__setattr__(self, "stop", tuple(self.stop))

    def merged(self, **overrides: Any) -> SamplingParams:
        """A copy with some settings replaced; None leaves one as it is. ValueError for an unknown name."""
        known = {entry.name for entry in fields(self)}
        unknown = sorted(overrides.keys() - known)
        if unknown:
            raise ValueError(f"[sampling] unknown setting '{unknown[0]}' (known: {', '.join(sorted(known))})")
        return replace(self, **{name: value for name, value in overrides.items() if value is not None})

    def with_seed(self) -> SamplingParams:
        """A copy whose seed is a number: its own, or 63 bits of the system's entropy."""
        return (
            self
            if self.seed is not None
            else replace(self, seed=int.from_bytes(os.urandom(8), "little") >> 1)
        )

    def check_ids(self, n_tokens: int) -> None:
        """ValueError for a bias or ban of an id that a vocabulary of `n_tokens` does not have."""
        for name, ids in (("logit_bias", self.logit_bias), ("banned", self.banned)):
            for token_id in ids:
                if token_id >= n_tokens:
                    raise ValueError(
                        f"[sampling] {name}: id {token_id} is outside the vocabulary of {n_tokens} entries"
                    )


def resolve(
    preset: Mapping[str, float], params: SamplingParams | None, overrides: Mapping[str, Any]
) -> SamplingParams:
    """The settings of one call: `params` if given, else the defaults under `preset`; then `overrides` on top.

    A call that asks for temperature 0 gets the plain argmax: a preset's penalties count only if the call
    names them.
    """
    if params is not None:
        return params.merged(**overrides)
    chosen = SamplingParams().merged(**preset)
    if overrides.get("temperature") == 0:
        chosen = chosen.merged(**_NEUTRAL_PENALTIES)
    return chosen.merged(**overrides)


def _check_number(
    name: str, value: Any, *, low: float = -math.inf, high: float = math.inf, low_open: bool = False
) -> None:
    """`value` must be a finite number in [low, high], or (low, high] if low_open."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if is_number and math.isfinite(value) and low <= value <= high and not (low_open and value == low):
        return
    bounds = "a finite number"
    if low != -math.inf:
        bounds += f" {'above' if low_open else 'from'} {low:g}"
    if high != math.inf:
        bounds += f" up to {high:g}"
    raise ValueError(f"[sampling] {name}: expected {bounds}, got {value!r}")


def _check_integer(name: str, value: Any) -> None:
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 0:
        raise ValueError(f"[sampling] {name}: expected an integer from 0, got {value!r}")


def _items(name: str, values: Any) -> Iterable[Any]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ValueError(f"[sampling] {name}: expected a list, got {values!r}")
    return values
