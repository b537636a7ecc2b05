"""The vocabulary in a file from before GGUF → GGUF's tokenizer tables: LLaMA's layout of a SentencePiece vocabulary.

The file has texts and scores only. What else a tokenizer says is LLaMA's: unknown, beginning and end as the first
three, the 256 bytes after them, a space put in front of a text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from belle_edge.convert.gguf_tokenizer import TokenizerTables
from belle_edge.convert.sources.ggml.legacy_file import GgmlFile
from belle_edge.errors import ConversionError
from belle_edge.text.vocabulary import TokenType

_SPECIAL = (("<unk>", TokenType.UNKNOWN), ("<s>", TokenType.CONTROL), ("</s>", TokenType.CONTROL))
_BYTES = [bytes([value]) for value in range(256)]
_FIRST_TEXT = len(_SPECIAL) + len(_BYTES)
_INSTEAD = "give a folder with the model's tokenizer as --tokenizer"


def read_vocabulary(name: str, file: GgmlFile) -> TokenizerTables:
    """Tables of one token per entry. ConversionError for a vocabulary without scores, or of another layout."""
    if file.scores is None:
        raise ConversionError(
            f"[{name}] {file.format.name} files have no scores of tokens, and texts cannot be split without them:"
            f" {_INSTEAD}"
        )
    if file.tokens[len(_SPECIAL) : _FIRST_TEXT] != _BYTES:
        raise ConversionError(
            f"[{name}] tokens 3 to 258: expected the 256 bytes, as LLaMA's vocabulary has them: {_INSTEAD}"
        )
    if not all(map(math.isfinite, file.scores)):
        raise ConversionError(f"[{name}] a token's score is not finite: the file is damaged, or {_INSTEAD}")
    texts = [_text(name, token_id, text) for token_id, text in enumerate(file.tokens)]
    _check_unique(name, texts)
    types = [_type(token_id, text) for token_id, text in enumerate(file.tokens)]
    return TokenizerTables(
        model="llama",
        pre="default",
        tokens=texts,
        scores=list(file.scores),
        types=types,
        bos_id=1,
        eos_id=2,
        unk_id=0,
        add_bos=True,
        add_eos=False,
        add_space_prefix=True,
    )


def _text(name: str, token_id: int, text: bytes) -> str:
    """SentencePiece's spelling: spaces are ▁, bytes and special tokens have names."""
    if token_id < len(_SPECIAL):
        return _SPECIAL[token_id][0]
    if token_id < _FIRST_TEXT:
        return f"<0x{text[0]:02X}>"
    if not text:  # a control token: its name is not in the file
        return f"[CONTROL{token_id}]"
    try:
        return text.decode("utf-8").replace(" ", "▁")
    except UnicodeDecodeError:
        raise ConversionError(
            f"[{name}] token {token_id}: expected UTF-8, got {text[:16]!r}; the file is damaged, or {_INSTEAD}"
        ) from None


def _type(token_id: int, text: bytes) -> TokenType:
    if token_id < len(_SPECIAL):
        return _SPECIAL[token_id][1]
    if token_id < _FIRST_TEXT:
        return TokenType.BYTE
    return TokenType.NORMAL if text else TokenType.CONTROL


def _check_unique(name: str, texts: Sequence[str]) -> None:
    """ConversionError for a text that two tokens have: no runtime could tell them apart."""
    known: dict[str, int] = {}
    for token_id, text in enumerate(texts):
        first = known.setdefault(text, token_id)
        if first != token_id:
            raise ConversionError(
                f"[{name}] tokens {first} and {token_id} have the same text {text[:32]!r}; the file is damaged, or"
                f" {_INSTEAD}"
            )
