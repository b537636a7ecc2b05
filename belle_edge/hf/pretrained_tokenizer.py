"""A tokenizer with the interface of transformers' tokenizers, on the tables of a GGUF file.

As there, and unlike `belle_edge.Tokenizer.encode`, the texts of special tokens in a text become those tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..settings import integer
from ..text.prompts import render
from ..text.tokenizer import Tokenizer
from .array_tensors import to_lists
from .codec import Codec
from .encoding import BatchEncoding, batch_encoding, pad_rows
from .tokenizer_options import REFUSED_IN_CALLS, check_call, check_chat, check_choices, check_decoding

_CALL_OPTIONS = (
    "padding",
    "truncation",
    "max_length",
    "pad_to_multiple_of",
    "padding_side",
    "return_tensors",
    "return_attention_mask",
    "return_token_type_ids",
    "return_length",
    *REFUSED_IN_CALLS,
)
_MAX_PADDED = 2**31  # tokens: no row is padded to more by a length that was meant
_NO_LIMIT = int(1e30)  # transformers' model_max_length of a tokenizer that states none


class HfTokenizer:
    """Text ↔ ids as transformers does it. Safe to share between threads once its settings are made."""

    model_input_names = ("input_ids", "attention_mask")
    is_fast = True

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        chat_template: str | None = None,
        settings: Mapping[str, Any] | None = None,
        name_or_path: str = "",
    ) -> None:
        """settings: the source's tokenizer_config.json, for padding_side and model_max_length.

        Without a stated side texts are padded on the left, as generation wants it.
        """
        settings = settings or {}
        self._tokenizer = tokenizer
        self._codec = Codec(tokenizer)
        self.vocabulary = tokenizer.vocabulary
        self.name_or_path = name_or_path
        self.chat_template = chat_template
        self.padding_side = str(settings.get("padding_side") or "left")
        self.truncation_side = str(settings.get("truncation_side") or "right")
        self.model_max_length = int(settings.get("model_max_length") or _NO_LIMIT)
        self._pad_id = self.vocabulary.padding_id
        self._id_of: dict[str, int] | None = None

    # ---- the vocabulary -------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Tokens, without the spare rows of the embedding."""
        return self._codec.n_tokens

    @property
    def vocab_size(self) -> int:
        return len(self)

    def get_vocab(self) -> dict[str, int]:
        """text -> id."""
        return dict(self._ids)

    @property
    def _ids(self) -> dict[str, int]:
        if self._id_of is None:  # no cached_property: see Codec
            self._id_of = self._make_ids()
        return self._id_of

    def _make_ids(self) -> dict[str, int]:
        return {token: token_id for token_id, token in enumerate(self.vocabulary.tokens[: len(self)])}

    @property
    def bos_token_id(self) -> int | None:
        return self.vocabulary.bos_id

    @property
    def eos_token_id(self) -> int | None:
        return self.vocabulary.eos_id

    @property
    def unk_token_id(self) -> int | None:
        return self.vocabulary.unknown_id

    @property
    def pad_token_id(self) -> int | None:
        return self._pad_id

    @pad_token_id.setter
    def pad_token_id(self, token_id: int | None) -> None:
        if token_id is not None:
            self.convert_ids_to_tokens(token_id)
        self._pad_id = token_id

    @property
    def bos_token(self) -> str | None:
        return self._text_of(self.bos_token_id)

    @property
    def eos_token(self) -> str | None:
        return self._text_of(self.eos_token_id)

    @property
    def unk_token(self) -> str | None:
        return self._text_of(self.unk_token_id)

    @property
    def pad_token(self) -> str | None:
        return self._text_of(self._pad_id)

    @pad_token.setter
    def pad_token(self, token: str | None) -> None:
        if token is not None and token not in self._ids:
            raise ValueError(f"[tokenizer] pad_token: {token!r} is not in the vocabulary")
        self._pad_id = None if token is None else self._ids[token]

    @property
    def all_special_ids(self) -> list[int]:
        return sorted(self._codec.special.values())

    @property
    def all_special_tokens(self) -> list[str]:
        return [self.vocabulary.tokens[token_id] for token_id in self.all_special_ids]

    def _text_of(self, token_id: int | None) -> str | None:
        return None if token_id is None else self.vocabulary.tokens[token_id]

    def convert_ids_to_tokens(self, ids: Any, skip_special_tokens: bool = False) -> Any:
        """Vocabulary entries of ids, or of one id. ValueError for an id outside the vocabulary."""
        listed = to_lists(ids)
        for token_id in [listed] if isinstance(listed, int) else listed:
            self._tokenizer.token_bytes(token_id)  # checks the range
        if isinstance(listed, int):
            return self.vocabulary.tokens[listed]
        kept = [
            token_id for token_id in listed if not (skip_special_tokens and self._codec.is_special(token_id))
        ]
        return [self.vocabulary.tokens[token_id] for token_id in kept]

    def convert_tokens_to_ids(self, tokens: Any) -> Any:
        """Ids of vocabulary entries, or of one; the unknown token's (or None) for others."""
        if isinstance(tokens, str):
            return self._ids.get(tokens, self.unk_token_id)
        return [self._ids.get(token, self.unk_token_id) for token in tokens]

    # ---- text to ids ----------------------------------------------------------------------------------------

    def __call__(
        self,
        text: str | Sequence[str],
        *,
        add_special_tokens: bool = True,
        padding: bool | str = False,
        truncation: bool | str | None = False,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_tensors: str | None = None,
        return_attention_mask: bool | None = None,
        return_token_type_ids: bool | None = None,
        return_length: bool = False,
        tokenizer_kwargs: Mapping[str, Any] | None = None,
        **others: Any,
    ) -> BatchEncoding:
        """input_ids and attention_mask of one text or several: lists, or tensors int64 [n_texts, n_tokens].

        padding: True or "longest", or "max_length" (to `max_length`). truncation: to `max_length`, or to the
        tokenizer's model_max_length. return_tensors: None, "np", or "pt" (without torch: arrays that behave
        alike). return_length: the number of tokens of each text, padding included.
        Raises ValueError for anything but texts, for padding without a padding token, and for arguments of
        transformers' that are not done here (pairs, offsets, overflowing tokens, …: docs/HF.md lists them).
        """
        if tokenizer_kwargs:
            raise ValueError(
                "[tokenizer] tokenizer_kwargs: write its entries as arguments of their own in a call"
            )
        check_call(others)
        check_choices(padding=padding, truncation=truncation)
        if max_length is not None:
            max_length = integer("[tokenizer] max_length", max_length, low=1)
        if pad_to_multiple_of is not None:
            pad_to_multiple_of = integer(
                "[tokenizer] pad_to_multiple_of", pad_to_multiple_of, low=1, high=_MAX_PADDED
            )
        single = isinstance(text, str)
        texts = [text] if isinstance(text, str) else list(text) if isinstance(text, Iterable) else [text]
        if not all(isinstance(item, str) for item in texts):
            raise ValueError(
                "[tokenizer] expected a string or a list of strings (no pairs, no pre-split words)"
            )
        rows = [self._codec.encode(item, add_special_tokens=add_special_tokens) for item in texts]
        if truncation and truncation != "do_not_truncate":
            limit = self.model_max_length if max_length is None else max_length
            rows = [row[:limit] if self.truncation_side == "right" else row[-limit:] for row in rows]
        masks = [[1] * len(row) for row in rows]
        if padding and padding != "do_not_pad":
            longest = max((len(row) for row in rows), default=0)
            if padding == "max_length":
                longest = max(longest, max_length or (self.model_max_length % _NO_LIMIT))
                integer("[tokenizer] max_length", longest, low=0, high=_MAX_PADDED)
            if self._pad_id is None:
                raise ValueError(
                    "[tokenizer] padding: there is no padding token; set tokenizer.pad_token = tokenizer.eos_token"
                )
            rows, masks = pad_rows(
                rows,
                length=longest,
                pad_id=self._pad_id,
                side=padding_side or self.padding_side,
                multiple_of=pad_to_multiple_of,
            )
        return batch_encoding(
            rows,
            masks,
            single=single,
            return_tensors=return_tensors,
            with_mask=return_attention_mask is not False,
            with_types=bool(return_token_type_ids),
            with_length=return_length,
        )

    def encode(self, text: str, *, add_special_tokens: bool = True, **options: Any) -> Any:
        """Only the ids: a list, or a tensor [1, n_tokens]. Options as for a call."""
        return self(text, add_special_tokens=add_special_tokens, **options)["input_ids"]

    def tokenize(self, text: str, *, add_special_tokens: bool = False, **others: Any) -> list[str]:
        """Vocabulary entries of a text. ValueError for other arguments than those of transformers'."""
        check_call(others)
        tokens: list[str] = self.convert_ids_to_tokens(
            self._codec.encode(text, add_special_tokens=add_special_tokens)
        )
        return tokens

    # ---- ids to text ----------------------------------------------------------------------------------------

    def decode(self, token_ids: Any, skip_special_tokens: bool = False, **others: Any) -> Any:
        """Text of ids (a tensor, a list, one id); of several rows a list of texts.

        Bytes that are no UTF-8 become U+FFFD. clean_up_tokenization_spaces=True warns and does nothing, as in
        transformers for these tokenizers. Raises ValueError for ids outside the vocabulary, and unknown arguments.
        """
        check_decoding(others)
        ids = to_lists(token_ids)
        if isinstance(ids, int):
            ids = [ids]
        if ids and isinstance(ids[0], list):
            return [self.decode(row, skip_special_tokens) for row in ids]
        return self._codec.decode(ids, skip_special_tokens=skip_special_tokens)

    def batch_decode(self, sequences: Any, skip_special_tokens: bool = False, **others: Any) -> list[str]:
        """Texts of rows of ids. Arguments as for `decode`."""
        check_decoding(others)
        return [self.decode(row, skip_special_tokens) for row in to_lists(sequences)]

    def _other_tokens(self) -> dict[str, str]:
        """The special tokens, besides BOS and EOS, that transformers passes to templates."""
        named = {"unk_token": self.unk_token, "pad_token": self.pad_token}
        return {name: token for name, token in named.items() if token is not None}

    # ---- chat -----------------------------------------------------------------------------------------------

    def apply_chat_template(
        self,
        conversation: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None = None,
        documents: Sequence[Mapping[str, Any]] | None = None,
        *,
        chat_template: str | None = None,
        add_generation_prompt: bool = False,
        continue_final_message: bool = False,
        sanitize_control_tokens: bool = False,
        return_assistant_tokens_mask: bool = False,
        tokenizer_kwargs: Mapping[str, Any] | None = None,
        tokenize: bool = True,
        return_dict: bool = True,
        **options: Any,
    ) -> Any:
        """The prompt of a conversation: its text (tokenize=False), its encoding, or its ids (return_dict=False).
        Of a list of conversations: of each.

        tools, documents: JSON schemas and texts for the template. Options as for a call, also as tokenizer_kwargs;
        others are names that the template may use, as in transformers.
        Raises ValueError without a template, for messages that do not fit it, and for continue_final_message,
        sanitize_control_tokens and return_assistant_tokens_mask, which are not done here.
        """
        check_chat(
            continue_final_message=continue_final_message,
            sanitize_control_tokens=sanitize_control_tokens,
            return_assistant_tokens_mask=return_assistant_tokens_mask,
        )
        template = chat_template or self.chat_template
        if template is None:
            raise ValueError(
                "[tokenizer] no chat template: pass chat_template=…, or name the family on converting"
            )
        of_a_call = {name: options.pop(name) for name in _CALL_OPTIONS if name in options}
        several = isinstance(conversation, (list, tuple)) and isinstance(next(iter(conversation), None), list)
        conversations: Sequence[Any] = conversation if several else [conversation]
        texts = [
            render(
                template,
                messages,
                bos_token=self.bos_token,
                eos_token=self.eos_token,
                add_generation_prompt=add_generation_prompt,
                tools=tools,
                documents=documents,
                values={**self._other_tokens(), **options},
            )
            for messages in conversations
        ]
        if not tokenize:
            return texts if several else texts[0]
        encoding = self(
            texts if several else texts[0],
            add_special_tokens=False,
            **{**of_a_call, **(tokenizer_kwargs or {})},
        )
        return encoding if return_dict else encoding["input_ids"]
