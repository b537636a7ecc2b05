"""How setup.py builds the engine: what it needs, how it configures, and when a kept build folder is still good.

The folder is kept between builds, so that only what changed is compiled. pip runs each build in an environment of
its own, which is gone afterwards, with its cmake, ninja and pybind11. So what the folder remembers of them is looked up
anew each time, and pybind11 is copied. A folder that was configured for another place, compiler or build type starts
again.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

COMMANDS = frozenset(
    {"build", "build_ext", "bdist_wheel", "editable_wheel", "develop", "install"}
)  # that compile
_OLDEST_CMAKE = (3, 18)  # as CMakeLists.txt says
_COMPILERS = ("c++", "g++", "clang++")
_PROBE = """
#include <optional>
#include <string_view>
#if __cplusplus < 201703L
#error C++17
#endif
int main() {
  if (constexpr std::string_view text("17"); std::optional<int>(1)) return static_cast<int>(text.size()) - 2;
}
"""
_INSTALL_COMPILER = """\
Install one, then run the same command again:
  Debian, Ubuntu  sudo apt install g++
  Fedora          sudo dnf install gcc-c++
  macOS           xcode-select --install
  Windows         winget install Microsoft.VisualStudio.2022.BuildTools
                  and in its installer choose "Desktop development with C++"
"""
_INSTALL_HEADERS = """\
Install them, then run the same command again:
  Debian, Ubuntu  sudo apt install python3-dev
  Fedora          sudo dnf install python3-devel
"""
_VARIABLES = ("CXX", "CXXFLAGS", "LDFLAGS", "ARCHFLAGS", "MACOSX_DEPLOYMENT_TARGET", "CMAKE_GENERATOR")
_STAMP = "configured.json"  # in the build folder
# Cache entries that name a Python, a pip environment, or what was found in one.
_PASSING = (
    "Python_*",
    "_Python_*",
    "PYTHON_*",
    "pybind11_*",
    "CMAKE_MAKE_PROGRAM",
    "FIND_PACKAGE_MESSAGE_DETAILS_*",
)


@dataclass(frozen=True)
class Build:
    """One build of the extension module."""

    source: Path  # with CMakeLists.txt
    folder: Path  # of CMake
    target: Path  # folder that gets the module
    version: str  # compiled into it
    debug: bool = False

    @property
    def config(self) -> str:
        return "Debug" if self.debug else "Release"


def build(job: Build) -> None:
    """Configure and compile. Ends the process with what to do where a tool is missing or fails."""
    prepare_folder(job)
    for command in (configure_command(job), _compile_command(job)):
        if subprocess.run(command).returncode != 0:
            problem = "" if command[1] == "--build" else f"\n\n{_INSTALL_COMPILER}"
            sys.exit(f"[build] {' '.join(command[:2])} failed, its message is above.{problem}")


def require_tools() -> None:
    """End the process, with what to install, unless there are cmake, Python's headers and a C++17 compiler."""
    if problem := missing_cmake() or missing_compiler() or missing_headers():
        sys.exit(f"[build] {problem}".rstrip())


