"""A tokenizer as llguidance needs it: the bytes of each token, and how forced text becomes tokens."""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from ..errors import BackendMissingError
from ..process_lock import ModuleLock
from ..text.vocabulary import TokenType

if TYPE_CHECKING:
    from ..text.tokenizer import Tokenizer

_SPECIAL = b"\xff"  # no UTF-8 text has this byte: llguidance marks with it what stands for no text
_TEXT = frozenset({TokenType.NORMAL, TokenType.USER_DEFINED, TokenType.BYTE})
_TOKENIZERS: WeakKeyDictionary[Tokenizer, Any] = WeakKeyDictionary()
_LOCK = ModuleLock()


def guidance() -> Any:
    """The package llguidance. BackendMissingError without it."""
    try:
        import llguidance
    except ImportError:
        raise BackendMissingError(
            "[constraint] schema, grammar, regex and choice need the package llguidance: "
            "pip install 'belle-edge[schema]'"
        ) from None
    return llguidance


def guidance_tokenizer(tokenizer: Tokenizer) -> Any:
    """llguidance's view of `tokenizer`, an LLTokenizer; made once, which takes seconds for a large vocabulary."""
    with _LOCK:
        made = _TOKENIZERS.get(tokenizer)
        if made is None:
            package = guidance()
            words = _Words(tokenizer)
            wrapper = package.TokenizerWrapper(words)
            # In two steps, each of which holds up all other threads of the process for a part of a second.
            whole = package.LLTokenizer(
                wrapper, n_vocab=len(words.tokens), eos_token=words.end_ids, slices=[]
            )
            time.sleep(0.001)
            made = whole.with_slices(package.LLTokenizer.general_slices())
            _TOKENIZERS[tokenizer] = made
        return made


class _Words:
    """What llguidance asks of a tokenizer; its names are that package's."""

    bos_token_id = None

    def __init__(self, tokenizer: Tokenizer) -> None:
        vocabulary = tokenizer.vocabulary
        self._tokenizer = tokenizer
        self.tokens = [self._bytes_of(token_id) for token_id in range(len(tokenizer))]
        self.end_ids = sorted(
            vocabulary.end_ids, key=lambda token_id: (token_id != vocabulary.eos_id, token_id)
        )
        if (
            not self.end_ids
        ):  # llguidance wants one; this one is beyond the rows of the model, so it never comes
            self.end_ids = [len(self.tokens)]
            self.tokens.append(_SPECIAL + b"<end>")
        self.eos_token_id = self.end_ids[0]
        self.special_token_ids = [
            token_id for token_id, data in enumerate(self.tokens) if data.startswith(_SPECIAL)
        ]

    def __call__(self, text: str) -> list[int]:
        """How the tokenizer writes `text` in the middle of others; by the longest tokens where it cannot."""
        if not isinstance(text, str):
            raise TypeError("expected a text")  # so that the wrapper hands out none but valid ones
        ids = self._tokenizer.encode_inside(text)
        data = text.encode()
        return ids if b"".join(self.tokens[token_id] for token_id in ids) == data else self._longest(data)

    def _bytes_of(self, token_id: int) -> bytes:
        """The bytes of a token in a text; marked for one that is no part of a text."""
        vocabulary = self._tokenizer.vocabulary
        data = b""
        if vocabulary.types[token_id] in _TEXT and token_id not in vocabulary.end_ids:
            data = self._tokenizer.token_bytes(token_id)
        if data and not data.startswith(_SPECIAL):
            return data
        return _SPECIAL + vocabulary.tokens[token_id].encode("utf-8", "replace")

    @cached_property
    def _ids(self) -> dict[bytes, int]:
        return {data: token_id for token_id, data in reversed(list(enumerate(self.tokens)))}

    def _longest(self, data: bytes) -> list[int]:
        """`data` up to the first byte that no token has."""
        ids: list[int] = []
        most = max(map(len, self._ids))
        while data:
            length = next((n for n in range(min(most, len(data)), 0, -1) if data[:n] in self._ids), 0)
            if length == 0:
                break
            ids.append(self._ids[data[:length]])
            data = data[length:]
        return ids
