"""The folders of csrc/kernels/ (docs/ARCHITECTURE.md): which tier builds on which, and where intrinsics may stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

KERNELS = Path(__file__).resolve().parents[2] / "csrc" / "kernels"

# Which other folders of kernels/ each one may include; "" is kernels/ itself.
LADDER: dict[str, set[str]] = {
    "": set(),
    "generic": {"", "formats"},
    "formats": {"", "generic"},
    "scalar": {"", "generic", "formats"},
    "avx2": {"", "generic", "formats"},
    "avxvnni": {"", "generic", "formats", "avx2"},
    "avx512vnni": {"", "generic", "formats", "avx2"},
    "amx": {"", "generic", "formats", "avx2", "avx512vnni"},
}
PORTABLE = {"generic", "formats", "scalar"}  # every processor compiles them
INTRINSICS = re.compile(r"immintrin\.h|arm_neon\.h|\b__m(128|256|512)|\b_mm\d*_")
PREFETCH = "generic/prefetch.h"  # has a line for each compiler


def files() -> list[Path]:
    return sorted(path for path in KERNELS.rglob("*") if path.suffix in {".h", ".cpp"})


def folder_of(path: Path) -> str:
    return path.parent.relative_to(KERNELS).as_posix().removeprefix(".")


def test_every_folder_has_its_place() -> None:
    assert {folder_of(path) for path in files()} == set(LADDER)


@pytest.mark.parametrize("path", files(), ids=lambda path: path.relative_to(KERNELS).as_posix())
def test_includes_follow_the_ladder(path: Path) -> None:
    folder, text = folder_of(path), path.read_text("utf-8")
    for include in re.findall(r'#include "kernels/([^"]+)"', text):
        target = Path(include).parent.as_posix().removeprefix(".")
        assert target == folder or target in LADDER[folder], f"{folder}/ includes {include}"
    if folder in PORTABLE and path.relative_to(KERNELS).as_posix() != PREFETCH:
        assert not INTRINSICS.search(text), f"{path.name}: intrinsics belong in a tier's folder"
