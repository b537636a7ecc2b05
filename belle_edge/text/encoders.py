"""Encoders for plain text, built from the tables of a vocabulary: byte-level BPE and SentencePiece."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ..errors import ModelFormatError
from .vocabulary import TokenType, Vocabulary

_SPACE_MARK = "\u2581"  # SentencePiece's stand-in for a space
_PLACEHOLDER = "\ufffd"
_KNOWN_TYPES = frozenset(TokenType)


def bpe_encoder(vocabulary: Vocabulary) -> Callable[[str], list[int]]:
    from tokenizers import Regex, models, pre_tokenizers
    from tokenizers import Tokenizer as HfTokenizer

    splits = vocabulary.splits
    if splits is None:
        raise ValueError("[tokenizer] a byte-level vocabulary needs a pre-tokenizer")
    kept = (TokenType.NORMAL, TokenType.CONTROL, TokenType.UNKNOWN, TokenType.USER_DEFINED, TokenType.BYTE)
    ids = {text: token_id for text, token_id in vocabulary.texts_of(kept).items() if _is_unicode(text)}
    missing = sorted(set(pre_tokenizers.ByteLevel.alphabet()) - ids.keys())
    unknown = None if vocabulary.unknown_id is None else vocabulary.tokens[vocabulary.unknown_id]
    if missing and unknown not in ids:
        raise ModelFormatError(
            f"[tokenizer] {len(missing)} of 256 byte tokens are missing, the first is '{missing[0]}'"
        )
    merges = [_pair(merge, ids) for merge in vocabulary.merges]
    options: dict[str, Any] = {"ignore_merges": True} if splits.whole_words_first else {}
    if missing:
        options["unk_token"] = unknown
    try:
        model = models.BPE(ids, merges, **options)
    except Exception as error:  # the library raises plain Exception
        raise ModelFormatError(
            f"[tokenizer] tokenizer.ggml.merges does not fit the vocabulary: {error}"
        ) from error
    tokenizer = HfTokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            *(pre_tokenizers.Split(Regex(step), "isolated") for step in splits.steps),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


def _pair(merge: str, ids: dict[str, int]) -> tuple[str, str]:
    """The two sides of a merge, checked: the library ends in a panic for some results that are no tokens."""
    left, _, right = merge.partition(" ")
    if left not in ids or right not in ids or left + right not in ids:
        raise ModelFormatError(
            f"[tokenizer] tokenizer.ggml.merges does not fit the vocabulary: "
            f"'{_shortened(merge)}' joins or makes something that is no token"
        )
    return left, right


def _shortened(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}…"


def sentencepiece_encoder(vocabulary: Vocabulary) -> Callable[[str], list[int]]:
    import sentencepiece.sentencepiece_model_pb2 as model_pb2
    from sentencepiece import SentencePieceProcessor

    proto = model_pb2.ModelProto()  # type: ignore[attr-defined]
    kinds = _sentencepiece_types(vocabulary)
    seen: set[str] = set()
    for token_id, (text, score) in enumerate(zip(vocabulary.tokens, vocabulary.scores, strict=True)):
        if not text or text in seen or not _is_unicode(text):  # refused by the library; nothing encodes to it
            text = f"{_PLACEHOLDER}{token_id}"
            if kinds[token_id] != TokenType.UNKNOWN:
                kinds[token_id] = int(TokenType.CONTROL)
        seen.add(text)
        proto.pieces.add(piece=text, score=score, type=kinds[token_id])
    if TokenType.UNKNOWN not in kinds and TokenType.BYTE not in kinds:
        raise ModelFormatError(
            "[tokenizer] neither an unknown piece nor all 256 byte pieces: not every text could be encoded"
        )
    if TokenType.UNKNOWN not in kinds:  # the library wants one; bytes stand for everything, so it is not used
        proto.pieces.add(piece=f"{_PLACEHOLDER}unknown", score=0.0, type=int(TokenType.UNKNOWN))
    proto.trainer_spec.model_type = model_pb2.TrainerSpec.BPE  # type: ignore[attr-defined]
    proto.trainer_spec.byte_fallback = TokenType.BYTE in kinds
    proto.normalizer_spec.name = "identity"
    proto.normalizer_spec.add_dummy_prefix = vocabulary.add_space_prefix
    proto.normalizer_spec.remove_extra_whitespaces = False
    proto.normalizer_spec.escape_whitespaces = True
    processor = SentencePieceProcessor()
    try:
        processor.LoadFromSerializedProto(proto.SerializeToString())
    except RuntimeError as error:
        raise ModelFormatError(f"[tokenizer] the SentencePiece tables are inconsistent: {error}") from error
    return lambda text: processor.EncodeAsIds(text)


def _sentencepiece_types(vocabulary: Vocabulary) -> list[int]:
    """The types as the library accepts them: one unknown piece at most, byte pieces all or none."""
    kinds = [int(kind) if kind in _KNOWN_TYPES else int(TokenType.NORMAL) for kind in vocabulary.types]
    unknown = [token_id for token_id, kind in enumerate(kinds) if kind == TokenType.UNKNOWN]
    for token_id in unknown[1:]:
        kinds[token_id] = int(TokenType.CONTROL)
    if not unknown and vocabulary.unknown_id is not None:
        kinds[vocabulary.unknown_id] = int(TokenType.UNKNOWN)
    byte_texts = {
        vocabulary.tokens[token_id] for token_id, kind in enumerate(kinds) if kind == TokenType.BYTE
    }
    if byte_texts and byte_texts != {f"<0x{value:02X}>" for value in range(256)}:
        kinds = [int(TokenType.CONTROL) if kind == TokenType.BYTE else kind for kind in kinds]
    return kinds


def sentencepiece_bytes(text: str, kind: int) -> bytes:
    if kind == TokenType.BYTE and re.fullmatch("<0x[0-9A-Fa-f]{2}>", text):
        return bytes([int(text[3:5], 16)])
    return _stored_bytes(text.replace(_SPACE_MARK, " "))


def byte_alphabet() -> dict[str, int]:
    """GPT-2's: character -> byte. Printable bytes stand for themselves, others for U+0100…"""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [value for value in range(256) if value not in printable]
    to_byte = {chr(value): value for value in printable}
    return to_byte | {chr(0x100 + index): value for index, value in enumerate(others)}


def byte_level_bytes() -> Callable[[str, int], bytes]:
    """The inverse of GPT-2's byte alphabet."""
    to_byte = byte_alphabet()

    def to_bytes(text: str, kind: int) -> bytes:
        if kind != TokenType.USER_DEFINED and all(char in to_byte for char in text):
            return bytes(to_byte[char] for char in text)
        return _stored_bytes(text)

    return to_bytes


def _is_unicode(text: str) -> bool:
    """False for an entry that is not UTF-8 in the file: its bytes were read as lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _stored_bytes(text: str) -> bytes:
    """The bytes of an entry as the file has them, also where they are not UTF-8."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # surrogates that stand for no byte
        return text.encode("utf-8", "replace")
