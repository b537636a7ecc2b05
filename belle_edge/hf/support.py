"""What becomes of each setting of transformers' here: done, the same answer anyway, warned about, or refused."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

# Done as transformers does it.
DONE = frozenset(
    (
        *("max_length", "max_new_tokens", "min_length", "min_new_tokens", "max_time", "stop_strings"),
        *(
            "do_sample",
            "temperature",
            "top_k",
            "top_p",
            "min_p",
            "repetition_penalty",
            "no_repeat_ngram_size",
        ),
        *("bad_words_ids", "sequence_bias", "suppress_tokens", "begin_suppress_tokens"),
        *("forced_bos_token_id", "forced_eos_token_id", "renormalize_logits", "prefix_allowed_tokens_fn"),
        *("num_return_sequences", "return_dict_in_generate", "output_scores", "output_logits"),
        *("bos_token_id", "eos_token_id", "pad_token_id"),
        *("seed", "generator"),  # our own
    )
)

# Nothing to do: in transformers they change speed, memory or bookkeeping, or models with an encoder only.
SAME_ANSWER = frozenset(
    (
        *("use_cache", "cache_implementation", "cache_config", "max_cache_len", "return_legacy_cache"),
        *("low_memory", "prefill_chunk_size", "compile_config", "disable_compile", "synced_gpus"),
        *("continuous_batching_config", "cache_position", "logits_to_keep", "trust_remote_code"),
        *("is_assistant", "num_assistant_tokens", "num_assistant_tokens_schedule", "target_lookbehind"),
        *("assistant_confidence_threshold", "assistant_lookbehind", "assistant_ensemble_weight"),
        *("max_matching_ngram_size", "speculation_type", "decoder_start_token_id", "token_type_ids"),
        *("transformers_version", "tokenizer", "_from_model_config"),
    )
)

# A setting -> the values that ask for nothing. Others change nothing here, and a warning says why.
WARNED: Mapping[str, tuple[tuple[Any, ...], str]] = MappingProxyType(
    {
        "early_stopping": ((False,), "it belongs to beam search"),
        "length_penalty": ((1, 1.0), "it belongs to beam search"),
        "remove_invalid_values": ((False,), "scores that are NaN raise an error instead"),
        "assistant_model": ((), "the answer is the same without it, only slower"),
        "prompt_lookup_num_tokens": ((0,), "the answer is the same without it, only slower"),
        "assistant_early_exit": ((0,), "the answer is the same without it, only slower"),
        "use_mtp": ((False,), "the answer is the same without it, only slower"),
    }
)

# A setting -> the values that ask for nothing. Others would make another answer, which is refused.
REFUSED: Mapping[str, tuple[Any, ...]] = MappingProxyType(
    {
        "num_beams": (0, 1),
        "num_beam_groups": (0, 1),
        "diversity_penalty": (0, 0.0),
        "constraints": ([],),
        "force_words_ids": ([],),
        "penalty_alpha": (0, 0.0),
        "dola_layers": (),
        "typical_p": (1, 1.0),
        "epsilon_cutoff": (0, 0.0),
        "eta_cutoff": (0, 0.0),
        "top_h": (),
        "encoder_repetition_penalty": (1, 1.0),
        "encoder_no_repeat_ngram_size": (0,),
        "exponential_decay_length_penalty": (),
        "guidance_scale": (1, 1.0),
        "negative_prompt_ids": (),
        "negative_prompt_attention_mask": (),
        "token_healing": (False,),
        "watermarking_config": (),
        "output_attentions": (False,),
        "output_hidden_states": (False,),
        "inputs_embeds": (),
        "past_key_values": (),
        "custom_generate": (),
    }
)
# Of these, the ones that act on sampling only: a greedy answer is the same with them.
WHEN_SAMPLING = frozenset(("typical_p", "epsilon_cutoff", "eta_cutoff", "top_h"))
SAMPLING_SETTINGS = frozenset(("temperature", "top_k", "top_p", "min_p")) | WHEN_SAMPLING

ALL = DONE | SAME_ANSWER | WARNED.keys() | REFUSED.keys()

# What those who come from other libraries write to `generate` or `from_pretrained`.
OTHER_NAMES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("max_tokens", "n_predict", "num_predict"), "write max_new_tokens=…"),
        **dict.fromkeys(("stop", "stop_sequences", "stop_words"), "write stop_strings=…"),
        **dict.fromkeys(("n_ctx", "num_ctx", "max_seq_len", "max_seq_length"), "write context=… on loading"),
        **dict.fromkeys(("n_threads", "num_threads", "num_thread"), "write threads=… on loading"),
        **dict.fromkeys(("repeat_penalty", "rep_pen"), "write repetition_penalty=…"),
        **dict.fromkeys(("temp",), "write temperature=…, with do_sample=True"),
        **dict.fromkeys(("presence_penalty", "frequency_penalty", "logit_bias"), "Belle.generate has it"),
        **dict.fromkeys(("banned",), "write suppress_tokens=[…]"),
        **dict.fromkeys(("n", "best_of"), "write num_return_sequences=…, with do_sample=True"),
        **dict.fromkeys(
            ("logprobs", "top_logprobs"), "write output_logits=True, return_dict_in_generate=True"
        ),
    }
)


def is_neutral(value: Any, neutral: tuple[Any, ...]) -> bool:
    """Whether a value asks for nothing: it is None, or one of the `neutral` ones; True is not 1."""
    try:
        return value is None or any(
            isinstance(value, bool) == isinstance(other, bool) and bool(value == other) for other in neutral
        )
    except (TypeError, ValueError, RuntimeError):  # a tensor or array of several numbers
        return False
