"""Reads a checkpoint's tokenizer, whatever its files, into the tables that GGUF wants (see gguf_tokenizer.py)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from belle_edge.convert.byte_level_tables import is_byte_level, read_byte_level_json
from belle_edge.convert.gguf_tokenizer import TokenizerTables
from belle_edge.convert.sentencepiece_reference import parse_model
from belle_edge.convert.sentencepiece_tables import (
    read_sentencepiece_json,
    read_tokenizer_model,
    same_vocabulary,
)
from belle_edge.convert.source_tokenizer import SourceTokenizer, class_of, optional_json, source_tokenizer
from belle_edge.convert.sources.checkpoint import Checkpoint
from belle_edge.convert.sources.checkpoint_files import check_real
from belle_edge.convert.special_ids import set_end_ids, set_special_ids, set_surroundings
from belle_edge.convert.text_rules import refuse_unknown_options, rules_of
from belle_edge.convert.tokenizer_comparison import compare_tokenizers
from belle_edge.errors import BelleError, ConversionError, excerpt
from belle_edge.text.tokenizer import Tokenizer
from belle_edge.text.vocabulary import TokenType

_SHOWN = 8  # of added tokens that are left out


def read_tokenizer(checkpoint: Checkpoint, *, n_vocab_rows: int) -> TokenizerTables:
    """The tokenizer of a checkpoint, with exactly one token per row of the embedding.

    tokenizer.json counts where there is one, as in transformers; scores come from a tokenizer.model that agrees with
    it. `source` of the result is the tokenizer that the tables are to be compared with.
    Raises ConversionError for kinds GGUF cannot express, and for missing rows.
    """
    if checkpoint.vocabulary is not None:
        return _embedded(checkpoint.vocabulary, n_vocab_rows=n_vocab_rows)
    tokenizer = checkpoint.json("tokenizer.json")
    settings = optional_json(checkpoint, "tokenizer_config.json")
    try:
        tables = _read_tables(checkpoint, tokenizer, settings, n_rows=n_vocab_rows)
    except (TypeError, AttributeError, KeyError, IndexError) as error:
        raise ConversionError(
            f"[tokenizer.json] malformed ({excerpt(str(error))}): download it again"
        ) from error
    tables.huggingface_json = checkpoint.text("tokenizer.json")
    added = _added_tokens(checkpoint, tokenizer, settings)
    tables.source = _source(checkpoint, tables)
    if tables.source is not None:
        _complete(added, tables.source)
    _add_tokens(tables, added, n_vocab_rows=n_vocab_rows)
    _pad(tables, n_vocab_rows=n_vocab_rows)
    set_special_ids(tables, checkpoint, settings)
    set_end_ids(tables, checkpoint)
    set_surroundings(tables, settings, has_json=tokenizer is not None)
    _set_strips(tables)
    tables.chat_template = checkpoint.text("chat_template.jinja") or _own_template(settings)
    return tables


def check_tables(tables: TokenizerTables) -> None:
    """Build the vocabulary once, as runtimes will, and compare it with the source's tokenizer, which is let go.

    ConversionError for one that a GGUF file can hold and no runtime would take.
    """
    try:
        tokenizer = Tokenizer.from_metadata(tables.metadata())
    except BelleError as error:
        raise ConversionError(
            f"[tokenizer] the file could be written, but not loaded: {str(error).removeprefix('[tokenizer] ')}; the"
            " tokenizer's files are damaged or incomplete, download them again"
        ) from None
    if tables.source is None:
        return
    tables.comparison = compare_tokenizers(tokenizer, tables.source)
    tables.source = None
    if tables.comparison.line is not None:
        tables.warnings.append(tables.comparison.line)


def _source(checkpoint: Checkpoint, tables: TokenizerTables) -> SourceTokenizer | None:
    """The source's own tokenizer; a warning where there is none to compare with."""
    try:
        source = source_tokenizer(checkpoint)
    except ConversionError as error:
        tables.warnings.append(f"{error}: the file's tokenizer could not be compared with it")
        return None
    if source is not None and source.unknown_class is not None:
        tables.warnings.append(
            f"tokenizer_class {excerpt(source.unknown_class)} may have rules of its own, which are not known here;"
            " compared as PreTrainedTokenizerFast"
        )
    return source


