"""Mutated safetensors against the reference: what it refuses is refused here, what it accepts has the same values."""

from __future__ import annotations

import json
import os
import random
import struct
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from belle_edge.convert.sources.byte_source import MappedBytes
from belle_edge.convert.sources.safetensors_file import open_safetensors
from belle_edge.convert.sources.source_tensors import ELEMENT_TYPES, StoredTensor
from belle_edge.errors import ConversionError

from .file_mutation import mutated_safetensors
from .small_checkpoints import arrays_of_all_types

N_MUTATIONS = int(os.environ.get("BELLE_MUTATIONS", "2000"))
# The format forbids these, the reference takes them all the same: keys that come twice (the last counts), and other
# spellings that its JSON library has for the same things, such as ["F32", [2], [0, 8]].
MORE_REFUSED = ("comes twice", "expected dtype, shape and data_offsets")

Outcome = dict[str, tuple[str, list[int], bytes]] | None
ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def by_reference(data: bytes, path: Path) -> Outcome:
    from safetensors import SafetensorError, deserialize, safe_open

    try:
        with safe_open(path, "np"):
            pass
        found: list[tuple[str, dict[str, Any]]] = deserialize(data)
    except (SafetensorError, OSError):
        return None
    return {name: (item["dtype"], list(item["shape"]), bytes(item["data"])) for name, item in found}


def by_us(path: Path) -> tuple[Outcome, str]:
    """(None where it is refused; the message)."""
    try:
        tensors = open_safetensors(MappedBytes(path))
    except ConversionError as error:
        return None, str(error)
    found: Outcome = {}
    for name, tensor in tensors.items():
        assert isinstance(tensor, StoredTensor)
        n_bytes = tensor.n_bytes if tensor.dtype in ELEMENT_TYPES else 0
        raw = tensor.source.read(tensor.offset, n_bytes).tobytes()
        found[name] = (tensor.dtype.upper(), list(tensor.shape), raw)
    return found, ""


def check(data: bytes, path: Path, what: str) -> str:
    path.unlink(missing_ok=True)  # not rewritten in place: it is mapped
    path.write_bytes(data)
    expected, (found, message) = by_reference(data, path), by_us(path)
    if expected is None:
        assert found is None, f"{what}: the reference refuses it"
        return "refused"
    if found is None:
        assert any(text in message for text in MORE_REFUSED), (
            f"{what}: the reference takes it, we do not: {message}"
        )
        return "more refused"
    assert found.keys() == expected.keys(), what
    for name, (dtype, shape, raw) in expected.items():
        assert found[name][:2] == (dtype, shape), (what, name)
        assert found[name][2] in (raw, b""), (what, name)
        if dtype.lower() in ELEMENT_TYPES:
            assert found[name][2] == raw, (what, name)
    return "the same"


def with_header(text: str | bytes, data: bytes = bytes(8), length: int | None = None) -> bytes:
    header = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(header) if length is None else length) + header + data


@pytest.mark.slow
def test_mutations(tmp_path: Path) -> None:
    from safetensors.numpy import save

    counts: Counter[str] = Counter()
    for seed in range(N_MUTATIONS):
        choose = random.Random(seed)
        data, what = mutated_safetensors(save(arrays_of_all_types(seed % 7), {"format": "pt"}), choose)
        if choose.random() < 0.2 and len(data) > 8:
            data, more = mutated_safetensors(data, choose)
            what += f", {more}"
        counts[check(data, tmp_path / "model.safetensors", f"{seed} {what}")] += 1
    print(f"\n{N_MUTATIONS} mutated safetensors: {dict(counts)}")
    assert counts["refused"] > N_MUTATIONS // 3
    assert counts["the same"] > N_MUTATIONS // 20
    assert counts["more refused"] < N_MUTATIONS // 20


def entry(**changes: Any) -> str:
    return json.dumps({"a": {**ENTRY, **changes}})


