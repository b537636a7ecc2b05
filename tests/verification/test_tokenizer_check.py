"""Sample texts through the tokenizers of real vocabularies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf

from belle_edge._core import GgufFile
from belle_edge.convert.source_tokenizer import source_tokenizer
from belle_edge.convert.sources.checkpoint import Checkpoint
from belle_edge.convert.sources.checkpoint_files import FolderFiles
from belle_edge.text.tokenizer import Tokenizer
from belle_edge.verification.tokenizer_check import (
    SAMPLES,
    check_round_trip,
    compare_with_source,
    problems_of,
)


def test_llama_vocabulary(test_data: Path) -> None:
    folder = test_data / "tokenizers" / "llama"
    tokenizer = Tokenizer.from_metadata(GgufFile(str(folder / "ggml-vocab-llama-spm.gguf")))
    source = source_tokenizer(Checkpoint(FolderFiles(folder), None, None, {}, {}))
    assert source is not None
    results = check_round_trip(tokenizer, source.encode_plain)
    assert compare_with_source(tokenizer, source, n_known=0) == ([], [])
    assert [result.name for result in results] == list(SAMPLES)
    assert all(result.comes_back and result.same_ids for result in results), results
    assert problems_of(results) == []


def test_without_a_reference(converted: Any) -> None:
    tokenizer = Tokenizer.from_metadata(GgufFile(str(converted("belle-tiny-zh", "q4_0"))))
    results = check_round_trip(tokenizer)
    assert all(result.comes_back for result in results)
    assert {result.same_ids for result in results} == {None}


def test_a_text_that_does_not_come_back() -> None:
    """A vocabulary that writes `b` for the byte `a`."""
    alphabet = [*map(chr, range(0x21, 0x7F)), *map(chr, range(0xA1, 0xAD)), *map(chr, range(0xAE, 0x100))]
    alphabet += [chr(0x100 + index) for index in range(256 - len(alphabet))]
    types = [int(gguf.TokenType.NORMAL)] * 256
    keys = {"model": "gpt2", "pre": "gpt-2", "tokens": alphabet, "token_type": types, "merges": []}
    tokenizer = Tokenizer.from_metadata({f"tokenizer.ggml.{key}": value for key, value in keys.items()})
    assert problems_of(check_round_trip(tokenizer)) == []
    tokenizer.vocabulary.tokens[alphabet.index("a")] = "b"  # type: ignore[index]
    problems = problems_of(check_round_trip(tokenizer))
    assert "tokenizer: the sample text 'English' does not come back as it was" in problems
    assert len(problems) < len(SAMPLES)


def test_a_vocabulary_that_cannot_say_everything() -> None:
    """Unknown pieces are no mistake of the file."""
    pieces = [("<unk>", 2), ("▁", 1), ("a", 1)]
    metadata = {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": [piece for piece, _ in pieces],
        "tokenizer.ggml.token_type": [kind for _, kind in pieces],
        "tokenizer.ggml.scores": [0.0, -1.0, -2.0],
    }
    results = check_round_trip(Tokenizer.from_metadata(metadata))
    assert all(result.has_unknown and not result.comes_back and result.ok for result in results)
    assert problems_of(results) == []