def missing_cmake() -> str | None:
    """What to do about a cmake that is absent or too old."""
    wanted = ".".join(map(str, _OLDEST_CMAKE))
    try:
        text = subprocess.run(["cmake", "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return f"cmake was not found, {wanted} or newer is needed: pip install cmake"
    found = re.search(r"(\d+)\.(\d+)", text)
    if found is None or tuple(map(int, found.groups())) < _OLDEST_CMAKE:
        return (
            f"cmake is too old, expected {wanted} or newer, got {text.splitlines()[0]}: pip install -U cmake"
        )
    return None


def missing_compiler() -> str | None:
    """What to do about a compiler that is absent, or does not know C++17. None on Windows, where CMake looks."""
    if sys.platform == "win32":
        return None
    compiler = _compiler()
    if compiler is None:
        named = os.environ.get("CXX")
        place = f"CXX names {named!r}, which is no program" if named else "no C++ compiler was found"
        return f"A C++17 compiler is needed to build the engine, and {place}.\n{_INSTALL_COMPILER}"
    command = [*compiler, "-std=c++17", "-fsyntax-only", "-x", "c++", "-"]
    done = subprocess.run(command, input=_PROBE, capture_output=True, text=True)
    if done.returncode == 0:
        return None
    said = "\n".join(done.stderr.strip().splitlines()[:5])
    problem = f"A C++17 compiler is needed to build the engine, and {' '.join(compiler)} is none."
    return f"{said}\n{problem}\n{_INSTALL_COMPILER}"


def missing_headers() -> str | None:
    """What to do about a Python that was installed without its headers."""
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if header.is_file():
        return None
    return f"The headers of Python are needed to build the engine, and {header} does not exist.\n{_INSTALL_HEADERS}"


def prepare_folder(job: Build) -> None:
    """Make the build folder; empty it where it was configured for something that CMake cannot change afterwards."""
    stamp, wanted = job.folder / _STAMP, _identity(job)
    try:
        found = json.loads(stamp.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if found != wanted and job.folder.exists():
        shutil.rmtree(job.folder)
    job.folder.mkdir(parents=True, exist_ok=True)
    stamp.write_text(json.dumps(wanted, indent=1), encoding="utf-8")


def configure_command(job: Build) -> list[str]:
    """The call of CMake that configures, with every path that passes given or forgotten."""
    settings = {
        "CMAKE_BUILD_TYPE": job.config,
        "CMAKE_LIBRARY_OUTPUT_DIRECTORY": job.target,
        f"CMAKE_LIBRARY_OUTPUT_DIRECTORY_{job.config.upper()}": job.target,
        "Python_EXECUTABLE": sys.executable,
        "PYTHON_EXECUTABLE": sys.executable,
        "pybind11_DIR": _pybind11(job),
        "PYBIND11_FINDPYTHON": "ON",
        "BELLE_VERSION": job.version,
        # For development: the AMX kernels on machines without AMX (docs/ADDING_A_KERNEL.md).
        "BELLE_EMULATE_AMX": "ON" if os.environ.get("BELLE_EMULATE_AMX") == "1" else "OFF",
        "BELLE_SANITIZE": os.environ.get("BELLE_SANITIZE", ""),  # address or thread: tests/sanitizers
    }
    if ninja := shutil.which("ninja"):
        settings["CMAKE_MAKE_PROGRAM"] = ninja
    # cibuildwheel on macOS asks for the architecture this way.
    if sys.platform == "darwin" and "arm64" in os.environ.get("ARCHFLAGS", ""):
        settings["CMAKE_OSX_ARCHITECTURES"] = "arm64"
    command = ["cmake", "-S", str(job.source), "-B", str(job.folder)]
    command += [argument for pattern in _PASSING for argument in ("-U", pattern)]
    command += [f"-D{name}={value}" for name, value in settings.items()]
    return [*command, "-G", "Ninja"] if ninja else command


def _pybind11(job: Build) -> Path:
    """The folder of pybind11's CMake files: in a copy of the package, so that its headers stay where they were."""
    import pybind11

    package, cmake = Path(pybind11.__file__).parent, Path(pybind11.get_cmake_dir())
    if package not in cmake.parents:  # a system's own, which does not pass
        return cmake
    copy = job.folder / f"pybind11-{pybind11.__version__}"
    if not copy.exists():
        unfinished = job.folder / "pybind11.part"
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(package, unfinished)
        unfinished.rename(copy)
    return copy / cmake.relative_to(package)


def _compile_command(job: Build) -> list[str]:
    jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL", str(os.cpu_count() or 1))
    return ["cmake", "--build", str(job.folder), "--config", job.config, "--parallel", jobs]


def _identity(job: Build) -> dict[str, object]:
    """What a configured folder is bound to. Python is not in it: only the bindings are compiled for one."""
    compiler = _compiler()
    version = ""
    if compiler and sys.platform != "win32":
        done = subprocess.run([*compiler, "--version"], capture_output=True, text=True)
        version = done.stdout.partition("\n")[0]
    return {
        "paths": [str(path) for path in (job.source, job.folder)],
        "config": job.config,
        "generator": "Ninja" if shutil.which("ninja") else "default",
        "compiler": [*(compiler or ()), version],
        "environment": {name: os.environ.get(name) for name in _VARIABLES},
    }


def _compiler() -> list[str] | None:
    """The C++ compiler that CMake will take, with arguments that CXX gives it."""
    named = os.environ.get("CXX")
    if named:
        import shlex

        words = [named] if Path(named).is_file() else shlex.split(named)
        return words if words and shutil.which(words[0]) else None
    return next(([name] for name in _COMPILERS if shutil.which(name)), None)
