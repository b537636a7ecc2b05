"""Checkpoints as GPTQ's code writes them, but for its search: plain rounding, its layout bit by bit; and results."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

from belle_edge import _core

from .test_tensors import expected_bloom, expected_llama

Arrays = dict[str, NDArray[Any]]
METADATA_FILES = ("config.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json")


@dataclass(frozen=True)
class Recipe:
    """How to quantize."""

    bits: int = 4
    group_size: int = 32
    symmetric: bool = False
    plain_zeros: bool = False  # format v2; else zero - 1 is stored
    act_order: bool = False
    g_idx: bool = False
    scale_type: str = "float16"
    zero_shift: float = 0.0  # moves every zero by so many steps, to make weights that are not spread around 0


@dataclass
class Packed:
    """A checkpoint, packed; its matrices' exact values; and what q4_0, q4_1 or q8_0 blocks make of these."""

    stored: Arrays
    values: Arrays
    in_blocks: Arrays


def pack_columns(codes: NDArray[np.uint8], bits: int) -> NDArray[np.int32]:
    """[n, m] codes → [n · bits / 32, m] words: one stream of bits for each column, the lowest first."""
    stream = (codes.T[:, :, None] >> np.arange(bits, dtype=np.uint8)) & 1
    packed = np.packbits(stream.reshape(codes.shape[1], -1).astype(np.uint8), axis=1, bitorder="little")
    return np.ascontiguousarray(packed.view("<i4").T)


def pack_checkpoint(tensors: Arrays, recipe: Recipe) -> Packed:
    """Quantize every matrix inside the blocks; the others become float16, as BELLE's files have them."""
    result = Packed({}, {}, {})
    for name, values in tensors.items():
        if values.ndim == 2 and re.search(r"(^|\.)(h|layers)\.\d+\.", name):
            pack_matrix(result, name.removesuffix(".weight"), values.astype(np.float32), recipe)
            bias = name.removesuffix("weight") + "bias"
            if bias not in tensors:  # BELLE's code gives every quantized matrix one
                result.stored[bias] = np.zeros(values.shape[0], dtype=np.float16)
        else:
            result.stored[name] = values.astype(np.float16)
            for plain in (result.values, result.in_blocks):
                plain[name] = result.stored[name].astype(np.float32)
    return result


def pack_matrix(result: Packed, name: str, values: NDArray[np.float32], recipe: Recipe) -> None:
    n_out, n_in = values.shape
    largest = 2**recipe.bits - 1
    groups = np.arange(n_in) // recipe.group_size
    if recipe.act_order:
        groups = groups[np.random.default_rng(n_in).permutation(n_in)]
    n_groups = int(groups.max()) + 1
    scales = np.empty((n_groups, n_out), dtype=recipe.scale_type)
    zeros = np.empty((n_groups, n_out), dtype=np.int64)
    codes = np.empty((n_in, n_out), dtype=np.uint8)
    exact, kept = np.empty_like(values), np.empty_like(values)
    for group in range(n_groups):
        inside = groups == group
        part = values[:, inside].T  # [inputs, outputs]
        low, high = np.minimum(part.min(axis=0), 0), np.maximum(part.max(axis=0), 0)
        if recipe.symmetric:
            high = np.maximum(-low, high)
            low = -high
        scale = np.where(high > low, (high - low) / largest, 1.0).astype(recipe.scale_type)
        exact_scale = scale.astype(np.float32)
        middle = (largest + 1) // 2
        zero = np.full(n_out, middle) if recipe.symmetric else np.round(-low / exact_scale).astype(np.int64)
        zero = np.clip(zero, 0, largest)
        code = np.clip(np.round(part / exact_scale + recipe.zero_shift) + zero, 0, largest)
        scales[group], zeros[group], codes[inside] = scale, zero, code
        exact[:, inside] = (exact_scale * (code - zero).astype(np.float32)).T
        d = exact_scale.astype(np.float16).astype(np.float32)
        m = (-exact_scale * zero.astype(np.float32)).astype(np.float16).astype(np.float32)
        centered = recipe.symmetric and recipe.bits in (4, 8)
        block_values = d * (code - zero).astype(np.float32) if centered else d * code.astype(np.float32) + m
        kept[:, inside] = block_values.T
    stored_zeros = (zeros - (not recipe.plain_zeros)) & largest
    result.stored[f"{name}.qweight"] = pack_columns(codes, recipe.bits)
    result.stored[f"{name}.qzeros"] = np.ascontiguousarray(
        pack_columns(stored_zeros.T.astype(np.uint8), recipe.bits).T
    )
    result.stored[f"{name}.scales"] = scales
    if recipe.g_idx or recipe.act_order:
        result.stored[f"{name}.g_idx"] = groups.astype(np.int32)
    result.values[f"{name}.weight"], result.in_blocks[f"{name}.weight"] = exact, kept


