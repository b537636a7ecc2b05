"""Writes llama.cpp's files from before GGUF, number by number, as its converters and its `quantize` did."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from belle_edge import _core

from .test_meta import meta_tensors

TYPE_NUMBERS = {"f32": 0, "f16": 1, "q4_0": 2, "q4_1": 3, "q5_0": 6, "q8_0": 8, "q4_K": 12}
MAGIC = {"ggml": b"lmgg", "ggmf": b"fmgg", "ggjt": b"tjgg"}
N_SCALES = {"q4_0": 1, "q4_1": 2, "q8_0": 1}
VERSIONS = ["ggml", "ggmf v1", "ggjt v1", "ggjt v2", "ggjt v3"]


@dataclass(frozen=True)
class Layout:
    """One version of the format: "ggml", "ggmf v1", "ggjt v1" …"""

    version: str

    @property
    def kind(self) -> str:
        return self.version.split(" ")[0]

    @property
    def number(self) -> int:
        return int(self.version[-1]) if " " in self.version else 0

    @property
    def has_half_scales(self) -> bool:
        return self.version == "ggjt v3"

    @property
    def has_pairs(self) -> bool:
        return self.version not in ("ggjt v2", "ggjt v3")


def vocabulary_of(model: bytes) -> list[tuple[bytes, float]]:
    """(text, score) of each piece of a tokenizer.model, as llama.cpp's converters stored them."""
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    entries = []
    for token_id in range(processor.vocab_size()):
        piece = processor.id_to_piece(token_id)
        if processor.is_unknown(token_id):
            text = " ⁇ ".encode()
        elif processor.is_control(token_id):
            text = b""
        elif processor.is_byte(token_id):
            text = bytes([int(piece[3:5], 16)])
        else:
            text = piece.replace("▁", " ").encode()
        entries.append((text, processor.get_score(token_id)))
    return entries


def block_bytes(values: NDArray[np.float32], type: str, layout: Layout) -> bytes:
    """A matrix in blocks of this version: the codes that GGUF's have, in their old places, block by block."""
    blocks = _core.quantize(values, type).reshape(-1, {"q4_0": 18, "q4_1": 20, "q8_0": 34}[type])
    stored = bytearray()
    for block in blocks:
        n_halves = 2 * N_SCALES[type]
        scales = block[:n_halves].view(np.float16)
        stored += scales.astype(np.float16 if layout.has_half_scales else np.float32).tobytes()
        codes = block[n_halves:]
        if type != "q8_0" and layout.has_pairs:
            ordered = [int(byte) & 15 for byte in codes] + [int(byte) >> 4 for byte in codes]
            stored += bytes(ordered[2 * i] + 16 * ordered[2 * i + 1] for i in range(16))
        else:
            stored += codes.tobytes()
    return bytes(stored)


def tensor_bytes(values: NDArray[np.float32], type: str, layout: Layout) -> bytes:
    if type in N_SCALES:
        return block_bytes(values, type, layout)
    return values.astype({"f32": np.float32, "f16": np.float16}[type]).tobytes()


def header_bytes(config: dict[str, Any], layout: Layout, **changes: int) -> bytes:
    head_dim = config["hidden_size"] // config["num_attention_heads"]
    values = {
        "n_vocab": config["vocab_size"],
        "n_embd": config["hidden_size"],
        "n_mult": 32,
        "n_head": config["num_attention_heads"],
        "n_layer": config["num_hidden_layers"],
        "n_rot": head_dim,
        "ftype": 2,
    }
    version = struct.pack("<I", layout.number) if layout.number else b""
    return MAGIC[layout.kind] + version + struct.pack("<7I", *{**values, **changes}.values())


def write_ggml(
    folder: Path, target: Path, *, version: str, type: str = "f32", tensors: Any = None, **changes: Any
) -> Path:
    """The checkpoint in `folder` (Hugging Face's layout) as a file of `version`, its matrices as `type`.

    Rows that `type` does not divide into blocks stay f32. changes: of the header.
    """
    layout = Layout(version)
    config = json.loads((folder / "config.json").read_text())
    data = bytearray(header_bytes(config, layout, **changes))
    for text, score in vocabulary_of((folder / "tokenizer.model").read_bytes()):
        data += struct.pack("<I", len(text)) + text
        if layout.kind != "ggml":
            data += struct.pack("<f", score)
    for name, (tensor, _) in (tensors or meta_tensors(folder)).items():
        values = tensor.float().numpy()
        is_block = type in N_SCALES and values.ndim == 2 and values.shape[1] % 32 == 0
        kind = type if values.ndim == 2 and (is_block or type == "f16") else "f32"
        data += struct.pack("<3I", values.ndim, len(name), TYPE_NUMBERS[kind])
        data += struct.pack(f"<{values.ndim}I", *reversed(values.shape)) + name.encode()
        if layout.kind == "ggjt":
            data += bytes(-len(data) % 32)
        data += tensor_bytes(values, kind, layout)
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(data)
    return target
