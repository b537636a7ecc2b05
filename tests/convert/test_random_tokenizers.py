"""Tokenizers made at random: each gets the ids of transformers' AutoTokenizer, or is refused, or warned about."""

from __future__ import annotations

import os
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from belle_edge.convert.sources.checkpoint import Checkpoint
from belle_edge.convert.sources.checkpoint_files import FolderFiles
from belle_edge.convert.tokenizer_comparison import TEXTS
from belle_edge.convert.tokenizer_tables import check_tables, read_tokenizer
from belle_edge.errors import ConversionError
from belle_edge.text.tokenizer import Tokenizer

from .random_tokenizers import RandomTokenizer

N_TOKENIZERS = int(os.environ.get("BELLE_TEST_TOKENIZERS", "25"))


def texts_with(tokens: list[str]) -> list[str]:
    """Texts for these added tokens, other than those that a conversion tries."""
    around = [
        text
        for token in tokens
        for text in (f"the{token}ing 12{token} ", f"\t{token} the\n\n{token}12", token * 3)
    ]
    return around + [f"{first}the {second} er{first}" for first, second in pairwise(tokens)]


def is_about_ids(warning: str) -> bool:
    """Whether a warning speaks of other ids; some speak of ends, rows or files only."""
    return not warning.startswith(("no end-of-sequence", "eos_token_id", "added token", "tokenizer.json ("))


def outcome(folder: Path, seed: int) -> str:
    """equal, warned or refused; an AssertionError for ids that differ in silence."""
    transformers = pytest.importorskip("transformers")
    config = RandomTokenizer(seed).write(folder)
    checkpoint = Checkpoint(FolderFiles(folder), None, None, config, {})
    try:
        tables = read_tokenizer(checkpoint, n_vocab_rows=RandomTokenizer.n_rows)
        check_tables(tables)
    except ConversionError:
        return "refused"
    try:
        reference: Any = transformers.AutoTokenizer.from_pretrained(folder)
    except Exception:  # transformers cannot load it either way
        assert tables.warnings
        return "warned"
    tokenizer = Tokenizer.from_metadata(tables.metadata())
    tokens = list(reference.get_added_vocab())
    for text in [*TEXTS, *texts_with(tokens)]:
        expected, found = reference(text)["input_ids"], tokenizer.encode(text, parse_special=True)
        if expected != found:
            assert any(map(is_about_ids, tables.warnings)), (
                f"seed {seed}: {text!r}: expected {expected}, got {found}"
            )
            return "warned"
    return "equal"


def test_random_tokenizers(tmp_path: Path) -> None:
    """BELLE_TEST_TOKENIZERS=100 tries more."""
    outcomes: Counter[str] = Counter()
    for seed in range(N_TOKENIZERS):
        folder = tmp_path / str(seed)
        folder.mkdir()
        outcomes[outcome(folder, seed)] += 1
    print(dict(outcomes))
    assert outcomes["equal"] >= N_TOKENIZERS // 4  # else the warnings say nothing
