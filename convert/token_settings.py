"""The added and special tokens that a checkpoint's settings state, gathered as transformers 5 gathers them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from belle_edge.convert.sources.checkpoint import Checkpoint

_NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_LLAMA_NAMES = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
_CONTROL, _USER_DEFINED = 3, 4  # SentencePiece's types


@dataclass
class AddedTokens:
    """Tokens that are cut out of a text before it is encoded. Values are tokenizers.AddedToken, or plain texts."""

    by_id: dict[int, Any] = field(default_factory=dict)
    named: dict[str, Any] = field(default_factory=dict)
    extra: list[Any] = field(default_factory=list)
    extra_is_stated: bool = False

    @property
    def names_by_id(self) -> dict[int, str]:
        return {token_id: token.content for token_id, token in self.by_id.items()}

    def take_pieces(self, model: Any, *, user_defined: bool) -> None:
        """The control pieces of a SentencePiece model, and the user-defined ones if asked for."""
        make = import_module("tokenizers").AddedToken
        kinds = (_CONTROL, _USER_DEFINED) if user_defined else (_CONTROL,)
        pieces = [piece for piece in model.pieces if piece.type in kinds]
        if not user_defined and model.normalizer_spec.add_dummy_prefix:
            self.by_id = {token_id: _as_written(token) for token_id, token in self.by_id.items()}
        if not self.extra_is_stated:
            self.extra = [
                make(piece.piece, normalized=False, special=piece.type == _CONTROL) for piece in pieces
            ]

    def take_names(self, trainer: Any) -> None:
        """The special tokens that a SentencePiece model names, where nothing else does."""
        for kind in ("bos", "eos", "unk"):
            if getattr(trainer, f"{kind}_id") >= 0:
                self.named.setdefault(f"{kind}_token", getattr(trainer, f"{kind}_piece"))

    def add_to(self, encoder: Any) -> None:
        make = import_module("tokenizers").AddedToken
        known = {token.content for token in encoder.get_added_tokens_decoder().values()}
        tokens = [token for _, token in sorted(self.by_id.items())]
        known |= {token.content for token in tokens}
        names = {_text(token) for token in self.named.values()}
        for token in [*self.named.values(), *self.extra]:
            if _text(token) and _text(token) not in known:
                known.add(_text(token))
                tokens.append(make(token, special=True) if isinstance(token, str) else token)
        for token in tokens:
            if token.content in names:
                token.special = True
        if tokens:
            encoder.add_tokens(tokens)


def added_tokens(checkpoint: Checkpoint, settings: Mapping[str, Any], *, is_llama: bool) -> AddedTokens:
    """What tokenizer_config.json states, or where it lists no tokens the older files beside it."""
    values: dict[str, Any] = {**(_LLAMA_NAMES if is_llama else {}), **settings}
    by_id: dict[int, Any] = {}
    if "added_tokens_decoder" in settings:
        by_id = {int(token_id): _token(entry) for token_id, entry in settings["added_tokens_decoder"].items()}
    else:
        values |= _older_file(checkpoint, "special_tokens_map.json")
        extra = values.get("extra_special_tokens") or values.get("additional_special_tokens") or []
        special = {_text(_token(values[name])) for name in _NAMED if values.get(name)}
        special |= {_text(_token(token)) for token in extra}
        for text, token_id in _older_file(checkpoint, "added_tokens.json").items():
            flags = {"normalized": text not in special, "special": text in special}
            by_id[token_id] = _token({"content": text, **flags})
        for entry in (checkpoint.json("tokenizer.json") or {}).get("added_tokens") or []:
            by_id[entry["id"]] = _token(entry)
    by_text = {token.content: token for token in by_id.values()}
    named = {
        name: by_text.get(_text(_token(value)), _token(value))
        for name, value in values.items()
        if name.endswith("_token") and isinstance(value, str | dict) and _text(_token(value))
    }
    extra = values.get("extra_special_tokens") or values.get("additional_special_tokens") or []
    extra = list(extra.values()) if isinstance(extra, dict) else list(extra)
    return AddedTokens(by_id, named, [_token(token) for token in extra], extra_is_stated=bool(extra))


def _token(value: Any) -> Any:
    """A token stated as text or as an object: a text, or a tokenizers.AddedToken."""
    if not isinstance(value, dict):
        return str(value)
    flags = {
        name: bool(value[name])
        for name in ("lstrip", "rstrip", "normalized", "single_word", "special")
        if name in value
    }
    return import_module("tokenizers").AddedToken(str(value.get("content", "")), **flags)


def _as_written(token: Any) -> Any:
    """The token, looked for in the text as it is written."""
    flags = {name: getattr(token, name) for name in ("lstrip", "rstrip", "single_word", "special")}
    return import_module("tokenizers").AddedToken(token.content, normalized=False, **flags)


def _text(token: Any) -> str:
    return token if isinstance(token, str) else str(token.content)


def _older_file(checkpoint: Checkpoint, name: str) -> dict[str, Any]:
    return (checkpoint.json(name) or {}) if checkpoint.files.read(name) else {}
