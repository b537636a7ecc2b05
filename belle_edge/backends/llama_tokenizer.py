"""llama.cpp's own tokenizer behind the interface of ours, for vocabularies that ours does not know."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from typing import Any

from ..errors import UnsupportedModelError
from ..text.encoders import byte_alphabet
from ..text.long_text import LongText
from ..text.tokenizer import Tokenizer, too_long
from ..text.vocabulary import Metadata, TokenType, Vocabulary
from .llama_library import Library

_TYPES = (  # bits of llama_token_attr, the first that is set counts
    (1 << 3, TokenType.CONTROL),
    (1 << 0, TokenType.UNKNOWN),
    (1 << 1, TokenType.UNUSED),
    (1 << 5, TokenType.BYTE),
    (1 << 4, TokenType.USER_DEFINED),
)
_NO_VOCABULARY = 0  # LLAMA_VOCAB_TYPE_NONE
_WITHOUT_PIECE = (TokenType.CONTROL, TokenType.UNUSED, TokenType.UNKNOWN)


class LlamaTokenizer(Tokenizer):
    """Encodes and decodes as llama.cpp does. It owns a copy of the vocabulary, so it outlives the model."""

    def __init__(self, library: Library, path: Path, metadata: Metadata) -> None:
        """UnsupportedModelError or ModelFormatError where llama.cpp cannot read the vocabulary either."""
        self._api = library.api
        self._model = library.load_model(path, extra_buffers=False, vocabulary_only=True)
        self._vocab = self._api.llama_model_get_vocab(self._model)
        if self._api.llama_vocab_type(self._vocab) == _NO_VOCABULARY:
            raise UnsupportedModelError(f"[tokenizer] {path.name} carries no vocabulary")
        self._encode_plain = self._tokenize
        self._long_text = None  # where its texts may be cut is not known here
        self.vocabulary = self._tables(metadata)
        self._special = self.vocabulary.texts_of({TokenType.CONTROL, TokenType.UNKNOWN})
        longest_first = sorted(self._special, key=len, reverse=True)
        self._special_pattern = re.compile(f"({'|'.join(map(re.escape, longest_first))})")
        self._bound = _length_bound(self.vocabulary)
        self._added, self._added_pattern = {}, re.compile("((?!))")  # llama.cpp finds these itself

    def encode(
        self,
        text: str,
        *,
        add_bos: bool | None = None,
        add_eos: bool | None = None,
        parse_special: bool = False,
        guard: str = "",
        limit: int | None = None,
    ) -> list[int]:
        if limit is not None and self._bound is not None:
            self._check_length(text.replace(guard, "") if guard else text, limit)
        if not parse_special or (guard and guard in text):  # then the control tokens are cut out by us
            return super().encode(
                text,
                add_bos=add_bos,
                add_eos=add_eos,
                parse_special=parse_special,
                guard=guard,
                limit=limit,
            )
        before = super().encode("", add_bos=add_bos, add_eos=False)
        after = super().encode("", add_bos=False, add_eos=add_eos)
        return before + self._tokenize(text, parse_special=True) + after

    def token_bytes(self, token_id: int, *, skip_special: bool = True) -> bytes:
        vocabulary = self.vocabulary
        if not 0 <= token_id < len(vocabulary) or vocabulary.types[token_id] in _WITHOUT_PIECE:
            return super().token_bytes(token_id, skip_special=skip_special)
        return self._piece(token_id)

    def __del__(self) -> None:
        if model := getattr(self, "_model", None):
            self._api.llama_model_free(model)

    def _check_length(self, text: str, limit: int) -> None:
        """ValueError for a text that must have more tokens. White space does not count: some control tokens take it
        in."""
        words = "".join(text.split())
        n_bytes = len(words.encode("utf-8", "replace"))
        if self._bound is not None and self._bound.fewest_tokens(len(words), n_bytes) > limit:
            raise too_long(limit)

    def _tokenize(self, text: str, *, parse_special: bool = False) -> list[int]:
        if not text:
            return []
        try:
            data = text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"[tokenizer] the text is not valid Unicode: lone surrogate at index {error.start}"
            ) from None
        room = len(data) + 2
        while True:
            ids = (ctypes.c_int32 * room)()
            count = self._api.llama_tokenize(self._vocab, data, len(data), ids, room, False, parse_special)
            if count >= 0:
                return ids[:count]
            room = -count

    def _piece(self, token_id: int) -> bytes:
        room = 64
        while True:
            buffer = ctypes.create_string_buffer(room)
            count = int(self._api.llama_token_to_piece(self._vocab, token_id, buffer, room, 0, False))
            if count >= 0:
                return buffer.raw[:count]
            room = -count

    def _tables(self, metadata: Metadata) -> Vocabulary:
        api, vocab = self._api, self._vocab
        ids = range(api.llama_vocab_n_tokens(vocab))
        bos_id = _existing(api.llama_vocab_bos(vocab))
        eos_id = _existing(api.llama_vocab_eos(vocab))
        return Vocabulary(
            model=str(metadata.get("tokenizer.ggml.model")),
            pre=str(metadata.get("tokenizer.ggml.pre") or ""),
            tokens=[
                (api.llama_vocab_get_text(vocab, index) or b"").decode("utf-8", "replace") for index in ids
            ],
            types=[_type_of(api.llama_vocab_get_attr(vocab, index)) for index in ids],
            scores=[0.0] * len(ids),
            merges=[],
            bos_id=bos_id,
            eos_id=eos_id,
            unknown_id=None,
            padding_id=_existing(api.llama_vocab_pad(vocab)),
            end_ids=frozenset(index for index in ids if api.llama_vocab_is_eog(vocab, index)),
            add_bos=bos_id is not None and bool(api.llama_vocab_get_add_bos(vocab)),
            add_eos=eos_id is not None and bool(api.llama_vocab_get_add_eos(vocab)),
            add_space_prefix=b"".join(map(self._piece, self._tokenize("a"))).startswith(b" "),
        )


def _length_bound(vocabulary: Vocabulary) -> LongText | None:
    """What knows the fewest tokens of a text, where every character of one must come out as tokens."""
    if vocabulary.model == "gpt2" and not byte_alphabet().keys() <= set(vocabulary.tokens):
        return None  # llama.cpp leaves out what no token stands for
    return LongText(vocabulary) if vocabulary.model in ("gpt2", "llama") else None


def _type_of(attributes: Any) -> int:
    return int(next((kind for bit, kind in _TYPES if attributes & bit), TokenType.NORMAL))


def _existing(token_id: int) -> int | None:
    return token_id if token_id >= 0 else None
