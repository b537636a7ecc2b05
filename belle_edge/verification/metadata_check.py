"""Does the metadata of a GGUF agree with the source: shapes, family, vocabulary, special ids, hashes of its files?"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .._core import GgufFile
    from .against import Source

_SWITCHES = ("tokenizer.ggml.add_bos_token", "tokenizer.ggml.add_eos_token")
_SPECIAL_IDS = ("bos", "eos", "unknown", "padding")


@dataclass
class Agreement:
    """What was found. Notes are differences that need not be mistakes."""

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def compare_metadata(file: GgufFile, source: Source) -> Agreement:
    """What the file says about the model against what its source says. Raises ConversionError as `convert` does."""
    agreement = Agreement()
    agreement.problems += _hash_problems(file, source)
    agreement.problems += _model_problems(file, source)
    agreement.problems += _tokenizer_problems(file, source)
    _compare_family(file, source, agreement)
    return agreement


def _hash_problems(file: GgufFile, source: Source) -> Iterator[str]:
    from ..convert.output_metadata import HASHED_FILES

    for name in HASHED_FILES:
        written = file.get(f"belle.source.sha256.{name}")
        content = source.checkpoint.files.read(name)
        if written is None:  # a file of another program, or one that had no such source file
            continue
        if content is None:
            yield f"{name}: the file was made from one, the source has none"
        elif hashlib.sha256(content).hexdigest() != written:
            yield f"{name}: not the one that the file was made from (SHA-256 differs)"


def _model_problems(file: GgufFile, source: Source) -> Iterator[str]:
    model = source.model
    for key, expected in {"general.architecture": model.architecture, **model.metadata}.items():
        found = file.get(key)
        if not _same(expected, found):
            yield f"{key}: expected {expected}, got {found}"


def _same(expected: Any, found: Any) -> bool:
    if isinstance(expected, float) and isinstance(found, float):
        return math.isclose(expected, found, rel_tol=1e-6)  # stored as float32
    return bool(expected == found)


def _tokenizer_problems(file: GgufFile, source: Source) -> Iterator[str]:
    from ..convert.tokenizer_tables import read_tokenizer

    expected = read_tokenizer(source.checkpoint, n_vocab_rows=source.model.n_vocab_rows).metadata()
    for kind in _SPECIAL_IDS:
        key = f"tokenizer.ggml.{kind}_token_id"
        if expected.get(key) != file.get(key):
            yield f"{key}: expected {expected.get(key)}, got {file.get(key)}"
    for key in _SWITCHES if file.get("belle.family") is None else ():  # a family has a say in them
        if file.get(key) is not None and bool(file.get(key)) != expected.get(key):
            yield f"{key}: expected {expected.get(key)}, got {file.get(key)}"
    tokens, wanted = file.get("tokenizer.ggml.tokens") or [], list(expected["tokenizer.ggml.tokens"])  # type: ignore[arg-type]
    if len(tokens) != len(wanted):
        yield f"vocabulary: expected {len(wanted)} tokens, got {len(tokens)}"
        return
    different = [
        token_id for token_id, pair in enumerate(zip(tokens, wanted, strict=True)) if pair[0] != pair[1]
    ]
    if different:
        at = different[0]
        yield (
            f"vocabulary: {len(different)} of {len(tokens)} tokens differ from the source's, the first is {at}:"
            f" expected {wanted[at]!r}, got {tokens[at]!r}"
        )


def _compare_family(file: GgufFile, source: Source, agreement: Agreement) -> None:
    from ..convert.identity import identify

    written = file.get("belle.family")
    identity = identify(source.checkpoint)
    if written == identity.family:
        return
    difference = f"belle.family: expected {identity.family}, got {written}"
    if file.get("belle.identified.confidence") == "given":
        agreement.notes.append(f"{difference}, as --family said")
    elif identity.confidence in ("certain", "likely"):
        agreement.problems.append(difference)
    else:
        agreement.notes.append(f"{difference}; the source does not say it surely")
