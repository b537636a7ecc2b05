"""A SentencePiece model as transformers 5 rebuilds it on `tokenizers`: merges from the pieces, spaces by its flags."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from belle_edge.errors import ConversionError

_NORMAL, _USER_DEFINED = 1, 4


def parse_model(name: str, content: bytes) -> Any:
    """The file as a ModelProto. ConversionError when it is damaged."""
    protocol: Any = import_module("sentencepiece.sentencepiece_model_pb2")
    decode_error: Any = import_module("google.protobuf.message").DecodeError
    model = protocol.ModelProto()
    try:
        model.ParseFromString(content)
    except decode_error:
        raise ConversionError(f"[{name}] damaged SentencePiece model: download it again") from None
    if not model.pieces:
        raise ConversionError(f"[{name}] a SentencePiece model without pieces")
    return model


def merges_by_id(vocabulary: Mapping[str, int]) -> list[tuple[str, str]]:
    """All pairs of pieces that make a piece, the one with the lowest id first."""
    merges = []
    for piece, piece_id in vocabulary.items():
        pairs = [
            (piece[:at], piece[at:])
            for at in range(1, len(piece))
            if piece[:at] in vocabulary and piece[at:] in vocabulary
        ]
        pairs.sort(key=lambda pair: (vocabulary[pair[0]], vocabulary[pair[1]]))
        merges += [(piece_id, left, right) for left, right in pairs]
    merges.sort(key=lambda merge: (merge[0], len(merge[1]), len(merge[2])))
    return [(left, right) for _, left, right in merges]


def from_sentencepiece(model: Any, *, legacy: bool, names: Mapping[int, str]) -> Any:
    """The general class's tokenizer of a BPE model: merges by score, the normalizer's flags obeyed."""
    tokenizers = import_module("tokenizers")
    texts = [names.get(index, piece.piece) for index, piece in enumerate(model.pieces)]
    user_defined = [texts[i] for i, piece in enumerate(model.pieces) if piece.type == _USER_DEFINED]
    encoder = tokenizers.Tokenizer(
        tokenizers.models.BPE(
            vocab={text: index for index, text in enumerate(texts)},
            merges=_merges_by_score(model, texts),
            unk_token=model.trainer_spec.unk_piece,
            fuse_unk=True,
            byte_fallback=model.trainer_spec.byte_fallback,
            ignore_merges=bool(user_defined),
        )
    )
    encoder.normalizer = tokenizers.normalizers.Sequence(_normalizers(model.normalizer_spec, legacy=legacy))
    steps: list[Any] = []
    if model.normalizer_spec.add_dummy_prefix:
        scheme = "always" if legacy else "first"
        steps.append(tokenizers.pre_tokenizers.Metaspace(replacement="▁", prepend_scheme=scheme, split=False))
    if user_defined:
        pattern = "|".join(re.escape(text) for text in sorted(user_defined, key=len, reverse=True))
        steps.append(tokenizers.pre_tokenizers.Split(tokenizers.Regex(pattern), behavior="isolated"))
    if steps:
        encoder.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(steps)
    return encoder


def _merges_by_score(model: Any, texts: list[str]) -> list[tuple[str, str]]:
    normal = {texts[i]: (-piece.score, i) for i, piece in enumerate(model.pieces) if piece.type == _NORMAL}
    ranked = [
        (*rank, text[:at], text[at:])
        for text, rank in normal.items()
        for at in range(1, len(text))
        if text[:at] in normal and text[at:] in normal
    ]
    return [(left, right) for _, _, left, right in sorted(ranked)]


def _normalizers(spec: Any, *, legacy: bool) -> list[Any]:
    tokenizers = import_module("tokenizers")
    replace, regex = tokenizers.normalizers.Replace, tokenizers.Regex
    steps: list[Any] = []
    if spec.precompiled_charsmap:
        steps.append(tokenizers.normalizers.Precompiled(spec.precompiled_charsmap))
    if spec.remove_extra_whitespaces:
        steps += [replace(regex(r"\A +| +\z"), ""), replace(regex(" {2,}"), " ")]
    if spec.escape_whitespaces:
        steps.append(replace(" ", "▁"))
    if spec.add_dummy_prefix and legacy:
        steps.append(replace(regex(r"\A▁"), "▁▁"))
    return steps
