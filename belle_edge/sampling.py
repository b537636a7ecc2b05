"""How the next token is chosen: validated, immutable settings. The choosing itself happens in a backend."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, Literal, TypedDict, get_args

from .argument_names import OTHER_NAMES, advice, explains_fields
from .errors import excerpt
from .settings import FLOAT_MIN, integer, number, token_ids

PenaltyScope = Literal["all", "answer"]
_BOUNDS: Mapping[str, Mapping[str, float]] = {
    "temperature": {"low": 0.0},
    "top_p": {"low": FLOAT_MIN, "high": 1.0},
    "min_p": {"low": 0.0, "high": 1.0},
    "repetition_penalty": {"low": FLOAT_MIN},
    "presence_penalty": {},
    "frequency_penalty": {},
}
# What the functions that take these settings by name have besides, for whoever mistypes it.
_CALL_ARGUMENTS = frozenset(
    {
        *("max_tokens", "params", "raw", "overflow", "n_keep", "max_batch", "on_progress"),
        *("schema", "grammar", "regex", "choice"),
    }
)
_NEUTRAL_PENALTIES = {"repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}


SAMPLING_NUMBERS = (  # the settings that say how a token is drawn, seed and stop strings apart
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "repetition_penalty",
    "presence_penalty",
    "frequency_penalty",
)


class SamplingSettings(TypedDict, total=False):
    """The settings of `SamplingParams` as keyword arguments, for type checkers. None leaves a setting as it is."""

    temperature: float | None
    top_k: int | None
    top_p: float | None
    min_p: float | None
    repetition_penalty: float | None
    presence_penalty: float | None
    frequency_penalty: float | None
    penalty_scope: PenaltyScope | None
    seed: int | None
    logit_bias: Mapping[int, float] | None
    banned: Sequence[int] | None
    stop: str | Sequence[str] | None
    top_logprobs: int | None


@explains_fields("sampling")
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
    stop: str | Sequence[str] = ()  # strings (or one) that end the text and are not part of it
    top_logprobs: int | None = None  # report log-probabilities: of each token and this many best; None: none

    def __post_init__(self) -> None:
        checked: dict[str, Any] = {
            name: number(f"[sampling] {name}", getattr(self, name), **bounds)
            for name, bounds in _BOUNDS.items()
        }
        if 0 < checked["temperature"] < FLOAT_MIN:
            raise ValueError(
                f"[sampling] temperature: expected 0 or a number from {FLOAT_MIN:.9g}, got {self.temperature!r}"
            )
        checked["top_k"] = integer("[sampling] top_k", self.top_k, low=0)
        if self.penalty_scope not in get_args(PenaltyScope):
            raise ValueError(
                f"[sampling] penalty_scope: expected 'all' or 'answer', got {excerpt(self.penalty_scope)}"
            )
        if self.top_logprobs is not None:
            checked["top_logprobs"] = integer(
                "[sampling] top_logprobs", self.top_logprobs, low=0, high=2**31 - 1
            )
        if self.seed is not None:
            checked["seed"] = integer("[sampling] seed", self.seed, low=0, high=2**64 - 1)
        # Private, immutable copies: what the caller does to its own containers later has no effect here.
        checked["logit_bias"] = MappingProxyType(_checked_bias(self.logit_bias))
        checked["banned"] = tuple(
            integer("[sampling] banned id", token_id, low=0)
            for token_id in token_ids("[sampling] banned", self.banned)
        )
        checked["stop"] = _checked_stop(self.stop)
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def merged(self, **overrides: Any) -> SamplingParams:
        """A copy with some settings replaced; None leaves one as it is. ValueError for an unknown name."""
        known = {entry.name for entry in fields(self)}
        unknown = sorted(overrides.keys() - known)
        if unknown:
            raise ValueError(
                f"[sampling] unknown setting '{unknown[0]}'{_advice(unknown[0], known)} "
                f"(known: {', '.join(sorted(known))})"
            )
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
    names them. ValueError for `params` of another kind.
    """
    if params is not None and not isinstance(params, SamplingParams):
        raise ValueError(f"[sampling] params: expected SamplingParams, got {excerpt(params)}")
    if params is not None:
        return params.merged(**overrides)
    chosen = SamplingParams().merged(**preset)
    if overrides.get("temperature") == 0:
        chosen = chosen.merged(**_NEUTRAL_PENALTIES)
    return chosen.merged(**overrides)


def _advice(name: str, known: Set[str]) -> str:
    """What to write: a setting, or an argument of the functions that take settings by name."""
    if name in _CALL_ARGUMENTS or name in OTHER_NAMES:
        return advice(name, known)
    return advice(name, known | _CALL_ARGUMENTS)


def _checked_bias(bias: Any) -> dict[int, float]:
    try:
        pairs = dict(bias)
    except (TypeError, ValueError):
        raise ValueError(f"[sampling] logit_bias: expected ids with numbers, got {excerpt(bias)}") from None
    return {
        integer("[sampling] logit_bias id", token_id, low=0): number(
            f"[sampling] logit_bias of id {excerpt(token_id)}", value
        )
        for token_id, value in pairs.items()
    }


def _checked_stop(stop: Any) -> tuple[str, ...]:
    if isinstance(stop, bytes) or not isinstance(stop, Iterable):
        raise ValueError(f"[sampling] stop: expected a text or a list of texts, got {excerpt(stop)}")
    texts = (stop,) if isinstance(stop, str) else tuple(stop)
    for text in texts:
        if not isinstance(text, str) or not text:
            raise ValueError(f"[sampling] stop: expected non-empty strings, got {excerpt(text)}")
    return texts
