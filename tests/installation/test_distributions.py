"""What the source distribution and the package hold. That they work is tried in .ci/run, with a real build."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
LINK = "belle_edge/convert"  # to convert/; a small file where the system has no symbolic links

pytest.importorskip("setuptools", minversion="77")
pytest.importorskip("pybind11")


@pytest.fixture(scope="module")
def tracked() -> set[str]:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip("needs a clone")
    return {name for name in done.stdout.splitlines() if (ROOT / name).is_file() and name != LINK}


@pytest.fixture(scope="module", params=["link", "no_link"])
def clone(
    request: pytest.FixtureRequest, tracked: set[str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The tracked files in a folder of their own, where setuptools may leave what it likes."""
    folder = tmp_path_factory.mktemp("clone")
    for name in tracked:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((ROOT / name).read_bytes())
    if request.param == "no_link":  # as Git leaves it there
        (folder / LINK).write_text("../convert", encoding="utf-8")
    else:
        try:
            (folder / LINK).symlink_to("../convert", target_is_directory=True)
        except OSError:
            pytest.skip("this system makes no symbolic links")
    return folder


def setup(clone: Path, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", *arguments], cwd=clone, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_source_distribution_has_what_a_build_needs(clone: Path, tracked: set[str]) -> None:
    setup(clone, "sdist")
    (path,) = (clone / "dist").glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = {name for name in tracked if not name.startswith(".")}
    assert {
        "CMakeLists.txt",
        "native_build.py",
        "catalogue_build.py",
        "csrc/core/load.h",
        "convert/pipeline.py",
        "tools/demo_model/train.py",
        "LICENSE",
    } <= needed
    assert needed <= names


def test_the_package_has_all_its_parts_and_no_old_ones(clone: Path, tracked: set[str]) -> None:
    old = clone / "lib" / "belle_edge" / "removed.py"
    old.parent.mkdir(parents=True)
    old.touch()
    setup(clone, "build_py", "--build-lib", str(clone / "lib"))
    found = {
        path.relative_to(clone / "lib").as_posix() for path in (clone / "lib").rglob("*") if path.is_file()
    }
    ours = {f"belle_edge/{name}" if name.startswith("convert/") else name for name in tracked}
    catalogues = {name for name in ours if name.endswith(".po")}
    assert len(catalogues) == 2
    ours = (ours - catalogues) | {name[: -len("po")] + "mo" for name in catalogues}  # compiled
    assert found == {name for name in ours if name.startswith("belle_edge/")}
    assert {"belle_edge/py.typed", "belle_edge/_core/dense.pyi", "belle_edge/convert/pipeline.py"} <= found
    assert "belle_edge/demo/checkpoint/model.safetensors" in found
    assert not {name for name in found if "train" in Path(name).stem.split("_")}, "training belongs to tools/"
