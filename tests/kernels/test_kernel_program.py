"""Builds the C++ kernel tests with plain compiler calls; runs them natively, emulated on ARM, and with the
instructions that this CPU lacks computed in software. With sanitizers: tests/sanitizers."""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ..shared_builds import folder_of_the_run, lock
from .compiling import (
    AVX2_FLAGS,
    AVX512BF16_FLAGS,
    COMMON_FLAGS,
    DENSE_FILES,
    ROUNDING_FILES,
    SEARCH_FILES,
    SOURCES,
    TESTS,
    X86,
    X86_FILES,
    checked,
    knows,
    native_compiler,
)

pytestmark = pytest.mark.slow


def tier_of(file_name: str) -> str:
    return Path(file_name).stem.replace("_", "-")


X86_TIERS = [tier_of(name) for name in X86_FILES]
NATIVE_FILES = {**X86_FILES, **SEARCH_FILES} if X86 else {}
ISA_FILES = {**NATIVE_FILES, **DENSE_FILES, **ROUNDING_FILES} if X86 else {}
X86_DEFINITIONS = {  # for the registry
    "kernels/amx/amx.cpp": "-DBELLE_HAS_AMX",
    "kernels/amx/amx_emulated.cpp": "-DBELLE_EMULATE_AMX",
}
# What the CPU lacks beyond AVX2, by SIMDe (software/immintrin.h); its 512-bit types are not those of the ABI.
SOFTWARE_FLAGS = [*AVX2_FLAGS, f"-I{TESTS / 'software'}", "-Wno-psabi", "-Wno-ignored-attributes"]
SOFTWARE_FILES = {
    name: AVX2_FLAGS if name == "kernels/avx2/avx2.cpp" else SOFTWARE_FLAGS
    for name in X86_FILES
    if name != "kernels/amx/amx.cpp"
}
PORTABLE_FILES = [
    "cpu/features.cpp",
    "kernels/registry.cpp",
    "kernels/scalar/scalar.cpp",
    *(f"quant/{path.name}" for path in sorted((SOURCES / "quant").glob("*.cpp"))),
]
TEST_FILES = sorted(TESTS.glob("*.cpp"))


def object_of(folder: Path, source: Path) -> Path:
    return folder / f"{source.parent.name}-{source.stem}.o"


def build_program(
    compiler: str,
    folder: Path,
    flags: list[str],
    *,
    isa_files: dict[str, list[str]],
    link_flags: tuple[str, ...] = (),
) -> Path:
    known = {name: isa for name, isa in isa_files.items() if knows(compiler, isa)}
    definitions = [X86_DEFINITIONS[name] for name in known if name in X86_DEFINITIONS]
    names = [*known, *PORTABLE_FILES]
    isa_flags = {SOURCES / name: known.get(name, []) for name in names}

    def compile_one(path: Path) -> str:
        object_file = str(object_of(folder, path))
        own_flags = definitions if path.stem == "registry" else isa_flags.get(path, [])
        command = [compiler, *COMMON_FLAGS, *flags, *own_flags]
        checked([*command, "-c", str(path), "-o", object_file])
        return object_file

    with ThreadPoolExecutor(max_workers=2) as pool:
        objects = list(pool.map(compile_one, [*isa_flags, *TEST_FILES]))
    program = folder / "kernel_test"
    checked([compiler, *flags, *link_flags, *objects, "-o", str(program)])
    return program


