"""Text ↔ ids with special tokens, exactly as transformers' tokenizers do it, on the tables of a GGUF file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from ..text.tokenizer import Tokenizer
from ..text.vocabulary import TokenType

_REPLACEMENT = "\ufffd"
_ROW_WITHOUT_TOKEN = re.compile(r"\[(PAD|UNUSED)(\d+)\]")  # the converter's names for spare embedding rows


class Codec:
    """Encodes texts in which special tokens count as such; decodes them back to their texts."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.vocabulary = tokenizer.vocabulary
        self.special = self.vocabulary.texts_of({TokenType.CONTROL, TokenType.UNKNOWN})  # text -> id
        self.n_tokens = self._count_tokens()  # entries, without the names of spare embedding rows at the end
        # No cached_property: before Python 3.12 it holds a lock meanwhile, which a forked child would wait for.
        self._as_transformers: Tokenizer | None = None

    def _count_tokens(self) -> int:
        types, tokens = self.vocabulary.types, self.vocabulary.tokens
        n_tokens = len(tokens)
        while n_tokens and types[n_tokens - 1] == TokenType.UNUSED and _is_spare(tokens[n_tokens - 1]):
            n_tokens -= 1
        return n_tokens

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """Ids of `text`, with BOS and EOS as the file's settings say if `add_special_tokens`."""
        return self._encoder.encode(
            text,
            add_bos=None if add_special_tokens else False,
            add_eos=None if add_special_tokens else False,
            parse_special=True,
        )

    @property
    def _encoder(self) -> Tokenizer:
        """The file's tokenizer; where the file does not say which parts of a text get SentencePiece's space, with the
        scheme of transformers since 5: the whole text, unless it starts with a space."""
        vocabulary = self.vocabulary
        if vocabulary.space_prefix is not None or not vocabulary.add_space_prefix:
            return self._tokenizer
        if self._as_transformers is None:
            self._as_transformers = Tokenizer(replace(vocabulary, space_prefix="first"))
        return self._as_transformers

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool) -> str:
        """Text of `ids`; bytes that are no UTF-8 become U+FFFD. ValueError for an id outside the vocabulary."""
        kept = [token_id for token_id in ids if not (skip_special_tokens and self.is_special(token_id))]
        if self.vocabulary.model == "gpt2":
            return b"".join(map(self._bytes, kept)).decode("utf-8", "replace")
        text = self._join_pieces(kept)
        return text.removeprefix(" ") if self.vocabulary.add_space_prefix else text

    def _join_pieces(self, ids: Sequence[int]) -> str:
        """SentencePiece: a run of byte pieces is UTF-8 as a whole, or U+FFFD for each of its bytes."""
        text, run = "", b""
        for token_id in ids:
            data = self._bytes(token_id)
            if self.vocabulary.types[token_id] == TokenType.BYTE:
                run += data
                continue
            text += _byte_run(run) + data.decode("utf-8", "replace")
            run = b""
        return text + _byte_run(run)

    def _bytes(self, token_id: int) -> bytes:
        if _is_spare(self.vocabulary.tokens[token_id]) if 0 <= token_id < len(self.vocabulary) else False:
            return b""
        return self._tokenizer.token_bytes(token_id, skip_special=False)

    def is_special(self, token_id: int) -> bool:
        known = 0 <= token_id < len(self.vocabulary)
        return known and self.vocabulary.types[token_id] in (TokenType.CONTROL, TokenType.UNKNOWN)


def _is_spare(token: str) -> bool:
    return _ROW_WITHOUT_TOKEN.fullmatch(token) is not None


def _byte_run(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return _REPLACEMENT * len(data)
