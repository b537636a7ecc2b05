"""GPTQ's tensors that are missing or do not fit together, and other methods of quantization: refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from belle_edge.convert import convert
from belle_edge.errors import ConversionError

from .gptq_files import write_checkpoint

Arrays = dict[str, NDArray[Any]]
NAME = "bloom7b-2m-4bit-128g.pt"


@pytest.mark.parametrize(
    ("settings", "method"),
    [
        ({"quant_method": "awq"}, "awq"),
        ({"load_in_8bit": True}, "bitsandbytes"),
        ({"quant_method": "hqq"}, "hqq"),
    ],
)
def test_other_methods_are_named(
    packed_bloom: tuple[Path, Arrays], tmp_path: Path, edit_json: Any, settings: dict[str, Any], method: str
) -> None:
    source, packed = packed_bloom
    edit_json(source / "config.json", quantization_config=settings)
    convert(source, tmp_path / "out.gguf")  # plain weights with a setting that was left over
    (source / "model.safetensors").unlink()
    write_checkpoint(source, packed, "model.safetensors")
    with pytest.raises(ConversionError, match=rf"qweight: quantized with {method}, which is not read"):
        convert(source, tmp_path / "other.gguf")


QKV = "transformer.h.1.self_attention.query_key_value"


def cut(name: str, rows: int) -> Callable[[Arrays], None]:
    def damage(arrays: Arrays) -> None:
        arrays[f"{QKV}.{name}"] = arrays[f"{QKV}.{name}"][:rows]

    return damage


def put(name: str, value: NDArray[Any]) -> Callable[[Arrays], None]:
    return lambda arrays: arrays.update({f"{QKV}.{name}": value})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            cut("qzeros", 2),
            r"qweight \[12, 288\], qzeros \[2, 36\], scales \[3, 288\]: they do not belong together",
        ),
        (put("qzeros", np.zeros((3, 35), np.int32)), r"qzeros \[3, 35\].*expected codes of 2, 3, 4, 8 bits"),
        (put("qzeros", np.zeros((3, 9), np.int32)), "expected codes of 2, 3, 4, 8 bits"),
        (put("qweight", np.zeros((12, 280), np.int32)), "do not belong together"),
        (
            put("qweight", np.zeros((12, 288), np.int64)),
            r"qweight: expected a matrix of i32, got i64 \[12, 288\]",
        ),
        (
            put("qweight", np.zeros((8, 288), np.int32)),
            "3 groups do not cut 64 inputs evenly",
        ),
        (put("scales", np.zeros((3, 288), np.int32)), r"scales: expected a matrix of f64 or f32 .* got i32"),
        (put("scales", np.full((3, 288), 1e5, np.float32)), r"scales: a scale is not finite or.*--type f32"),
        (put("scales", np.full((3, 288), np.nan, np.float32)), "scales: a scale is not finite"),
        (put("g_idx", np.full(96, 3, np.int32)), r"g_idx: expected groups from 0 to 2 .*got 3 … 3"),
        (put("g_idx", np.full(96, -1, np.int32)), r"g_idx: expected groups from 0 to 2"),
        (put("g_idx", np.zeros(95, np.int32)), r"g_idx: expected i32 \[96\], got i32 \[95\]"),
        (put("weight", np.zeros((288, 96), np.float16)), "there both plain and quantized"),
        (
            lambda arrays: arrays.pop(f"{QKV}.scales"),
            "expected qzeros and scales beside qweight, scales missing",
        ),
        (
            lambda arrays: arrays.pop(f"{QKV}.qweight"),
            rf"{QKV}\.weight is missing|query_key_value.weight is missing",
        ),
        (lambda arrays: arrays.pop(f"{QKV}.bias"), "query_key_value.bias is missing"),
    ],
)
def test_damaged(
    packed_bloom: tuple[Path, Arrays], tmp_path: Path, damage: Callable[[Arrays], None], message: str
) -> None:
    source, packed = packed_bloom
    damage(packed)
    path = write_checkpoint(tmp_path / "packed", packed, NAME)
    with pytest.raises(ConversionError, match=message):
        convert(path, tmp_path / "out.gguf", tokenizer=source)
    assert list(tmp_path.glob("out.gguf*")) == []


def test_truncated(packed_bloom: tuple[Path, Arrays], tmp_path: Path) -> None:
    source, packed = packed_bloom
    path = write_checkpoint(tmp_path / "packed", packed, NAME, legacy=True)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ConversionError, match=NAME):
        convert(path, tmp_path / "out.gguf", tokenizer=source)
