"""Generation settings as transformers names them: their defaults, where they come from, what is checked when."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ..argument_names import unknown_argument
from ..errors import excerpt
from ..sampling import SamplingParams
from ..settings import FLOAT_MIN, integer, number, token_ids
from .support import (
    ALL,
    DONE,
    OTHER_NAMES,
    REFUSED,
    SAMPLING_SETTINGS,
    WARNED,
    is_neutral,
)
from .word_lists import checked_bias, checked_words

_log = logging.getLogger(__name__)

DEFAULT_NEW_TOKENS = 20  # where neither max_length nor max_new_tokens is given (transformers since 5)

_MAX_ID = 2**31 - 1
_MAX_ANSWERS = 4096  # of one prompt: each has a sampler and a cache of its own
# Settings that are whole numbers -> the lowest and the highest value. -1 is how some files say "no such token".
_INTEGERS: dict[str, tuple[int, int | None]] = {
    "max_length": (0, None),
    "max_new_tokens": (0, None),
    "min_length": (0, None),
    "min_new_tokens": (0, None),
    "no_repeat_ngram_size": (0, None),
    "num_return_sequences": (1, _MAX_ANSWERS),
    "bos_token_id": (-1, _MAX_ID),
    "pad_token_id": (-1, _MAX_ID),
    "forced_bos_token_id": (0, _MAX_ID),
    "top_k": (0, None),
    "seed": (0, 2**64 - 1),
}
_ID_LISTS = ("suppress_tokens", "begin_suppress_tokens")
_IDS = ("eos_token_id", "forced_eos_token_id")  # one id, or several
_SWITCHES = ("output_scores", "output_logits", "return_dict_in_generate", "renormalize_logits")


class GenerationConfig:
    """Settings of `generate`, under transformers' names; one that is not stated is None, and its default applies.

    It holds every setting of transformers'. What this engine does not do is refused by the `generate` that uses
    it, not here: docs/HF.md has the list. `seed`, and `generator` to draw it from, are our own.
    """

    max_length: int | None  # tokens of prompt and answer together
    max_new_tokens: int | None  # tokens of the answer; takes precedence over max_length
    min_length: int | None  # tokens of prompt and answer before which the answer may not end
    min_new_tokens: int | None
    max_time: float | None  # seconds after which no further step begins
    do_sample: bool | None  # None, False: the most probable token
    temperature: float | None
    top_k: int | None  # when sampling 50; 0 is all
    top_p: float | None
    min_p: float | None
    repetition_penalty: float | None
    no_repeat_ngram_size: int | None
    bad_words_ids: list[list[int]] | None
    sequence_bias: Any  # {ids: number}, or [[ids, number], …]
    suppress_tokens: list[int] | None
    begin_suppress_tokens: list[int] | None
    forced_bos_token_id: int | None
    forced_eos_token_id: int | list[int] | None
    prefix_allowed_tokens_fn: Any
    num_return_sequences: int | None
    stop_strings: str | list[str] | None
    bos_token_id: int | None
    eos_token_id: int | list[int] | None
    pad_token_id: int | None
    return_dict_in_generate: bool | None
    output_scores: bool | None
    output_logits: bool | None
    renormalize_logits: bool | None
    seed: int | None  # None: from torch's or NumPy's global random state
    generator: Any  # a torch.Generator or numpy.random.Generator

    def __init__(self, **settings: Any) -> None:
        """ValueError for a name that is no setting of transformers'."""
        self.__dict__["_stated"] = {}
        for name, value in settings.items():
            _check_name(name, ALL)
            setattr(self, name, value)

    def __getattr__(self, name: str) -> Any:
        stated = self.__dict__.get("_stated", {})
        if name in stated or name in ALL:
            return stated.get(name)
        raise AttributeError(name)

    def __setattr__(self, name: str, value: Any) -> None:
        _check_name(name, ALL | self._stated.keys())
        if value is None:
            self._stated.pop(name, None)
        else:
            self._stated[name] = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GenerationConfig) and self._stated == other._stated

    def __copy__(self) -> GenerationConfig:
        return GenerationConfig.from_dict(self._stated)  # a change of the copy is none of the original

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"GenerationConfig({', '.join(f'{name}={value!r}' for name, value in self._stated.items())})"

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> GenerationConfig:
        """From the entries of a generation_config.json; names that nobody knows are kept and change nothing."""
        config = cls()
        config._stated.update({name: value for name, value in values.items() if value is not None})
        return config

    @classmethod
    def from_pretrained(cls, pretrained_model_name: Any, *, revision: str | None = None) -> GenerationConfig:
        """The generation_config.json of a checkpoint folder or hub id; without one nothing is stated."""
        from .sources import Options, find

        source = find(str(pretrained_model_name), Options(revision=revision), weights=False)
        return cls.from_dict(source.json("generation_config.json") or {})

    def to_dict(self) -> dict[str, Any]:
        """The settings that are stated."""
        return dict(self._stated)

    to_diff_dict = to_dict

    def merged(self, other: Any, overrides: Mapping[str, Any]) -> GenerationConfig:
        """These settings under those of `other` (None, a mapping, or any GenerationConfig) under `overrides`, in
        which None takes a setting back.

        ValueError for a setting this engine cannot fulfil, and for a name in `other` or `overrides` that nobody knows.
        """
        merged = GenerationConfig.from_dict(self._stated)
        given = set(overrides)
        if isinstance(other, Mapping):
            for name in other:
                _check_name(name, ALL)
        if other is not None:
            values = other if isinstance(other, Mapping) else other.to_dict()
            merged._stated.update({name: value for name, value in values.items() if value is not None})
            given |= {name for name, value in values.items() if value is not None}
        for name, value in overrides.items():
            _check_name(name, ALL)
            setattr(merged, name, value)
        merged._check()
        merged._check_support(given)
        return merged

    def _check_support(self, given: Collection[str]) -> None:
        """ValueError for what would change the answer and is not done; warnings for what changes nothing.

        given: names that the call itself stated. A model's own file may say how to sample without a word when it
        does not.
        """
        for name, value in self._stated.items():
            if not self.do_sample and name in SAMPLING_SETTINGS:
                neutral = (1, 1.0) if name != "top_k" else (50,)
                if name in given and not is_neutral(value, neutral + REFUSED.get(name, ())):
                    _warn(
                        f"{name}={excerpt(value)} changes nothing without do_sample=True: the answer is greedy"
                    )
            elif name in REFUSED and not is_neutral(value, REFUSED[name]):
                raise ValueError(
                    f"[generate] {name}={excerpt(value)} is not implemented by this engine, and without it the answer "
                    f"would be another: leave it out ({name}=None where the model's generation_config.json sets it),"
                    " or run the original checkpoint with transformers"
                )
            elif name in WARNED and not is_neutral(value, WARNED[name][0]):
                _warn(f"{name}={excerpt(value)} has no effect: {WARNED[name][1]}")
            elif name not in ALL or name not in DONE | REFUSED.keys() | WARNED.keys():
                _log.debug("generate: %s=%s changes nothing here", name, excerpt(value))
        if not self.return_dict_in_generate and not {"output_scores", "output_logits"}.isdisjoint(given):
            for name in ("output_scores", "output_logits"):
                if self._stated.get(name):
                    _warn(f"{name} has no effect without return_dict_in_generate=True")

    def _check(self) -> None:
        """ValueError, naming the setting, for one of another kind or out of range; integers become plain ones."""
        for name, (low, high) in _INTEGERS.items():
            if getattr(self, name) is not None:
                setattr(self, name, integer(f"[generate] {name}", getattr(self, name), low=low, high=high))
        for name in (*_ID_LISTS, *_IDS):
            value = getattr(self, name)
            if value is None:
                continue
            if name in _ID_LISTS or isinstance(value, Iterable):
                ids = [value] if getattr(value, "shape", None) == () else value  # a tensor of one id
                setattr(self, name, token_ids(f"[generate] {name}", ids))
            else:
                setattr(self, name, integer(f"[generate] {name}", value, low=-1, high=_MAX_ID))
        for name in _SWITCHES:
            if getattr(self, name) is not None and not isinstance(getattr(self, name), bool):
                raise ValueError(
                    f"[generate] {name}: expected True or False, got {excerpt(getattr(self, name))}"
                )
        if self.max_time is not None:
            self.max_time = number("[generate] max_time", self.max_time, low=FLOAT_MIN)
        if self.bad_words_ids is not None:
            self.bad_words_ids = checked_words("[generate] bad_words_ids", self.bad_words_ids)
        if self.sequence_bias is not None:
            self.sequence_bias = checked_bias("[generate] sequence_bias", self.sequence_bias)
        allowed = self.prefix_allowed_tokens_fn
        if allowed is not None and not callable(allowed):
            raise ValueError(
                f"[generate] prefix_allowed_tokens_fn: expected a function, got {excerpt(allowed)}"
            )
        stops = self.stops if self.stop_strings is not None else []
        if not isinstance(stops, (list, tuple)) or not all(isinstance(text, str) and text for text in stops):
            raise ValueError(
                f"[generate] stop_strings: expected non-empty strings, got {excerpt(self.stop_strings)}"
            )

    @property
    def stops(self) -> list[str]:
        stops = self.stop_strings
        return [stops] if isinstance(stops, str) else stops or []

    @property
    def eos_ids(self) -> list[int]:
        return _id_list(self.eos_token_id)

    @property
    def forced_eos_ids(self) -> list[int]:
        return _id_list(self.forced_eos_token_id)

    @property
    def padding_id(self) -> int:
        """What fills finished rows: the padding token, else EOS as in transformers, else 0."""
        if self.pad_token_id is not None:
            return int(self.pad_token_id)
        return self.eos_ids[0] if self.eos_ids else 0

    def params_of_call(self, seed: int, *, plain: bool) -> SamplingParams:
        """How tokens are chosen; plain: penalty and bans, too. ValueError for a value out of range."""
        common: dict[str, Any] = {
            "repetition_penalty": self.repetition_penalty,
            "banned": self.suppress_tokens,
        }
        SamplingParams().merged(**common)  # checks them, whoever applies them
        if not plain:
            common = {}
        if not self.do_sample:
            return SamplingParams(temperature=0.0, seed=seed).merged(**common)
        if self.temperature is not None and self.temperature == 0:
            raise ValueError(
                "[generate] temperature: expected more than 0 when sampling; do_sample=False is greedy"
            )
        return SamplingParams(top_k=50, seed=seed).merged(
            temperature=self.temperature, top_k=self.top_k, top_p=self.top_p, min_p=self.min_p, **common
        )

    def length_limit(self, n_prompt: int, context: int) -> int:
        """Tokens of prompt and answer together. ValueError where no token of an answer fits."""
        if self.max_new_tokens is not None:
            limit = n_prompt + self.max_new_tokens
        elif self.max_length is not None:
            limit = self.max_length
        else:
            limit = min(n_prompt + DEFAULT_NEW_TOKENS, max(context, n_prompt + 1))
        if limit <= n_prompt:
            raise ValueError(
                f"[generate] the prompt has {n_prompt} tokens and max_length, which counts them, is {limit}:"
                " set max_new_tokens"
            )
        return limit

    def first_free_length(self, n_prompt: int) -> int:
        """Tokens of prompt and answer together from which on the answer may end."""
        return n_prompt + self.min_new_tokens if self.min_new_tokens is not None else self.min_length or 0


def _check_name(name: str, known: Collection[str]) -> None:
    if name not in known:
        raise unknown_argument("generate", name, known, others=OTHER_NAMES)


def _id_list(ids: Any) -> list[int]:
    if ids is None:
        return []
    listed = ids.tolist() if hasattr(ids, "tolist") else ids
    return [int(listed)] if isinstance(listed, int) else [int(token_id) for token_id in listed]


def _warn(message: str) -> None:
    warnings.warn(f"generate: {message}", stacklevel=5)
