"""Byte-level BPE vocabularies (tokenizer.json) → GGUF's "gpt2" tokenizer tables."""

from __future__ import annotations

from typing import Any

from belle_edge.convert.gguf_tokenizer import TokenizerTables
from belle_edge.convert.sentencepiece_tables import read_merges, tokens_by_id
from belle_edge.convert.text_rules import refuse_unknown_options
from belle_edge.errors import ConversionError, excerpt
from belle_edge.text.vocabulary import TokenType

# BLOOM's pre-tokenizer: runs of anything but blanks and these separators, with at most one space before.
_BLOOM_PATTERN = " ?[^(\\s|[.,!?…。，、।۔،])]+"


def is_byte_level(tokenizer: dict[str, Any]) -> bool:
    """Whether a tokenizer.json is BPE over bytes (GPT-2's, BLOOM's) rather than over characters."""
    return any(step.get("type") == "ByteLevel" for step in _steps(tokenizer.get("pre_tokenizer")))


def read_byte_level_json(tokenizer: dict[str, Any], *, n_rows: int) -> TokenizerTables:
    """Tables from a byte-level tokenizer.json; ConversionError for what GGUF cannot express.

    n_rows: of the embedding.
    """
    model = tokenizer["model"]
    refuse_unknown_options(model)
    tokens = tokens_by_id(model["vocab"], n_rows=n_rows)
    tables = TokenizerTables(
        model="gpt2",
        pre=_pre_tokenizer_name(tokenizer.get("pre_tokenizer")),
        tokens=tokens,
        types=[TokenType.NORMAL] * len(tokens),
        merges=[" ".join(merge) for merge in read_merges(model)],
        unk_id=model["vocab"].get("<unk>"),
        bos_id=model["vocab"].get("<s>"),
        eos_id=model["vocab"].get("</s>"),
        pad_id=model["vocab"].get("<pad>"),
        add_bos=_adds_in_front(tokenizer.get("post_processor")),
        add_eos=False,
    )
    if tokenizer.get("normalizer"):
        kind = tokenizer["normalizer"].get("type")
        tables.warnings.append(
            f"tokenizer.json normalizes text ({excerpt(kind)}); GGUF's gpt2 tokenizer does not"
        )
    return tables


def _pre_tokenizer_name(pre_tokenizer: dict[str, Any] | None) -> str:
    """llama.cpp's name of the pre-tokenizer."""
    steps = _steps(pre_tokenizer)
    byte_level = steps[-1] if steps else {}
    if byte_level.get("type") == "ByteLevel" and not byte_level.get("add_prefix_space", True):
        own_regex = byte_level.get("use_regex", True)
        if len(steps) == 1 and own_regex:
            return "gpt-2"
        if len(steps) == 2 and not own_regex and _is_bloom_split(steps[0]):
            return "bloom"
    patterns = [
        str((step.get("pattern") or {}).get("Regex", "")) for step in steps if step.get("type") == "Split"
    ]
    found = (
        f"the pattern {excerpt(patterns[0])}"
        if patterns
        else " + ".join(str(step.get("type")) for step in steps)
    )
    raise ConversionError(
        f"[tokenizer.json] unknown pre-tokenizer ({found}): BLOOM's and GPT-2's are known here;"
        " for others use llama.cpp's convert_hf_to_gguf.py"
    )


def _is_bloom_split(step: dict[str, Any]) -> bool:
    return (
        step.get("type") == "Split"
        and (step.get("pattern") or {}).get("Regex") == _BLOOM_PATTERN
        and step.get("behavior") == "Isolated"
        and not step.get("invert")
    )


def _steps(pre_tokenizer: dict[str, Any] | None) -> list[dict[str, Any]]:
    if not pre_tokenizer:
        return []
    return pre_tokenizer.get("pretokenizers") or [pre_tokenizer]


def _adds_in_front(post_processor: dict[str, Any] | None) -> bool:
    """Whether the post-processor puts a special token (BOS) before the text."""
    if not post_processor:
        return False
    for step in post_processor.get("processors") or [post_processor]:
        single = step.get("single") or []
        if step.get("type") == "TemplateProcessing" and single and "SpecialToken" in single[0]:
            return True
    return False
