"""Generation settings as transformers names them: their defaults, where they come from, what is not done here."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..sampling import SamplingParams
from ..settings import integer, shown, token_ids

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
    "top_k": (0, None),
    "seed": (0, 2**64 - 1),
}

# Settings that would change the result and that this engine lacks -> the values that ask for nothing.
_NOT_DONE: dict[str, tuple[Any, ...]] = {
    "num_beams": (1,),
    "num_beam_groups": (1,),
    "penalty_alpha": (0, 0.0),
    "typical_p": (1, 1.0),
    "epsilon_cutoff": (0, 0.0),
    "eta_cutoff": (0, 0.0),
    "top_h": (),
    "diversity_penalty": (0, 0.0),
    "encoder_repetition_penalty": (1, 1.0),
    "encoder_no_repeat_ngram_size": (0,),
    "guidance_scale": (1, 1.0),
    "bad_words_ids": ([],),
    "force_words_ids": ([],),
    "constraints": ([],),
    "sequence_bias": ({},),
    "forced_bos_token_id": (),
    "forced_eos_token_id": (),
    "begin_suppress_tokens": ([],),
    "exponential_decay_length_penalty": (),
    "prefix_allowed_tokens_fn": (),
    "assistant_model": (),
    "prompt_lookup_num_tokens": (),
    "inputs_embeds": (),
    "past_key_values": (),
    "custom_generate": (),
}
# Settings that change nothing here: speed, output fields nobody fills, options of beam search.
_WITHOUT_EFFECT = frozenset(
    [
        "use_cache",
        "output_scores",
        "output_logits",
        "output_attentions",
        "output_hidden_states",
        "early_stopping",
        "length_penalty",
        "token_type_ids",
        "position_ids",
        "synced_gpus",
        "tokenizer",
        "cache_implementation",
        "cache_config",
        "return_legacy_cache",
        "remove_invalid_values",
        "renormalize_logits",
        "trust_remote_code",
        "compile_config",
        "disable_compile",
        "max_time",
        "num_assistant_tokens",
        "num_assistant_tokens_schedule",
        "assistant_confidence_threshold",
        "assistant_lookbehind",
        "target_lookbehind",
        "decoder_start_token_id",
        "is_assistant",
        "watermarking_config",
        "low_memory",
        "max_matching_ngram_size",
        "negative_prompt_ids",
        "negative_prompt_attention_mask",
        "token_healing",
        "transformers_version",
        "prefill_chunk_size",
        "cache_position",
        "logits_to_keep",
    ]
)


@dataclass
class GenerationConfig:
    """Settings of `generate`. None: not stated, transformers' default applies."""

    max_length: int | None = None  # tokens of prompt and answer together
    max_new_tokens: int | None = None  # tokens of the answer; takes precedence over max_length
    min_length: int | None = None  # tokens of prompt and answer before which the answer may not end
    min_new_tokens: int | None = None
    do_sample: bool | None = None  # None, False: the most probable token
    temperature: float | None = None
    top_k: int | None = None  # when sampling 50; 0 is all
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    no_repeat_ngram_size: int | None = None
    suppress_tokens: list[int] | None = None
    num_return_sequences: int | None = None
    stop_strings: str | list[str] | None = None
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    pad_token_id: int | None = None
    return_dict_in_generate: bool | None = None
    seed: int | None = None  # our own; None: from torch's or NumPy's global random state
    generator: Any = None  # a torch.Generator or numpy.random.Generator to draw the seed from

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> GenerationConfig:
        """From the entries of a generation_config.json. ValueError for what this engine cannot do."""
        config = cls()
        config._take(values, strict=False)
        return config

    def to_dict(self) -> dict[str, Any]:
        """The settings that are stated."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def merged(self, other: Any, overrides: Mapping[str, Any]) -> GenerationConfig:
        """These settings under those of `other` (None, a mapping, or any GenerationConfig) under `overrides`.

        ValueError for a setting this engine cannot fulfil, and for a name in `overrides` that nobody knows.
        """
        merged = GenerationConfig(**{entry.name: getattr(self, entry.name) for entry in fields(self)})
        if other is not None:
            values = other if isinstance(other, Mapping) else other.to_dict()
            merged._take(values, strict=False)
        merged._take(overrides, strict=True)
        merged._check()
        return merged

    def _check(self) -> None:
        """ValueError, naming the setting, for one of another kind or out of range; integers become plain ones."""
        for name, (low, high) in _INTEGERS.items():
            if getattr(self, name) is not None:
                setattr(self, name, integer(f"[generate] {name}", getattr(self, name), low=low, high=high))
        for name in ("suppress_tokens", "eos_token_id"):
            value = getattr(self, name)
            if value is not None and (name == "suppress_tokens" or isinstance(value, Iterable)):
                ids = [value] if getattr(value, "shape", None) == () else value  # a tensor of one id
                setattr(self, name, token_ids(f"[generate] {name}", ids))
            elif value is not None:
                setattr(self, name, integer(f"[generate] {name}", value, low=-1, high=_MAX_ID))
        stops = [self.stop_strings] if isinstance(self.stop_strings, str) else self.stop_strings
        if stops is not None and (
            not isinstance(stops, (list, tuple)) or not all(isinstance(text, str) and text for text in stops)
        ):
            raise ValueError(
                f"[generate] stop_strings: expected non-empty strings, got {shown(self.stop_strings)}"
            )

    def _take(self, values: Mapping[str, Any], *, strict: bool) -> None:
        known = {entry.name for entry in fields(self)}
        for name, value in values.items():
            if value is None:
                continue
            if name in known:
                setattr(self, name, value)
            elif name in _NOT_DONE:
                if not any(value is neutral or value == neutral for neutral in _NOT_DONE[name]):
                    raise ValueError(
                        f"[generate] {name}={value!r} is not implemented by this engine, and without it the answer "
                        "would be another: leave it out, or run the original checkpoint with transformers"
                    )
            elif name in _WITHOUT_EFFECT or not strict:
                _log.debug("generate: %s=%r has no effect here", name, value)
            else:
                raise ValueError(f"[generate] unknown argument '{name}' (a typing error?)")

    @property
    def eos_ids(self) -> list[int]:
        if self.eos_token_id is None:
            return []
        ids = self.eos_token_id.tolist() if hasattr(self.eos_token_id, "tolist") else self.eos_token_id
        return [int(ids)] if isinstance(ids, int) else [int(token_id) for token_id in ids]

    @property
    def padding_id(self) -> int:
        """What fills finished rows: the padding token, else EOS as in transformers, else 0."""
        if self.pad_token_id is not None:
            return int(self.pad_token_id)
        return self.eos_ids[0] if self.eos_ids else 0

    def sampling_params(self, seed: int) -> SamplingParams:
        """How tokens are chosen. ValueError for a value out of range."""
        common = {"repetition_penalty": self.repetition_penalty, "banned": self.suppress_tokens, "seed": seed}
        if not self.do_sample:
            return SamplingParams(temperature=0.0).merged(**common)
        if self.temperature is not None and self.temperature == 0:
            raise ValueError(
                "[generate] temperature: expected more than 0 when sampling; do_sample=False is greedy"
            )
        return SamplingParams(top_k=50).merged(
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