def _complete(added: dict[int, tuple[str, bool]], source: SourceTokenizer) -> None:
    """Add the tokens that the source's tokenizer has besides those listed.

    One that is listed under another id keeps it: the comparison of texts says so.
    """
    listed = {text: token_id for token_id, (text, _) in added.items()}
    for token_id, token in source.added.items():
        if listed.get(token.content, token_id) != token_id:
            continue
        text, _ = added.get(token_id, (token.content, False))
        if text == token.content:
            added[token_id] = (text, bool(token.special))


def _set_strips(tables: TokenizerTables) -> None:
    """The added tokens that take in the white space around them."""
    if tables.source is None:
        return
    for token_id, token in sorted(tables.source.added.items()):
        if token_id < len(tables.tokens) and tables.tokens[token_id] == token.content:
            if token.lstrip:
                tables.strip_left.append(token_id)
            if token.rstrip:
                tables.strip_right.append(token_id)


def _embedded(vocabulary: TokenizerTables, *, n_vocab_rows: int) -> TokenizerTables:
    """The vocabulary that came with the weights; no file has a say in it."""
    tables = copy.deepcopy(vocabulary)
    _add_tokens(tables, {}, n_vocab_rows=n_vocab_rows)
    _pad(tables, n_vocab_rows=n_vocab_rows)
    return tables


def _read_tables(
    checkpoint: Checkpoint, tokenizer: dict[str, Any] | None, settings: dict[str, Any], *, n_rows: int
) -> TokenizerTables:
    """The base vocabulary. A tokenizer.json of another structure ends in TypeError and its like."""
    model = checkpoint.files.read("tokenizer.model")
    if tokenizer is not None:
        _check_bpe(tokenizer)
        if is_byte_level(tokenizer):
            return read_byte_level_json(tokenizer, n_rows=n_rows)
    elif model is None:
        raise ConversionError(
            f"[{checkpoint.files.name}] no tokenizer: expected tokenizer.model or tokenizer.json"
            " (transformers' AutoTokenizer.from_pretrained(...).save_pretrained(...) writes it); --tokenizer names a"
            " folder that has one"
        )
    class_name, _ = class_of(checkpoint, settings)
    if model is not None:
        check_real("tokenizer.model", model)
    if tokenizer is None:
        assert model is not None
        tables = read_tokenizer_model("tokenizer.model", model)
        rules = rules_of(None, parse_model("tokenizer.model", model), class_name, settings)
    else:
        tables = _of_both(tokenizer, model, n_rows=n_rows)
        rules = rules_of(tokenizer, None, class_name, settings)
    tables.add_space_prefix, tables.space_prefix = rules.add_space_prefix, rules.space_prefix
    tables.warnings += rules.warnings
    return tables


def _of_both(tokenizer: dict[str, Any], model: bytes | None, *, n_rows: int) -> TokenizerTables:
    """The vocabulary of a tokenizer.json, with the scores and types of a tokenizer.model that agrees with it."""
    refuse_unknown_options(tokenizer["model"])
    stale = None
    if model is not None:
        stale = read_tokenizer_model("tokenizer.model", model)
        if same_vocabulary(stale, tokenizer):
            return stale
    if not tokenizer["model"].get("byte_fallback"):
        raise ConversionError(
            "[tokenizer.json] a BPE neither over bytes nor with byte fallback has no counterpart in GGUF"
        )
    tables = read_sentencepiece_json(tokenizer, n_rows=n_rows)
    if stale is not None:
        tables.warnings.append(
            f"tokenizer.json ({len(tables.tokens)} tokens) and tokenizer.model ({len(stale.tokens)} pieces) disagree:"
            " tokenizer.json is taken, as transformers does; without it tokenizer.model would be"
        )
    return tables


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
    plain = optional_json(checkpoint, "added_tokens.json")
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


def _own_template(settings: Mapping[str, Any]) -> str | None:
    """The source's chat template; of several named ones the default."""
    template = settings.get("chat_template")
    if isinstance(template, list):
        named = {entry.get("name"): entry.get("template") for entry in template if isinstance(entry, dict)}
        template = named.get("default")
    return template if isinstance(template, str) and template else None
