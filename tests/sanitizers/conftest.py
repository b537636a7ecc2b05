"""Builds of csrc/ with a sanitizer, each made once and kept in build/: the next run compiles what changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ..shared_builds import lock

ROOT = Path(__file__).resolve().parents[2]
PROBES = {"address": "-fsanitize=address,undefined", "thread": "-fsanitize=thread"}

Program = Callable[[str, str], Path]


def run(command: list[str], **environment: str) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **environment}, cwd=ROOT
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"


def require_sanitizer(kind: str, folder: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("written for Linux")
    compiler = os.environ.get("CXX") or shutil.which("c++") or "g++"
    for name in ("cmake", "ninja", compiler):
        if shutil.which(name) is None:
            pytest.skip(f"needs {name}")
    probe = folder / "probe.cpp"
    probe.write_text("int main() { return 0; }\n")
    command = [compiler, PROBES[kind], str(probe), "-o", str(folder / "probe")]
    if subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip(f"{compiler} has no {kind} sanitizer")
    if subprocess.run([str(folder / "probe")], capture_output=True).returncode != 0:
        pytest.skip(f"the {kind} sanitizer does not run on this system")


@pytest.fixture(scope="session")
def sanitized_program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """("thread", "engine_threads") -> this program of CMakeLists.txt, built with that sanitizer."""

    def build(kind: str, name: str) -> Path:
        require_sanitizer(kind, tmp_path_factory.mktemp("probe"))
        pybind11 = pytest.importorskip("pybind11")
        folder = ROOT / "build" / f"sanitized-{kind}"
        settings = {
            "BELLE_SANITIZE": kind,
            "CMAKE_BUILD_TYPE": "Release",
            "Python_EXECUTABLE": sys.executable,
            "PYBIND11_FINDPYTHON": "ON",
            "pybind11_DIR": pybind11.get_cmake_dir(),
        }
        arguments = [f"-D{key}={value}" for key, value in settings.items()]
        with lock(folder.with_suffix(".lock")):
            run(["cmake", "-S", str(ROOT), "-B", str(folder), "-G", "Ninja", *arguments])
            run(["cmake", "--build", str(folder), "--target", name])
        return folder / name

    return build
