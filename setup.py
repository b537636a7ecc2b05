"""Builds the C++ extension with CMake; everything else is in pyproject.toml."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent


def version() -> str:
    scope: dict[str, str] = {}
    exec((ROOT / "belle_edge" / "_version.py").read_text(encoding="utf-8"), scope)
    return scope["__version__"]


class CMakeExtension(Extension):
    def __init__(self, name: str) -> None:
        super().__init__(name, sources=[])


class CMakeBuild(build_ext):
    """One CMake configure and build per extension; the build folder is kept, so a rebuild is incremental."""

    def build_extension(self, ext: Extension) -> None:
        import pybind11

        target = Path(self.get_ext_fullpath(ext.name)).resolve().parent
        build = Path(self.build_temp).resolve()
        build.mkdir(parents=True, exist_ok=True)
        config = "Debug" if self.debug else "Release"
        configure = [
            "cmake",
            "-S",
            str(ROOT),
            "-B",
            str(build),
            f"-DCMAKE_BUILD_TYPE={config}",
            f"-DCMAKE_LIBRARY_OUTPUT_DIRECTORY={target}",
            f"-DCMAKE_LIBRARY_OUTPUT_DIRECTORY_{config.upper()}={target}",
            f"-DPython_EXECUTABLE={sys.executable}",
            f"-DPYTHON_EXECUTABLE={sys.executable}",
            f"-Dpybind11_DIR={pybind11.get_cmake_dir()}",
            "-DPYBIND11_FINDPYTHON=ON",
            f"-DBELLE_VERSION={version()}",
            # For development: the AMX kernels on machines without AMX (docs/ADDING_A_KERNEL.md).
            f"-DBELLE_EMULATE_AMX={'ON' if os.environ.get('BELLE_EMULATE_AMX') == '1' else 'OFF'}",
        ]
        if shutil.which("ninja"):
            configure += ["-G", "Ninja"]
        # cibuildwheel on macOS asks for the architecture this way.
        if sys.platform == "darwin" and "arm64" in os.environ.get("ARCHFLAGS", ""):
            configure.append("-DCMAKE_OSX_ARCHITECTURES=arm64")
        subprocess.run(configure, check=True)
        jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL", str(os.cpu_count() or 1))
        subprocess.run(["cmake", "--build", str(build), "--config", config, "--parallel", jobs], check=True)


def packages() -> list[str]:
    """Everything below belle_edge/, and convert/, which is installed as belle_edge.convert."""
    convert = [
        "belle_edge.convert",
        *(f"belle_edge.convert.{name}" for name in find_packages(str(ROOT / "convert"))),
    ]
    return [*find_packages(str(ROOT), include=["belle_edge", "belle_edge.*"]), *convert]


setup(
    packages=packages(),
    package_dir={"belle_edge.convert": "convert"},
    ext_modules=[CMakeExtension("belle_edge._core")],
    cmdclass={"build_ext": CMakeBuild},
)
