"""Reads a checkpoint's tokenizer, whatever its files, into the tables that GGUF wants (see vocabulary.py)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from belle_edge.convert.byte_level_tables import is_byte_level, read_byte_level_json
from belle_edge.convert.sentencepiece_tables import read_sentencepiece_json, read_tokenizer_model
from belle_edge.convert.sources.checkpoint import Checkpoint
from belle_edge.convert.sources.files import check_real
from belle_edge.convert.vocabulary import TokenizerTables, TokenType
from belle_edge.errors import BelleError, ConversionError, excerpt
from belle_edge.tokenizer import Tokenizer

_SHOWN = 8  # of added tokens that are left out


def read_tokenizer(checkpoint: Checkpoint, *, n_vocab_rows: int) -> TokenizerTables:
    """The tokenizer of a checkpoint, with exactly one token per row of the embedding.

    tokenizer.model is read directly where there is one (transformers takes minutes for large SentencePiece
    models), else tokenizer.json. Raises ConversionError for kinds GGUF cannot express, and for missing rows.
    """
    if checkpoint.vocabulary is not None:
        return _embedded(checkpoint.vocabulary, n_vocab_rows=n_vocab_rows)
    tokenizer = checkpoint.json("tokenizer.json")
    try:
        tables = _read_tables(checkpoint, tokenizer, n_rows=n_vocab_rows)
    except (TypeError, AttributeError, KeyError, IndexError) as error:
        raise ConversionError(
            f"[tokenizer.json] malformed ({excerpt(str(error))}): download it again"
        ) from error
    tables.huggingface_json = checkpoint.text("tokenizer.json")
    settings = _optional_json(checkpoint, "tokenizer_config.json")
    _add_tokens(tables, _added_tokens(checkpoint, tokenizer, settings), n_vocab_rows=n_vocab_rows)
    _pad(tables, n_vocab_rows=n_vocab_rows)
    _special_ids(tables, checkpoint, settings)
    _settings(tables, settings)
    tables.chat_template = checkpoint.text("chat_template.jinja") or _own_template(settings)
    return tables


def check_loadable(tables: TokenizerTables) -> None:
    """ConversionError for a vocabulary that a GGUF file can hold and no runtime would take: built once, as theirs."""
    try:
        Tokenizer.from_metadata(tables.metadata())
    except BelleError as error:
        raise ConversionError(
            f"[tokenizer] the file could be written, but not loaded: {str(error).removeprefix('[tokenizer] ')}; the"
            " tokenizer's files are damaged or incomplete, download them again"
        ) from None


def _embedded(vocabulary: TokenizerTables, *, n_vocab_rows: int) -> TokenizerTables:
    """The vocabulary that came with the weights; no file has a say in it."""
    tables = copy.deepcopy(vocabulary)
    _add_tokens(tables, {}, n_vocab_rows=n_vocab_rows)
    _pad(tables, n_vocab_rows=n_vocab_rows)
    return tables


def _read_tables(checkpoint: Checkpoint, tokenizer: dict[str, Any] | None, *, n_rows: int) -> TokenizerTables:
    """The base vocabulary. A tokenizer.json of another structure ends in TypeError and its like."""
    model = checkpoint.files.read("tokenizer.model")
    if tokenizer is not None:
        _check_bpe(tokenizer)
        if is_byte_level(tokenizer):
            return read_byte_level_json(tokenizer, n_rows=n_rows)
    if model is not None:
        check_real("tokenizer.model", model)
        return read_tokenizer_model("tokenizer.model", model)
    if tokenizer is None:
        raise ConversionError(
            f"[{checkpoint.files.name}] no tokenizer: expected tokenizer.model or tokenizer.json"
            " (transformers' AutoTokenizer.from_pretrained(...).save_pretrained(...) writes it); --tokenizer names a"
            " folder that has one"
        )
    if tokenizer["model"].get("byte_fallback"):
        return read_sentencepiece_json(tokenizer, n_rows=n_rows)
    raise ConversionError(
        "[tokenizer.json] a BPE neither over bytes nor with byte fallback has no counterpart in GGUF"
    )


def _check_bpe(tokenizer: Mapping[str, Any]) -> None:
    model = tokenizer.get("model")
    kind = model.get("type", "BPE") if isinstance(model, dict) else None
    if kind != "BPE" or not isinstance(model, dict) or not isinstance(model.get("vocab"), dict):
        raise ConversionError(
            f"[tokenizer.json] expected a BPE model with a vocabulary, found type {excerpt(kind)}"
        )


def _added_tokens(
    checkpoint: Checkpoint, tokenizer: Mapping[str, Any] | None, settings: Mapping[str, Any]
) -> dict[int, tuple[str, bool]]:
    """id → (text, special) from the three places where transformers keeps tokens added after training."""
    added: dict[int, tuple[str, bool]] = {}
    plain = _optional_json(checkpoint, "added_tokens.json")
    try:
        for token, token_id in plain.items():
            added[_added_id(token_id)] = (token, False)
        for entry in (tokenizer or {}).get("added_tokens") or []:
            added[_added_id(entry["id"])] = _added_token(entry)
        for key, entry in (settings.get("added_tokens_decoder") or {}).items():
            added[_added_id(int(key) if key.isdecimal() else key)] = _added_token(entry)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConversionError(
            f"[tokenizer] malformed list of added tokens: expected ids from 0 and contents ({excerpt(str(error))})"
        ) from None
    return added


def _added_id(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"id {excerpt(value)}")
    return value


def _added_token(entry: Mapping[str, Any]) -> tuple[str, bool]:
    """(text, whether it is special)."""
    if not isinstance(entry["content"], str):
        raise TypeError(f"content {excerpt(entry['content'])}")
    return entry["content"], bool(entry.get("special"))


def _add_tokens(tables: TokenizerTables, added: Mapping[int, tuple[str, bool]], *, n_vocab_rows: int) -> None:
    """Mark added tokens that the vocabulary has, append those it has not, leave out those without a row."""
    n_base = len(tables.tokens)
    if n_base > n_vocab_rows:
        raise ConversionError(
            f"[tokenizer] {n_base} tokens, but the embedding has only {n_vocab_rows} rows: tokenizer and"
            " weights do not belong together"
        )
    without_row = sorted(token_id for token_id in added if token_id >= n_vocab_rows)
    for token_id in without_row[:_SHOWN]:
        text = excerpt(added[token_id][0])
        tables.warnings.append(f"added token {text} left out: id {excerpt(token_id)}, {n_vocab_rows} rows")
    if len(without_row) > _SHOWN:
        tables.warnings.append(
            f"{len(without_row) - _SHOWN} more added tokens left out: they have no rows, either"
        )
    for token_id, (text, special) in sorted(added.items()):
        if token_id >= n_vocab_rows:
            continue
        _append_unused(tables, "UNUSED", token_id + 1)
        known = tables.types[token_id] not in (TokenType.NORMAL, TokenType.UNUSED)
        if tables.tokens[token_id] == text and known:
            continue  # byte, control or unknown already
        tables.tokens[token_id] = text
        tables.types[token_id] = TokenType.CONTROL if special else TokenType.USER_DEFINED


def _pad(tables: TokenizerTables, *, n_vocab_rows: int) -> None:
    """Unused names for embedding rows beyond the last token."""
    tables.n_padding += max(0, n_vocab_rows - len(tables.tokens))
    _append_unused(tables, "PAD", n_vocab_rows)


def _append_unused(tables: TokenizerTables, name: str, n_tokens: int) -> None:
    """Unused entries, called by their ids, up to `n_tokens` in all."""
    first = len(tables.tokens)
    tables.tokens += [f"[{name}{token_id}]" for token_id in range(first, n_tokens)]
    tables.types += [TokenType.UNUSED] * (n_tokens - first)
    if tables.scores is not None:
        tables.scores += [-10000.0] * (n_tokens - first)


def _special_ids(tables: TokenizerTables, checkpoint: Checkpoint, settings: Mapping[str, Any]) -> None:
    """Special ids as the tokenizer's settings name them, else its own, else config.json's.

    Published LLaMA conversions have bos, eos and unk = "" in tokenizer_config.json, an empty
    special_tokens_map.json, or wrong ids in config.json: an empty name counts as none, and config.json comes
    last.
    """
    ids = {token: token_id for token_id, token in reversed(list(enumerate(tables.tokens)))}
    special_map = _optional_json(checkpoint, "special_tokens_map.json")
    n_tokens = len(tables.tokens)
    for kind in ("bos", "eos", "unk", "pad"):
        named = _token_text(settings.get(f"{kind}_token")) or _token_text(special_map.get(f"{kind}_token"))
        from_config: Any = checkpoint.config.get(f"{kind}_token_id")
        if isinstance(from_config, list) and from_config:
            from_config = from_config[0]
        own = getattr(tables, f"{kind}_id")
        token_id: int | None
        if named in ids:
            token_id = ids[named]
        elif own is not None and own < n_tokens:
            token_id = own
        else:
            valid = (
                isinstance(from_config, int)
                and not isinstance(from_config, bool)
                and 0 <= from_config < n_tokens
            )
            token_id = from_config if valid else None
        setattr(tables, f"{kind}_id", token_id)
        if token_id is not None and tables.types[token_id] in (TokenType.NORMAL, TokenType.USER_DEFINED):
            tables.types[token_id] = TokenType.CONTROL
    if tables.eos_id is None:
        tables.warnings.append("no end-of-sequence token is known: generation stops at its length limit only")


def _settings(tables: TokenizerTables, settings: Mapping[str, Any]) -> None:
    """What tokenizer_config.json says about BOS, EOS and the space in front overrides the defaults."""
    for name, attribute in (("add_bos_token", "add_bos"), ("add_eos_token", "add_eos")):
        if isinstance(settings.get(name), bool):
            setattr(tables, attribute, settings[name])
    prefix = settings.get("add_prefix_space")
    if tables.model == "llama" and isinstance(prefix, bool):
        tables.add_space_prefix = prefix
    if tables.bos_id is None:
        tables.add_bos = False
    if tables.eos_id is None:
        tables.add_eos = False


def _optional_json(checkpoint: Checkpoint, name: str) -> dict[str, Any]:
    """A JSON object that may be absent, or a file of no bytes, as some published ones are."""
    return (checkpoint.json(name) or {}) if checkpoint.files.read(name) else {}


def _own_template(settings: Mapping[str, Any]) -> str | None:
    """The source's chat template; of several named ones the default."""
    template = settings.get("chat_template")
    if isinstance(template, list):
        named = {entry.get("name"): entry.get("template") for entry in template if isinstance(entry, dict)}
        template = named.get("default")
    return template if isinstance(template, str) and template else None


def _token_text(value: Any) -> str:
    """A special token's text, given as text or as {"content": text}; "" for none."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else ""
