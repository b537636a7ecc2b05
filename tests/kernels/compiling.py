"""How the tests compile C++: the compiler, and the flags of each instruction set as CMakeLists.txt has them."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "csrc"
TESTS = Path(__file__).resolve().parent

X86 = platform.machine().lower() in ("x86_64", "amd64")
AVX2_FLAGS = ["-mavx2", "-mfma", "-mf16c"]
AVX512VNNI_FLAGS = ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni", *AVX2_FLAGS]
AVXVNNI_FLAGS = [*AVX2_FLAGS, "-mavxvnni"]
AVX512BF16_FLAGS = [*AVX512VNNI_FLAGS, "-mavx512bf16"]
X86_FILES = {
    "kernels/avx2/avx2.cpp": AVX2_FLAGS,
    "kernels/avxvnni/avxvnni.cpp": AVXVNNI_FLAGS,
    "kernels/avx512vnni/avx512vnni.cpp": AVX512VNNI_FLAGS,
    "kernels/amx/amx.cpp": [*AVX512BF16_FLAGS, "-mamx-tile", "-mamx-int8", "-mamx-bf16"],
    "kernels/amx/amx_emulated.cpp": AVX512BF16_FLAGS,  # the same kernels on software tiles, for CPUs without AMX
}
SEARCH_FILES = {"quant/search/avx2.cpp": AVX2_FLAGS}  # no tier; every one from AVX2 on takes it
DENSE_FILES = {  # the bits of dense/dense_plain.cpp: tests/kernels/test_dense.py
    "dense/isa/dense_avx2.cpp": AVX2_FLAGS,
    "dense/isa/dense_avx512.cpp": [*AVX2_FLAGS, "-mavx512f"],
}
ROUNDING_FILES = {
    "rounding/isa/rounding_avx2.cpp": AVX2_FLAGS,
    "rounding/isa/rounding_avx512.cpp": [*AVX2_FLAGS, "-mavx512f"],
}
COMMON_FLAGS = [
    "-std=c++17",
    "-ffp-contract=off",
    "-Wall",
    "-Wextra",
    "-Werror",
    f"-I{SOURCES}",
    f"-I{TESTS}",
]


def native_compiler() -> str:
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    if not compiler:
        pytest.skip("no C++ compiler")
    return compiler


def knows(compiler: str, flags: list[str], source: bytes = b"") -> bool:
    """Compilers older than an instruction set leave its tier out, as CMakeLists.txt does."""
    command = [compiler, *flags, "-x", "c++", "-E", "-", "-o", os.devnull]
    return subprocess.run(command, input=source, capture_output=True).returncode == 0


def checked(command: list[str], env: dict[str, str] | None = None) -> str:
    result = subprocess.run(command, capture_output=True, text=True, env=env)
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stdout}\n{result.stderr}"
    return result.stdout
