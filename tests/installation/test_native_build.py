"""The build of the engine: what it says where a tool is missing, and when a kept build folder is still used.

A project of two lines stands for the engine, so that the real cmake and compiler run in seconds.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
CMAKE_LISTS = """
cmake_minimum_required(VERSION 3.18)
project(tiny LANGUAGES CXX)
find_package(pybind11 CONFIG REQUIRED)
if(NOT EXISTS ${pybind11_INCLUDE_DIR})
  message(FATAL_ERROR "no ${pybind11_INCLUDE_DIR}")
endif()
add_library(core STATIC core.cpp)
add_library(_core MODULE module.cpp)
target_link_libraries(_core PRIVATE core pybind11::module)
"""
# Builds with the pybind11 and the ninja of a pip environment that exists for this build alone.
BUILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import native_build
source, folder, target = map(Path, sys.argv[2:5])
job = native_build.Build(source=source, folder=folder, target=target, version="1", debug=len(sys.argv) > 5)
native_build.build(job)
"""
pytest.importorskip("setuptools", minversion="77")
pytest.importorskip("pybind11")


@pytest.fixture(scope="module")
def native_build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("native_build", ROOT / "native_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["native_build"] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("cmake", "ninja"):
        if shutil.which(name) is None:
            pytest.skip(f"needs {name}")
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "CMakeLists.txt").write_text(CMAKE_LISTS)
    (folder / "core.cpp").write_text("int answer() { return 42; }\n")
    (folder / "module.cpp").write_text(
        "#include <pybind11/detail/common.h>\nint answer(); int f() { return answer(); }\n"
    )
    return folder


def build(project: Path, environment: Path, *more: str, ninja: bool = True) -> None:
    """One build, in a pip environment that is made for it and removed afterwards."""
    import pybind11

    shutil.copytree(Path(pybind11.__file__).parent, environment / "site" / "pybind11")
    (environment / "bin").mkdir()
    for name in ("cmake", *(["ninja"] if ninja else [])):
        found = shutil.which(name)
        assert found is not None
        (environment / "bin" / name).symlink_to(found)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            BUILD,
            str(ROOT),
            str(project),
            str(project / "build"),
            str(project / "out"),
            *more,
        ],
        env={
            **os.environ,
            "PYTHONPATH": str(environment / "site"),
            "PATH": os.pathsep.join([str(environment / "bin"), os.environ["PATH"]]),
        },
        capture_output=True,
        text=True,
    )
    shutil.rmtree(environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [path.stem for path in (project / "out").iterdir()] == ["lib_core"]


def object_time(project: Path, name: str = "core") -> int:
    (path,) = (project / "build").rglob(f"{name}.cpp.o")
    return path.stat().st_mtime_ns


@pytest.mark.skipif(os.name != "posix", reason="links as POSIX has them")
def test_builds_in_environments_that_are_gone(project: Path, tmp_path: Path) -> None:
    build(project, tmp_path / "first")
    compiled, bound = object_time(project), object_time(project, "module")
    build(project, tmp_path / "second")
    assert (object_time(project), object_time(project, "module")) == (compiled, bound)  # incremental
    (project / "core.cpp").write_text("int answer() { return 43; }\n")
    build(project, tmp_path / "third")
    assert object_time(project) > compiled
    compiled = object_time(project)
    moved = project.rename(tmp_path / "moved")
    build(moved, tmp_path / "fourth")  # the folder was configured for another place
    assert object_time(moved) > compiled
    compiled = object_time(moved)
    (moved / "build" / "configured.json").write_text("{")
    build(moved, tmp_path / "fifth", "debug")
    assert object_time(moved) > compiled


def on_path(folder: Path, *names: str) -> str:
    """A PATH with these programs alone."""
    folder.mkdir()
    for name in names:
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    return str(folder)


@pytest.mark.skipif(os.name != "posix", reason="on Windows CMake looks for the compiler")
def test_without_a_compiler(tmp_path: Path) -> None:
    """What `setup.py` says is all that the build says: pip shows it at the end of its own report."""
    path = on_path(tmp_path / "bin", "cmake")
    environment = {"PATH": path, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "setup.py", "bdist_wheel"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert lines[0].startswith("[build] A C++17 compiler is needed")
    assert len(lines) == 7
    for words in ("apt install g++", "dnf install gcc-c++", "xcode-select --install", "Visual"):
        assert words in done.stderr
    done = subprocess.run(
        [sys.executable, "setup.py", "--version"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0  # nothing is compiled


@pytest.mark.skipif(os.name != "posix", reason="on Windows CMake looks for the compiler")
def test_what_is_missing(native_build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    assert native_build.missing_headers() is None
    if shutil.which("c++"):
        assert native_build.missing_compiler() is None
    old = tmp_path / "old"
    old.mkdir()
    monkeypatch.setenv("PATH", str(old))
    assert "cmake was not found" in native_build.missing_cmake()
    assert "no C++ compiler was found" in native_build.missing_compiler()
    for name, text in (("cmake", "echo cmake version 3.10.2"), ("c++", "echo too old >&2; exit 1")):
        (old / name).write_text(f"#!/bin/sh\n{text}\n")
        (old / name).chmod(0o755)
    assert "expected 3.18 or newer, got cmake version 3.10.2" in native_build.missing_cmake()
    assert native_build.missing_compiler().startswith("too old\nA C++17 compiler is needed")
    monkeypatch.setenv("CXX", "none-such -O2")
    assert "CXX names 'none-such -O2'" in native_build.missing_compiler()
