"""Statistics against NumPy on the whole tensor; what looks wrong is said."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

from belle_edge import _core
from belle_edge.verification import verify_contents
from belle_edge.verification.statistics import TensorStatistics, collect_statistics


def write(path: Path, tensors: dict[str, NDArray[Any]]) -> Path:
    writer = gguf.GGUFWriter(path, "llama")
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def statistics_of(path: Path) -> dict[str, TensorStatistics]:
    return {tensor.name: tensor for tensor in collect_statistics(_core.GgufFile(str(path)))}


@pytest.mark.parametrize("kind", ["f32", "q4_0"])
def test_numbers(tmp_path: Path, kind: str) -> None:
    weights = (
        np.random.default_rng(8).normal(size=(4200, 512)).astype(np.float32)
    )  # more than are read at once
    weights[:, :40] = 0
    assert weights.size > 1 << 21
    data = _core.quantize(weights, kind)  # type: ignore[arg-type]
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    writer.add_tensor("weights", data, raw_dtype=gguf.GGMLQuantizationType[kind.upper()])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    values = _core.dequantize(data, kind).astype(np.float64)  # type: ignore[arg-type]
    statistics = statistics_of(tmp_path / "m.gguf")["weights"]
    assert (statistics.minimum, statistics.maximum) == (values.min(), values.max())
    assert statistics.mean == pytest.approx(values.mean(), rel=1e-9)
    assert statistics.rms == pytest.approx(math.sqrt((values**2).mean()), rel=1e-9)
    assert statistics.zeros == (values == 0).mean()
    assert (statistics.n_not_finite, statistics.suspicion) == (0, None)


def test_suspicious_tensors(tmp_path: Path) -> None:
    broken = np.array([[1.0, np.nan, -np.inf, 2.0]], np.float32)
    tensors = {"zero": np.zeros((2, 8), np.float32), "same": np.full(5, 2.5, np.float32), "broken": broken}
    path = write(tmp_path / "odd.gguf", {**tensors, "fine": np.arange(6, dtype=np.float32)})
    found = statistics_of(path)
    suspicions = {name: tensor.suspicion for name, tensor in found.items()}
    assert suspicions == {"zero": "all zero", "same": "constant", "broken": "not finite", "fine": None}
    assert (found["broken"].n_not_finite, found["broken"].minimum, found["broken"].maximum) == (2, 1.0, 2.0)
    report = verify_contents(path, statistics=True)
    assert report.problems == ["broken: 2 values are not finite"]
    assert report.notes == ["zero: all zero", "same: constant"]


def test_nothing_is_finite(tmp_path: Path) -> None:
    path = write(tmp_path / "nan.gguf", {"nan": np.full(4, np.nan, np.float32)})
    (tensor,) = statistics_of(path).values()
    assert (tensor.minimum, tensor.rms, tensor.zeros, tensor.n_not_finite) == (None, None, None, 4)


def test_a_type_that_is_not_read(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "other.gguf", "llama")
    data = np.zeros((1, 17), np.uint8)
    writer.add_tensor("t", data, raw_dtype=gguf.GGMLQuantizationType.MXFP4)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    (tensor,) = statistics_of(tmp_path / "other.gguf").values()
    assert (tensor.suspicion or "").endswith("is not read")
    assert tensor.minimum is None
