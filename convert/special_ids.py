"""Special ids of a tokenizer, what ends a generation, and whether BOS and EOS are put around texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from belle_edge.convert.gguf_tokenizer import TokenizerTables
from belle_edge.convert.source_tokenizer import optional_json
from belle_edge.convert.sources.checkpoint import Checkpoint
from belle_edge.errors import excerpt
from belle_edge.text.vocabulary import TokenType

_MOST_END_IDS = 64


def set_special_ids(tables: TokenizerTables, checkpoint: Checkpoint, settings: Mapping[str, Any]) -> None:
    """Special ids as the tokenizer's settings name them, else its own, else config.json's.

    Published LLaMA conversions have bos, eos and unk = "" in tokenizer_config.json, an empty
    special_tokens_map.json, or wrong ids in config.json: an empty name counts as none, and config.json comes
    last.
    """
    ids = {token: token_id for token_id, token in reversed(list(enumerate(tables.tokens)))}
    special_map = optional_json(checkpoint, "special_tokens_map.json")
    for kind in ("bos", "eos", "unk", "pad"):
        named = _token_text(settings.get(f"{kind}_token")) or _token_text(special_map.get(f"{kind}_token"))
        own = getattr(tables, f"{kind}_id")
        token_id: int | None
        if named in ids:
            token_id = ids[named]
        elif own is not None and own < len(tables.tokens):
            token_id = own
        else:
            token_id = next(iter(_valid_ids(checkpoint.config.get(f"{kind}_token_id"), tables)), None)
        setattr(tables, f"{kind}_id", token_id)
        _make_control(tables, token_id)
    if tables.eos_id is None:
        tables.warnings.append("no end-of-sequence token is known: generation stops at its length limit only")


def set_end_ids(tables: TokenizerTables, checkpoint: Checkpoint) -> None:
    """What ends a generation besides EOS: all that generation_config.json states, else a list in config.json."""
    stated = optional_json(checkpoint, "generation_config.json").get("eos_token_id")
    if stated is None:
        stated = checkpoint.config.get("eos_token_id")
        stated = stated if isinstance(stated, list) else None
    if stated is None:
        return
    valid = _valid_ids(stated, tables)
    n_stated = len(stated) if isinstance(stated, list) else 1
    kept = [token_id for token_id in dict.fromkeys(valid) if token_id not in (tables.bos_id, tables.unk_id)]
    tables.end_ids = [token_id for token_id in kept if token_id != tables.eos_id][:_MOST_END_IDS]
    if len(kept) < n_stated or len(tables.end_ids) > _MOST_END_IDS:
        tables.warnings.append(
            f"eos_token_id {excerpt(stated)}: kept {kept[:_MOST_END_IDS]}; the others are no tokens, or begin a text"
        )
    if len(tables.end_ids) > 2:
        tables.warnings.append(
            f"{len(tables.end_ids) + 1} tokens end a generation; llama.cpp reads three of them from the file"
        )
    for token_id in tables.end_ids:
        if tables.types[token_id] == TokenType.NORMAL:
            _make_control(tables, token_id)


def set_surroundings(tables: TokenizerTables, settings: Mapping[str, Any], *, has_json: bool) -> None:
    """Whether BOS and EOS are put around texts: by tokenizer.json's post-processor where there is such a file, as
    transformers 5 does it, else by tokenizer_config.json, else as LLaMA's tokenizer always did."""
    stated = {kind: settings.get(f"add_{kind}_token") for kind in ("bos", "eos")}
    if has_json and tables.source is not None:
        _follow_post_processor(tables, stated)
    else:
        for kind, value in stated.items():
            if isinstance(value, bool):
                setattr(tables, f"add_{kind}", value)
    if tables.bos_id is None:
        tables.add_bos = False
    if tables.eos_id is None:
        tables.add_eos = False
    if has_json or tables.source is None:
        return
    before, _ = tables.source.surroundings()
    if tables.add_bos and not before:
        tables.warnings.append(
            "nothing says whether BOS is put before a text (add_bos_token): it is, as LLaMA's tokenizer did before"
            " transformers 5, which puts none"
        )


def _follow_post_processor(tables: TokenizerTables, stated: Mapping[str, Any]) -> None:
    assert tables.source is not None
    for kind, ids in zip(("bos", "eos"), tables.source.surroundings(), strict=True):
        if len(ids) == 1 and getattr(tables, f"{kind}_id") is None and ids[0] < len(tables.tokens):
            setattr(tables, f"{kind}_id", ids[0])
            _make_control(tables, ids[0])
        adds = ids == [getattr(tables, f"{kind}_id")]
        setattr(tables, f"add_{kind}", adds)
        where = "before" if kind == "bos" else "behind"
        if ids and not adds:
            tables.warnings.append(
                f"tokenizer.json puts the ids {excerpt(ids)} {where} every text, which is not {kind.upper()}: left out"
            )
        elif isinstance(stated[kind], bool) and stated[kind] != adds:
            tables.warnings.append(
                f"tokenizer_config.json says add_{kind}_token {str(stated[kind]).lower()}, tokenizer.json's"
                f" post-processor says {str(adds).lower()}: the latter counts, as in transformers 5"
            )


def _valid_ids(stated: Any, tables: TokenizerTables) -> list[int]:
    """The ids among what a configuration states: one, or a list of them."""
    values = stated if isinstance(stated, list) else [stated]
    return [value for value in values if type(value) is int and 0 <= value < len(tables.tokens)]


def _make_control(tables: TokenizerTables, token_id: int | None) -> None:
    if token_id is not None and tables.types[token_id] in (TokenType.NORMAL, TokenType.USER_DEFINED):
        tables.types[token_id] = TokenType.CONTROL


def _token_text(value: Any) -> str:
    """A special token's text, given as text or as {"content": text}; "" for none."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else ""