def environment(**changes: str) -> dict[str, str]:
    return {**{name: value for name, value in os.environ.items() if name != "BELLE_ISA"}, **changes}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With its objects beside it; one for all workers."""
    compiler = native_compiler()
    folder = folder_of_the_run(tmp_path_factory) / "kernel_program"
    with lock(folder.with_suffix(".lock")):
        folder.mkdir(exist_ok=True)
        if not (folder / "kernel_test").exists():
            build_program(compiler, folder, ["-O1"], isa_files=NATIVE_FILES)
    return folder / "kernel_test"


def assert_all_passed(output: str) -> None:
    print(output)
    assert "FAILED" not in output
    assert "tier scalar: " in output
    assert "checks passed" in output


def test_every_tier(program: Path) -> None:
    output = checked([str(program)], env=environment())
    assert_all_passed(output)
    if X86:
        for tier in X86_TIERS:
            if tier != "amx-emulated" or knows(native_compiler(), AVX512BF16_FLAGS):
                assert f"tier {tier}: " in output  # tested, or skipped with its reason


def test_a_forced_tier_is_the_one_that_runs(program: Path) -> None:
    listing = checked([str(program), "--list"], env=environment())
    tiers = [line.split()[1].rstrip(":") for line in listing.splitlines() if line.endswith(": supported")]
    assert "scalar" in tiers
    assert f"default {tiers[0]}" in listing
    for tier in tiers:
        forced = checked([str(program), "--list"], env=environment(BELLE_ISA=tier))
        assert f"default {tier}" in forced
    output = checked([str(program), "--isa", "scalar"], env=environment())
    assert "tier scalar: " in output
    assert "avx" not in output


def test_an_unknown_tier_is_an_error_that_lists_the_choices(program: Path) -> None:
    forced = environment(BELLE_ISA="bogus")
    result = subprocess.run([str(program)], env=forced, capture_output=True, text=True)
    assert result.returncode == 2
    for word in ("BELLE_ISA", "bogus", "scalar", *(X86_TIERS[:3] if X86 else ())):
        assert word in result.stderr


@pytest.mark.skipif(not X86, reason="x86 tiers")
def test_every_tier_in_software(program: Path, tmp_path: Path) -> None:
    """The tiers of CPUs other than this one too, whatever it has beyond AVX2."""
    compiler = native_compiler()
    listing = checked([str(program), "--list"], env=environment())
    supported = [name for name in SOFTWARE_FILES if f"tier {tier_of(name)}: supported" in listing]
    if len(supported) == len(SOFTWARE_FILES):
        pytest.skip("the CPU runs all of these tiers itself")
    if "kernels/avx2/avx2.cpp" not in supported:
        pytest.skip("the CPU has no AVX2")
    if not knows(compiler, [], b"#include <simde/x86/avx512.h>\n"):
        pytest.skip("needs the headers of SIMDe (libsimde-dev)")
    program = build_program(compiler, tmp_path, ["-O1"], isa_files={**SOFTWARE_FILES, **SEARCH_FILES})
    output = checked([str(program), "--compiled"], env=environment())
    assert_all_passed(output)
    for name in SOFTWARE_FILES:
        assert f"tier {tier_of(name)}: skipped" not in output
        assert f"tier {tier_of(name)}: " in output


def test_aarch64_under_emulation(tmp_path: Path) -> None:
    compiler = shutil.which("aarch64-linux-gnu-g++")
    emulator = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
    if not compiler or not emulator:
        pytest.skip("needs aarch64-linux-gnu-g++ and qemu-aarch64 (g++-aarch64-linux-gnu, qemu-user)")
    program = build_program(compiler, tmp_path, ["-O1"], isa_files={}, link_flags=("-static",))
    output = checked([emulator, str(program)], env=environment())
    assert_all_passed(output)
    assert "tier avx2: skipped (not in this build)" in output
    assert "cpu aarch64" in checked([emulator, str(program), "--list"], env=environment())


def assert_one_symbol(name: str, object_file: Path) -> None:
    """A shared inline function compiled with AVX flags must not be there for the linker to choose."""
    listing = checked(["nm", "-C", "--defined-only", str(object_file)])
    symbols = [line.split(maxsplit=2)[1:] for line in listing.splitlines()]
    visible = [(kind, symbol) for kind, symbol in symbols if kind in "TDBRWVu"]
    # DW.ref.* is the data that names the exception handler; every C++ object has the same one.
    code = [(kind, symbol) for kind, symbol in visible if not symbol.startswith("DW.ref.")]
    function = f"{Path(name).stem}_kernels"
    if name in SEARCH_FILES:
        function = "search_row_avx2"
    elif name in {**DENSE_FILES, **ROUNDING_FILES}:
        function = Path(name).stem
    assert [(kind, symbol.partition("(")[0]) for kind, symbol in code] == [("T", f"belle::{function}")]


def compiled(name: str, optimization: str, folder: Path) -> Path:
    object_file = folder / "isa.o"
    command = [native_compiler(), *COMMON_FLAGS, optimization, *ISA_FILES[name], "-c", str(SOURCES / name)]
    checked([*command, "-o", str(object_file)])
    return object_file


@pytest.mark.skipif(not X86 or not shutil.which("nm"), reason="x86 tiers, by nm")
@pytest.mark.parametrize("name", sorted(ISA_FILES))
def test_an_isa_file_exports_one_symbol(name: str, tmp_path: Path) -> None:
    """Without optimization no call is inlined."""
    if not knows(native_compiler(), ISA_FILES[name]):
        pytest.skip("the compiler does not know this instruction set")
    assert_one_symbol(name, compiled(name, "-O0", tmp_path))


@pytest.mark.skipif(not X86 or not shutil.which("nm"), reason="x86 tiers, by nm")
@pytest.mark.parametrize("name", sorted(ISA_FILES))
def test_an_optimized_isa_file_exports_one_symbol(name: str, program: Path, tmp_path: Path) -> None:
    """The objects of the program, and the few that it does without."""
    if not knows(native_compiler(), ISA_FILES[name]):
        pytest.skip("the compiler does not know this instruction set")
    known = object_of(program.parent, SOURCES / name)
    assert_one_symbol(name, known if known.exists() else compiled(name, "-O2", tmp_path))