# Headers that a reader written from the format's description alone would take otherwise than the reference.
REFUSED = {
    "hole": (json.dumps({"a": ENTRY, "b": {**ENTRY, "data_offsets": [12, 20]}}), bytes(20)),
    "overlap": (json.dumps({"a": ENTRY, "b": {**ENTRY, "data_offsets": [4, 12]}}), bytes(12)),
    "same place": (json.dumps({"a": ENTRY, "b": ENTRY}), bytes(8)),
    "shifted": (entry(data_offsets=[4, 12]), bytes(12)),
    "trailing": (entry(), bytes(9)),
    "cut": (entry(), bytes(7)),
    "wrong size": (entry(shape=[3]), bytes(8)),
    "negative zero": (entry().replace("[0, 8]", "[-0, 8]"), bytes(8)),
    "fraction": (entry(shape=[2.0]), bytes(8)),
    "true": (entry(shape=[True, 2]), bytes(8)),
    "lower case": (entry(dtype="f32"), bytes(8)),
    "three offsets": (entry(data_offsets=[0, 8, 8]), bytes(8)),
    "nan": (entry(x=float("nan")), bytes(8)),
    "out of range": (entry().replace("2", "2, 1e999"), bytes(8)),
    "surrogate": (entry().replace("a", r"\ud800", 1), bytes(8)),
    "deep": (entry().replace("{", '{"x":' + "[" * 127 + "]" * 127 + ",", 2).replace("{", "", 1), bytes(8)),
    "byte order mark": ("\ufeff" + entry(), bytes(8)),
    "numbers in metadata": (json.dumps({"__metadata__": {"a": 1}, "a": ENTRY}), bytes(8)),
    "overflow before zero": (entry(shape=[1 << 63, 4, 0], data_offsets=[0, 0]), b""),
    "half a byte": (entry(dtype="F4", shape=[3], data_offsets=[0, 1]), bytes(1)),
    "not described": ("{}", bytes(1)),
}
SAME = {
    "sound": (entry(), bytes(8)),
    "blanks around": (f"  {entry()}   ", bytes(8)),
    "unknown field": (entry(x=[{"y": 1.5}]), bytes(8)),
    "no metadata": (json.dumps({"__metadata__": None, "a": ENTRY}), bytes(8)),
    "overflow after zero": (entry(shape=[0, 1 << 63, 4], data_offsets=[0, 0]), b""),
    "long after zero": (entry(shape=[1 << 62, 0], data_offsets=[0, 0]), b""),
    "any order": (json.dumps({"b": {**ENTRY, "data_offsets": [8, 16]}, "a": ENTRY}), bytes(range(16))),
    "empty between": (
        json.dumps({"e": {**ENTRY, "shape": [0], "data_offsets": [8, 8]}, "a": ENTRY}),
        bytes(8),
    ),
    "nothing": ("{}", b""),
    "long number": (entry().replace("[2]", '[2], "x": ' + "9" * 300), bytes(8)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_as_the_reference_does(tmp_path: Path, name: str) -> None:
    assert check(with_header(*REFUSED[name]), tmp_path / "a.safetensors", name) == "refused"


@pytest.mark.parametrize("name", SAME)
def test_taken_as_the_reference_does(tmp_path: Path, name: str) -> None:
    assert check(with_header(*SAME[name]), tmp_path / "a.safetensors", name) == "the same"


@pytest.mark.parametrize("other", [{}, {"dtype": "I32"}])
def test_a_tensor_twice(tmp_path: Path, other: dict[str, Any]) -> None:
    """The format: "Duplicate keys are disallowed"; which of them counts would be a guess."""
    text = entry(**other)[:-1] + "," + entry()[1:]
    path = tmp_path / "a.safetensors"
    path.write_bytes(with_header(text))
    with pytest.raises(ConversionError, match=r"the key 'a' comes twice"):
        open_safetensors(MappedBytes(path))


def test_values(tmp_path: Path) -> None:
    """The check above is no use if nothing is ever compared."""
    from safetensors.numpy import save

    arrays = arrays_of_all_types(0)
    path = tmp_path / "a.safetensors"
    assert check(save(arrays), path, "sound") == "the same"
    tensor = open_safetensors(MappedBytes(path))["a"]
    assert np.array_equal(tensor.rows(0, 3), arrays["a"])
