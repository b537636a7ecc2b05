"""Builds the C++ extension with CMake (native_build.py) and the catalogues (catalogue_build.py).

Everything else is in pyproject.toml.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))  # a build in isolation does not look here

import native_build  # noqa: E402
from catalogue_build import compile_catalogues  # noqa: E402


class CMakeExtension(Extension):
    def __init__(self, name: str) -> None:
        super().__init__(name, sources=[])


class CMakeBuild(build_ext):
    """One CMake configure and build per extension; the build folder is kept, so a rebuild is incremental."""

    def run(self) -> None:
        if self.inplace:  # the package is used where it lies
            compile_catalogues(ROOT)
        super().run()

    def build_extension(self, ext: Extension) -> None:
        folder = Path(self.build_temp).resolve()
        if self.editable_mode:  # setuptools gives such builds a folder that is gone afterwards
            folder = ROOT / "build" / f"temp.{self.plat_name}-{sys.implementation.cache_tag}"
        native_build.build(
            native_build.Build(
                source=ROOT,
                folder=folder,
                target=Path(self.get_ext_fullpath(ext.name)).resolve().parent,
                version=self.distribution.get_version(),
                debug=bool(self.debug),
            )
        )


class FreshBuildPy(build_py):
    """What an earlier build left in build/lib* is not in this wheel: removed modules, libraries of another Python.

    The catalogues are compiled first, so that they are found with the other data.
    """

    def run(self) -> None:
        compile_catalogues(ROOT)
        if not self.editable_mode:
            shutil.rmtree(Path(self.build_lib) / "belle_edge", ignore_errors=True)
        super().run()


def packages() -> list[str]:
    """Everything below belle_edge/, and convert/, which is installed as belle_edge.convert."""
    convert = [
        "belle_edge.convert",
        *(f"belle_edge.convert.{name}" for name in find_packages(str(ROOT / "convert"))),
    ]
    return sorted({*find_packages(str(ROOT), include=["belle_edge", "belle_edge.*"]), *convert})


if native_build.COMMANDS.intersection(sys.argv):
    native_build.require_tools()  # first, so that what is missing stands alone at the end of the output
setup(
    packages=packages(),
    package_dir={"belle_edge.convert": "convert"},
    ext_modules=[CMakeExtension("belle_edge._core")],
    cmdclass={"build_ext": CMakeBuild, "build_py": FreshBuildPy},
)
