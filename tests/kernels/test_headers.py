"""Every header of csrc/ includes what it uses: it compiles alone, those of a tier with the tier's flags.

The build itself is the proof where a source file begins with its own header: nothing comes before it.
"""

from __future__ import annotations

import re
import sysconfig
from pathlib import Path

import pytest

from .compiling import (
    AVX2_FLAGS,
    COMMON_FLAGS,
    ROUNDING_FILES,
    SOURCES,
    X86,
    X86_FILES,
    checked,
    knows,
    native_compiler,
)

pytestmark = pytest.mark.slow
TIER_FLAGS = {Path(name).parent.name: flags for name, flags in reversed(X86_FILES.items())}
HEADERS = sorted(path.relative_to(SOURCES) for path in SOURCES.rglob("*.h"))
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)', re.MULTILINE)


def begins_its_source(header: Path) -> bool:
    """Whether the .cpp of the same name includes it before anything else."""
    source = (SOURCES / header).with_suffix(".cpp")
    first = INCLUDE.search(source.read_text(encoding="utf-8")) if source.exists() else None
    return first is not None and first[1] == header.as_posix()


def group_of(header: Path) -> str:
    """Headers that one compiler call takes: a folder of csrc/, or of kernels/."""
    folders = header.parts[:-1]
    return "/".join(folders[:2])


ALONE = [header for header in HEADERS if not begins_its_source(header)]
GROUPS = sorted({group_of(header) for header in ALONE})


def flags_of(group: str) -> list[str]:
    if group == "bindings":
        pybind11 = pytest.importorskip("pybind11")
        return [f"-I{pybind11.get_include()}", f"-I{sysconfig.get_path('include')}"]
    if group == "quant/search" and X86:  # one of its headers holds AVX2's registers
        return AVX2_FLAGS
    if group == "rounding/isa" and X86:
        return ROUNDING_FILES["rounding/isa/rounding_avx512.cpp"]
    if group == "dense/isa":
        if not X86:
            pytest.skip("x86 instruction sets")
        return AVX2_FLAGS
    tier = group.removeprefix("kernels/")
    if tier not in TIER_FLAGS:
        return []
    if not X86:
        pytest.skip("x86 tiers")
    return TIER_FLAGS[tier]


def test_the_tiers_have_their_folders() -> None:
    folders = {group.removeprefix("kernels/") for group in GROUPS if group.startswith("kernels/")}
    assert {*TIER_FLAGS, "scalar", "generic", "formats"} <= folders
    assert TIER_FLAGS["avx2"] == AVX2_FLAGS
    assert "-mamx-tile" in TIER_FLAGS["amx"]


def test_headers_guard_themselves() -> None:
    for header in HEADERS:
        assert "\n#pragma once\n" in "\n" + (SOURCES / header).read_text(encoding="utf-8"), header


@pytest.mark.parametrize("group", GROUPS)
def test_headers_compile_alone(group: str, tmp_path: Path) -> None:
    compiler, flags = native_compiler(), flags_of(group)
    if not knows(compiler, flags):
        pytest.skip("the compiler does not know this instruction set")
    sources = []
    for header in ALONE:
        if group_of(header) != group:
            continue
        source = tmp_path / f"{header.stem}.cpp"
        source.write_text(f'#include "{header.as_posix()}"\n')
        sources.append(str(source))
    checked([compiler, *COMMON_FLAGS, *flags, "-fsyntax-only", *sources])
