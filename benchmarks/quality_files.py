"""The files that benchmarks/quality.py compares: one model, rounded in several ways to the same types.

A method is one of METHODS: ours to the nearest value, ours optimized, llama.cpp's quantizer without and with an
importance matrix. Ours "fast" and llama.cpp's importance matrix come from one and the same moments file.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fidelity_files import float_gguf, quantize_with_llama_cpp
from numpy.typing import NDArray

from belle_edge import _core
from belle_edge.convert import convert
from belle_edge.convert.moments import Moments
from belle_edge.convert.moments.calibrate import calibrate

OURS = ("nearest", "fast", "best")
LLAMA_CPP, LLAMA_CPP_IMATRIX = "llama.cpp", "llama.cpp+imatrix"
METHODS = (*OURS, LLAMA_CPP, LLAMA_CPP_IMATRIX)
GIVEN = "given"


@dataclass(frozen=True)
class RoundedFile:
    """One file under test."""

    method: str  # one of METHODS, or the name of a given file's maker
    type: str
    path: Path
    seconds: float | None  # that it took to make, without calibration; None of a given file

    @property
    def n_bytes(self) -> int:
        return self.path.stat().st_size

    @property
    def tensor_bytes(self) -> int:
        """Without metadata, of which ours have more."""
        return sum(tensor.n_bytes for tensor in _core.GgufFile(self.path).tensors())


@dataclass(frozen=True)
class Calibration:
    """What moments are computed of."""

    data: tuple[Path, ...] = ()  # texts; none: the bundled ones
    n_tokens: int | None = None  # None: as many as `calibrate` takes
    moments: Path | None = None  # a moments file or an imatrix, which is taken instead


class Workshop:
    """Makes files of one model in a folder, each once.

    original: a checkpoint folder, or a GGUF file, whose dequantized weights are then the original.
    """

    def __init__(self, original: Path, folder: Path, calibration: Calibration) -> None:
        self._folder, self._calibration = folder, calibration
        self.floats = float_gguf(original, folder)
        self._source = original if original.is_dir() else self.floats
        self._times = _Times(folder / "seconds.json")

    @property
    def calibration_seconds(self) -> float | None:
        return self._times.of("moments.gguf")

    def moments(self) -> Path:
        """The moments file, computed at the first call."""
        if self._calibration.moments is not None:
            return self._calibration.moments
        target = self._folder / "moments.gguf"
        data, n_tokens = self._calibration.data, self._calibration.n_tokens
        settings = {} if n_tokens is None else {"tokens": n_tokens}
        self._times.take(target, lambda: calibrate(self._source, target, data=list(data) or None, **settings))
        return target

    def make(self, method: str, type_name: str) -> RoundedFile:
        """The model by `method`. Raises ValueError for a file of llama.cpp's that has other types than ours."""
        target = self._folder / f"{method}-{type_name}.gguf"
        seconds = self._times.take(target, self._maker(method, type_name, target))
        made = RoundedFile(method, type_name, target, seconds)
        if method not in OURS:
            check_same_types(self.make("nearest", type_name).path, target)
        return made

    def _maker(self, method: str, type_name: str, target: Path) -> Callable[[], object]:
        if method == "nearest":
            return lambda: convert(self._source, target, type=type_name)
        if method in ("fast", "best"):
            moments = self.moments()
            return lambda: convert(self._source, target, type=type_name, optimize=method, calibration=moments)
        if method == LLAMA_CPP:
            return lambda: quantize_with_llama_cpp(self.floats, target, type_name)
        if method == LLAMA_CPP_IMATRIX:
            return lambda: self._with_imatrix(type_name, target)
        raise ValueError(f"[quality] method {method!r}: expected one of {', '.join(METHODS)}")

    def _with_imatrix(self, type_name: str, target: Path) -> None:
        """llama.cpp chooses other types for some matrices where it has an imatrix: it gets the ones of the others."""
        quantize_with_llama_cpp(
            self.floats,
            target,
            type_name,
            importance=energies(self.moments()),
            tensor_types=quantized_types(self.make("nearest", type_name).path),
        )


class _Times:
    """How long it took to make each file, kept beside the files."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seconds: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}

    def of(self, name: str) -> float | None:
        return self._seconds.get(name)

    def take(self, target: Path, make: Callable[[], object]) -> float | None:
        """Call `make` where its file does not exist yet; the seconds that it took, now or when it was made."""
        if not target.exists():
            start = time.perf_counter()
            make()
            self._seconds[target.name] = round(time.perf_counter() - start, 2)
            self._path.write_text(json.dumps(self._seconds, indent=1))
        return self.of(target.name)


def energies(path: Path) -> dict[str, NDArray[np.float32]]:
    """The importance matrix that llama.cpp reads from a moments file or an imatrix."""
    moments = Moments.open(path)
    found = {name: moments.energies(name) for name in moments.tensor_names}
    return {name: columns for name, columns in found.items() if columns is not None}


def quantized_types(path: Path) -> dict[str, int]:
    """GGML's number of the type of each quantized matrix."""
    kinds = _core.weight_types()
    tensors = _core.GgufFile(path).tensors()
    return {
        tensor.name: kinds[tensor.type]["ggml_id"] for tensor in tensors if kinds[tensor.type]["quantized"]
    }


def check_same_types(ours: Path, other: Path) -> None:
    """Raise ValueError, which names the first, for matrices that have different types in two files."""
    types = [
        {tensor.name: tensor.type for tensor in _core.GgufFile(path).tensors()} for path in (ours, other)
    ]
    differing = [name for name in types[0] if types[0][name] != types[1].get(name)]
    if differing:
        name = differing[0]
        raise ValueError(
            f"[quality] {name} is {types[0][name]} in {ours.name} and {types[1].get(name)} in {other.name}; "
            f"{len(differing)} matrices differ"
        )