def write_checkpoint(
    folder: Path, arrays: Arrays, name: str = "model-4bit-32g.pt", *, legacy: bool = False
) -> Path:
    """The weights as torch or safetensors writes them."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    if name.endswith(".safetensors"):
        from safetensors.numpy import save_file

        save_file(arrays, path, metadata={"format": "pt"})
        return path
    import torch

    tensors = {key: torch.from_numpy(values) for key, values in arrays.items()}
    torch.save(tensors, path, _use_new_zipfile_serialization=not legacy)
    return path


def read_checkpoint(folder: Path) -> Arrays:
    from safetensors.torch import load_file

    return {name: tensor.float().numpy() for name, tensor in load_file(folder / "model.safetensors").items()}


def copy_metadata(source: Path, folder: Path, *, config: bool = True) -> None:
    """Configuration and tokenizer of a checkpoint, without its weights."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in METADATA_FILES:
        if (source / name).exists() and (config or name != "config.json"):
            shutil.copyfile(source / name, folder / name)


def write_dequantized(source: Path, folder: Path, values: Arrays) -> Path:
    """The same model in float32, for transformers."""
    copy_metadata(source, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "dtype": "float32", "torch_dtype": "float32"}))
    tensors = {name: np.ascontiguousarray(array.astype(np.float32)) for name, array in values.items()}
    write_checkpoint(folder, tensors, "model.safetensors")
    return folder


def make_packed(maker: Any, tmp_path: Path, recipe: Recipe, **overrides: Any) -> tuple[Path, Packed]:
    """(a folder with configuration and tokenizer, no weights yet; the packed tensors)."""
    source = maker("source", **overrides)
    packed = pack_checkpoint(read_checkpoint(source), recipe)
    folder = tmp_path / "packed"
    copy_metadata(source, folder)
    return folder, packed


def mapped(values: Arrays, architecture: str) -> Arrays:
    """The values under GGUF's names and in its order of rows."""
    short = {
        name.removeprefix("transformer.").removeprefix("model."): array for name, array in values.items()
    }
    if architecture == "bloom":
        return expected_bloom(short, n_heads=3)
    return expected_llama(short, n_heads=4, n_kv_heads=2)


def read_gguf(path: Path) -> dict[str, tuple[str, NDArray[np.float32]]]:
    """name → (type, values), by the gguf package and by our own dequantization, which must agree."""
    found = {}
    for tensor in gguf.GGUFReader(path).tensors:
        kind = tensor.tensor_type.name.lower()
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        if _core.weight_types()[kind]["quantized"]:
            np.testing.assert_array_equal(values, _core.dequantize(np.ascontiguousarray(tensor.data), kind))
        found[tensor.name] = (kind, values.reshape(tuple(reversed(tensor.shape.tolist()))))
    return found


def check_values(path: Path, expected: Arrays) -> dict[str, str]:
    """Bit for bit. Returns the types."""
    found = read_gguf(path)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name][1], values, err_msg=name)
    return {name: kind for name, (kind, _) in found.items()}
