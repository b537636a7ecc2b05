"""The error and the speed of our rounding, tensor by tensor, beside llama.cpp's quantizer on the same weights.

    python benchmarks/rounding.py ORIGINAL [--types q4_k:pure q4_k_m iq4_xs:pure] [--speed]

ORIGINAL is a checkpoint folder or a GGUF file, whose dequantized weights are then the original. llama.cpp makes a file
of each type or mix (":pure": every matrix in one type). Each of its matrices is rounded by us to the type that it has
there. Printed are our error over llama.cpp's: the sum of squares, and the sum weighted as llama.cpp weighs without an
importance matrix. Both as the mean over the matrices and as the largest. --speed: values per second on one thread, of
both on the same rows. Needs the packages of the `test` extra.
"""

from __future__ import annotations

import argparse
import ctypes
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from fidelity_files import float_gguf, peer_file
from numpy.typing import NDArray

from belle_edge import _core

Rows = NDArray[np.float32]
TYPES = [
    "q2_k:pure",
    "q3_k_m",
    "q4_k_s",
    "q4_k_m",
    "q5_k_m",
    "q6_k:pure",
    "q5_0:pure",
    "q5_1:pure",
    "iq4_nl:pure",
    "iq4_xs:pure",
    "iq4_xs",
]
ROOT_BLOCKS = {"q4_k": 32, "q5_k": 32}  # types that llama.cpp weighs by magnitude, with their sub-blocks
FORMULAS = {"q4_0", "q4_1", "q5_0", "q5_1", "q8_0"}  # no search, and so no weights
SPEED_VALUES = 1 << 21


def peer_weights(x: Rows, type: str) -> NDArray[np.float32] | float:
    """What llama.cpp weighs the squares of errors with, where it has no importance matrix."""
    if type in FORMULAS:
        return 1.0
    if type in ROOT_BLOCKS:
        parts = x.reshape(-1, ROOT_BLOCKS[type])
        return np.asarray(
            (np.sqrt(np.square(parts).mean(axis=1, keepdims=True)) + np.abs(parts)).reshape(x.shape)
        )
    return np.abs(x) if type == "q2_k" else np.square(x)


def errors(x: Rows, stored: Rows, type: str) -> NDArray[np.float64]:
    """[plain, weighted] sums of squares, in double precision."""
    squares = np.square(x.astype(np.float64) - stored)
    return np.array([squares.sum(), (squares * peer_weights(x, type)).sum()])


def compare(original: Path, peer: Path) -> dict[str, list[NDArray[np.float64]]]:
    """Our errors over llama.cpp's for each matrix of the file `peer`, by type."""
    source, file = _core.GgufFile(str(original)), _core.GgufFile(str(peer))
    ratios: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    for tensor in file.tensors():
        kind = _core.weight_types().get(tensor.type)
        if kind is None or not kind["quantized"]:
            continue
        n_rows = int(np.prod(tensor.shape[:-1]))
        x = _core.dequantize(source.tensor_bytes(tensor.name).reshape(n_rows, -1), "f32")
        theirs = _core.dequantize(file.tensor_bytes(tensor.name).reshape(n_rows, -1), tensor.type)
        ours = _core.dequantize(_core.quantize(x, tensor.type), tensor.type)
        ratios[tensor.type].append(errors(x, ours, tensor.type) / errors(x, theirs, tensor.type))
    return ratios


def peer_quantizer() -> Any:
    import llama_cpp

    libraries = (Path(llama_cpp.__file__).parent / "lib").iterdir()
    quantize = ctypes.CDLL(
        str(next(path for path in libraries if "ggml-base" in path.name))
    ).ggml_quantize_chunk
    number, pointer = ctypes.c_int64, ctypes.c_void_p
    quantize.restype = ctypes.c_size_t
    quantize.argtypes = [ctypes.c_int, pointer, pointer, number, number, number, pointer]
    return quantize


def speeds(type: str, quantize: Any) -> tuple[float, float]:
    """Values per second of ours and of llama.cpp, on one thread; the faster of two runs, after a warm-up."""
    x = np.random.default_rng(0).standard_normal((SPEED_VALUES // 2048, 2048)).astype(np.float32) * 0.02
    kind = _core.weight_types()[type]
    out = np.empty(x.size // kind["block_size"] * kind["block_bytes"], dtype=np.uint8)

    def theirs(rows: Rows) -> None:
        quantize(kind["ggml_id"], rows.ctypes.data, out.ctypes.data, 0, *rows.shape, None)

    def rate(function: Any) -> float:
        function(x[:16])
        best = float("inf")
        for _ in range(2):
            start = time.perf_counter()
            function(x)
            best = min(best, time.perf_counter() - start)
        return x.size / best

    return rate(lambda rows: _core.quantize(rows, type, threads=1)), rate(theirs)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("original", type=Path, nargs="?")
    parser.add_argument("--types", nargs="+", default=TYPES)
    parser.add_argument("--speed", action="store_true")
    args = parser.parse_args()
    if args.original is not None:
        print(
            f"{'file':14} {'type':7} {'matrices':>8} {'plain, mean':>12} {'largest':>8} {'weighted':>9} {'largest':>8}"
        )
        with tempfile.TemporaryDirectory() as folder:
            original = float_gguf(args.original, Path(folder))
            for name in args.types:
                peer = peer_file(original, Path(folder), name)
                for type, found in sorted(compare(original, peer.path).items()):
                    (plain, weighted), (most, most_weighted) = np.mean(found, axis=0), np.max(found, axis=0)
                    print(
                        f"{name:14} {type:7} {len(found):8} {plain:12.4f} {most:8.4f} "
                        f"{weighted:9.4f} {most_weighted:8.4f}",
                        flush=True,
                    )
                peer.path.unlink()
    if args.speed:
        quantize = peer_quantizer()
        print(
            f"{'type':7} {'ours, M/s':>10} {'llama.cpp':>10} {'ratio':>6}   one thread, {_core.default_isa()}"
        )
        for type in (name for name, kind in _core.weight_types().items() if kind["quantized"]):
            ours, theirs = speeds(type, quantize)
            print(f"{type:7} {ours / 1e6:10.1f} {theirs / 1e6:10.1f} {ours / theirs:6.2f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
