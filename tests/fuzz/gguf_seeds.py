"""Writes the fuzzer's first inputs: tiny valid models, and a header with every type of metadata.

python tests/fuzz/gguf_seeds.py FOLDER
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import gguf
import numpy as np

VOCAB_SIZE = 4
ARCHITECTURES = ("llama", "bloom")
BLOCK_TYPES = ("q5_0", "q5_1", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "iq4_nl", "iq4_xs")


def metadata_of(architecture: str, hidden: int, feed_forward: int) -> dict[str, Any]:
    values: dict[str, Any] = {
        "block_count": 1,
        "context_length": 16,
        "embedding_length": hidden,
        "feed_forward_length": feed_forward,
        "attention.head_count": 2,
    }
    if architecture == "bloom":
        return {**values, "attention.layer_norm_epsilon": 1e-5}
    rope = {"rope.dimension_count": hidden // 2, "rope.freq_base": 10000.0, "rope.scaling.factor": 2.0}
    return {
        **values,
        "attention.head_count_kv": 1,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "rope.scaling.type": "linear",
        **rope,
    }


def shapes_of(architecture: str, hidden: int, feed_forward: int) -> dict[str, tuple[int, ...]]:
    norm: dict[str, tuple[int, ...]]
    if architecture == "bloom":
        shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (VOCAB_SIZE, hidden)}
        for name in ("token_embd_norm", "output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
            norm = {f"{name}.weight": (hidden,), f"{name}.bias": (hidden,)}
            shapes |= norm
        for name, rows in (("attn_qkv", 3 * hidden), ("attn_output", hidden), ("ffn_up", feed_forward)):
            shapes |= {f"blk.0.{name}.weight": (rows, hidden), f"blk.0.{name}.bias": (rows,)}
        return {**shapes, "blk.0.ffn_down.weight": (hidden, feed_forward), "blk.0.ffn_down.bias": (hidden,)}
    shapes = {"token_embd.weight": (VOCAB_SIZE, hidden), "output.weight": (VOCAB_SIZE, hidden)}
    shapes |= dict.fromkeys(
        ("output_norm.weight", "blk.0.attn_norm.weight", "blk.0.ffn_norm.weight"), (hidden,)
    )
    for name in ("attn_q", "attn_output"):
        shapes[f"blk.0.{name}.weight"] = (hidden, hidden)
    for name in ("ffn_gate", "ffn_up"):
        shapes[f"blk.0.{name}.weight"] = (feed_forward, hidden)
    return {
        **shapes,
        "blk.0.ffn_down.weight": (hidden, feed_forward),
        "blk.0.attn_k.weight": (hidden // 2, hidden),
        "blk.0.attn_v.weight": (hidden // 2, hidden),
    }


def write_model(path: Path, architecture: str, type: str, hidden: int) -> None:
    """A complete model of one layer."""
    random = np.random.default_rng(1)
    writer = writer_of(path, architecture, hidden, hidden)
    kind_of_matrices = gguf.GGMLQuantizationType[type.upper()]
    for name, shape in shapes_of(architecture, hidden, hidden).items():
        values = random.normal(size=shape).astype(np.float32)
        if len(shape) == 1 or type == "f32":
            writer.add_tensor(name, values)
        else:
            data = gguf.quants.quantize(values, kind_of_matrices)
            writer.add_tensor(name, data, raw_dtype=kind_of_matrices)
    _finish(writer)


def write_block_model(path: Path, architecture: str, type: str, hidden: int = 4) -> None:
    """The same with one matrix in random blocks; float ones of few columns keep the file small."""
    random = np.random.default_rng(2)
    feed_forward = 256
    writer = writer_of(path, architecture, hidden, feed_forward)
    kind = gguf.GGMLQuantizationType[type.upper()]
    block_size, block_bytes = gguf.GGML_QUANT_SIZES[kind]
    for name, shape in shapes_of(architecture, hidden, feed_forward).items():
        if name == "blk.0.ffn_down.weight":
            blocks = random.integers(
                0, 64, (hidden, feed_forward // block_size * block_bytes), dtype=np.uint8
            )
            writer.add_tensor(name, blocks, raw_dtype=kind)  # bytes below 64 make no half that is not finite
        else:
            writer.add_tensor(
                name, random.normal(size=shape).astype(np.float32 if len(shape) == 1 else np.float16)
            )
    _finish(writer)


def writer_of(path: Path, architecture: str, hidden: int, feed_forward: int) -> gguf.GGUFWriter:
    writer = gguf.GGUFWriter(path, architecture)
    for key, value in metadata_of(architecture, hidden, feed_forward).items():
        kind = gguf.GGUFValueType.get_type(value)
        kind = gguf.GGUFValueType.UINT32 if kind is gguf.GGUFValueType.INT32 else kind
        writer.add_key_value(f"{architecture}.{key}", value, kind)
    return writer


def write_all_types(path: Path) -> None:
    """Every scalar type and an array of each; tokenizer tables; another alignment."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_custom_alignment(64)
    for kind in gguf.GGUFValueType:
        if kind is gguf.GGUFValueType.ARRAY:
            continue
        value: Any = "文字" if kind is gguf.GGUFValueType.STRING else 1
        value = bool(value) if kind is gguf.GGUFValueType.BOOL else value
        writer.add_key_value(f"scalar.{kind.name}", value, kind)
        writer.add_key_value(f"array.{kind.name}", [value] * 3, gguf.GGUFValueType.ARRAY, kind)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(["<unk>", "<s>", "</s>", "▁a"])
    writer.add_token_scores([0.0, 0.0, 0.0, -1.0])
    writer.add_token_types([2, 3, 3, 1])
    writer.add_tensor("a", np.zeros((2, 3), np.float32))
    writer.add_tensor("b", np.zeros(5, np.float16))
    _finish(writer)


def write_seeds(folder: Path) -> list[Path]:
    """All of them; returns the paths of the models."""
    folder.mkdir(parents=True, exist_ok=True)
    models = []
    for architecture in ARCHITECTURES:
        for type, hidden in (("f32", 4), ("f16", 4), ("bf16", 4), ("q4_0", 32), ("q4_1", 32), ("q8_0", 32)):
            models.append(folder / f"{architecture}-{type}.gguf")
            write_model(models[-1], architecture, type, hidden)
        for type in BLOCK_TYPES:
            models.append(folder / f"{architecture}-{type}.gguf")
            write_block_model(models[-1], architecture, type)
    write_all_types(folder / "all-types.gguf")
    return models


def _finish(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    write_seeds(parser.parse_args().folder)
