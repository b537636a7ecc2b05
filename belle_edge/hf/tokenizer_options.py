"""Arguments of transformers' tokenizers that are not done here: which change nothing, and which are refused."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..argument_names import unknown_argument
from ..errors import excerpt

# What a call does.
DONE_IN_CALLS = frozenset(
    (
        *("text", "add_special_tokens", "padding", "truncation", "max_length", "pad_to_multiple_of"),
        *(
            "padding_side",
            "return_tensors",
            "return_attention_mask",
            "return_token_type_ids",
            "return_length",
        ),
    )
)
# They change messages, or nothing without what is refused below.
SAME_IN_CALLS = frozenset(("verbose", "stride"))
# What a call does not do -> the values that ask for nothing.
REFUSED_IN_CALLS: Mapping[str, tuple[Any, ...]] = MappingProxyType(
    {
        "text_pair": (),
        "text_target": (),
        "text_pair_target": (),
        "is_split_into_words": (False,),
        "return_overflowing_tokens": (False,),
        "return_special_tokens_mask": (False,),
        "return_offsets_mapping": (False,),
        "split_special_tokens": (False,),
        "tokenizer_kwargs": ({},),
    }
)
_PADDING = (True, False, "longest", "max_length", "do_not_pad")
_TRUNCATION = (True, False, "longest_first", "only_first", "only_second", "do_not_truncate")
# Of decode: transformers' tokenizers of this kind take them without effect, too.
_SAME_IN_DECODING = frozenset(("use_source_tokenizer", "spaces_between_special_tokens"))


def check_call(others: Mapping[str, Any]) -> None:
    """ValueError for an argument of a call that is not done here, or that nobody knows."""
    known = DONE_IN_CALLS | SAME_IN_CALLS | REFUSED_IN_CALLS.keys()
    for name, value in others.items():
        if name not in known:
            raise unknown_argument("tokenizer", name, known, others={})
        if name in REFUSED_IN_CALLS and not (value is None or value in REFUSED_IN_CALLS[name]):
            raise ValueError(
                f"[tokenizer] {name}={excerpt(value)} is not implemented here: leave it out, or use transformers' "
                "AutoTokenizer, which makes the same ids"
            )


def check_choices(*, padding: Any, truncation: Any) -> None:
    """ValueError for another way to pad or truncate than transformers'."""
    for name, value, choices in (("padding", padding, _PADDING), ("truncation", truncation, _TRUNCATION)):
        plain = getattr(value, "value", value)  # of transformers' own enumerations
        if plain is not None and not (isinstance(plain, (bool, str)) and plain in choices):
            raise ValueError(f"[tokenizer] {name}: expected one of {choices}, got {excerpt(value)}")


def check_decoding(others: Mapping[str, Any]) -> None:
    """ValueError for an argument of decode that nobody knows; a warning for one that changes nothing."""
    known = _SAME_IN_DECODING | {"clean_up_tokenization_spaces", "skip_special_tokens"}
    for name, value in others.items():
        if name not in known:
            raise unknown_argument("tokenizer", name, known, others={})
        if name == "clean_up_tokenization_spaces" and value:
            warnings.warn(
                "decode: clean_up_tokenization_spaces has no effect on these tokenizers, as in transformers",
                stacklevel=4,
            )


def check_chat(**options: Any) -> None:
    """ValueError for an option of apply_chat_template that is not done here."""
    for name, value in options.items():
        if value:
            raise ValueError(
                f"[tokenizer] {name}={excerpt(value)} is not implemented here: leave it out, or use transformers' "
                "AutoTokenizer, which makes the same ids"
            )
