"""The header of a GGUF, byte for byte as the gguf package writes it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from belle_edge.convert.checksum_entries import N_ENTRIES
from belle_edge.convert.gguf_writer import build_header
from belle_edge.convert.header_encoding import encode_entry, encode_start, encode_tensor_info

METADATA: dict[str, Any] = {
    "general.name": "名字 with “quotes” and 🙂",
    "general.empty": "",
    "llama.block_count": 32,
    "llama.large": 2**32 - 1,
    "llama.rope.freq_base": 10000.0,
    "tokenizer.ggml.add_bos_token": True,
    "tokenizer.ggml.tokens": ["<unk>", "", "你好", "\n", "a" * 300],
    "tokenizer.ggml.scores": [0.0, -1.5, 1e-30, -1e4, 3.0],
    "tokenizer.ggml.token_type": [1, 2, 3, 6, 5],
    "tokenizer.ggml.none": [],
}


@dataclass(frozen=True)
class Tensor:
    name: str
    shape: tuple[int, ...]
    ggml_id: int
    n_bytes: int


TENSORS = [
    Tensor("token_embd.weight", (5, 64), 2, 5 * 2 * 18),
    Tensor("output_norm.weight", (64,), 0, 256),
    Tensor("blk.0.ffn_up.weight", (3, 64), 1, 3 * 128),
]


def written_by_gguf(path: Path) -> bytes:
    writer = gguf.GGUFWriter(path, "llama")
    add = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32, str: writer.add_string}
    for key, value in METADATA.items():
        if value != "" and value != []:
            add.get(type(value), writer.add_array)(key, value)
    for tensor in TENSORS:
        kind = gguf.GGMLQuantizationType(tensor.ggml_id)
        writer.add_tensor_info(
            tensor.name, tensor.shape, np.dtype(np.float32), tensor.n_bytes, raw_dtype=kind
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    return path.read_bytes()


def test_every_type_is_encoded_as_the_gguf_package_does(tmp_path: Path) -> None:
    entries = {"general.architecture": "llama", **METADATA}
    kept = [encode_entry(key, value) for key, value in entries.items() if value not in ("", [])]
    offsets = build_header("llama", METADATA, TENSORS).offsets
    infos = [
        encode_tensor_info(tensor.name, tensor.shape, tensor.ggml_id, offset)
        for tensor, offset in zip(TENSORS, offsets, strict=True)
    ]
    start = encode_start(n_tensors=len(TENSORS), n_entries=len(kept))
    assert start + b"".join(kept) + b"".join(infos) == written_by_gguf(tmp_path / "gguf.gguf")


def test_the_header_adds_checksums_and_padding(tmp_path: Path) -> None:
    header = build_header("llama", METADATA, TENSORS)
    expected = written_by_gguf(tmp_path / "gguf.gguf")
    info_bytes = sum(len(encode_tensor_info(t.name, t.shape, t.ggml_id, 0)) for t in TENSORS)
    assert header.content[24:].startswith(expected[24:-info_bytes])  # all entries, after the counts
    assert header.content[: header.metadata_end].count(b"belle.checksum.") == N_ENTRIES
    assert len(header.content) % 32 == 0
    assert header.offsets == (0, 192, 448)
    assert header.n_data_bytes == 832
    assert header.file_bytes == len(header.content) + 832
