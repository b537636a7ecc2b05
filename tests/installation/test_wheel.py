"""The wheel as a user gets it: in an environment of its own, away from the sources, it loads and generates."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from belle_edge import _core

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
GENERATION = """
import sys
import belle_edge, belle_edge._core
from belle_edge import Belle
from belle_edge.convert import convert
from belle_edge.demo import checkpoint_path

convert(checkpoint_path(), "demo.gguf", type="q4_0", family="belle")
with Belle.load("demo.gguf") as model:
    text = model.generate("你好", temperature=0, max_tokens=12).text
print(sys.prefix, belle_edge.__file__, belle_edge._core.__file__, belle_edge.__version__, text, sep="\\n")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by pip in the kept folder, with the kernels of the module in use: nothing is compiled twice."""
    for module in ("pip", "pybind11"):
        pytest.importorskip(module)
    for name in ("cmake", "ninja"):
        if shutil.which(name) is None:
            pytest.skip(f"needs {name}")
    folder = tmp_path_factory.mktemp("wheel")
    emulated = any(tier["name"] == "amx-emulated" and tier["compiled"] for tier in _core.isa_tiers())
    options = ["--no-deps", "--no-build-isolation", "--no-index", "-w", str(folder)]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", *options, str(ROOT)],
        capture_output=True,
        text=True,
        env={**os.environ, "BELLE_EMULATE_AMX": str(int(emulated))},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (path,) = folder.glob("*.whl")
    return path


def own_settings() -> dict[str, str]:
    """Without those that lead Python to the sources, where pip would find this package installed already."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "BELLE_"))}


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel in it; what it depends on is taken from the environment of the tests."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "-q",
        "--no-deps",
        "--no-index",
    ]
    done = subprocess.run([*install, str(wheel)], capture_output=True, text=True, env=own_settings())
    assert done.returncode == 0, done.stderr[-3000:]
    ask = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip())
    # Comes after the environment's own packages; the installation in use, editable or not, is not seen.
    (site / "dependencies.pth").write_text(
        f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n"
    )
    return folder


def run(environment: Path, program: str, *arguments: str, folder: Path) -> list[str]:
    """Lines that it prints, away from the sources and without settings of the caller's Python."""
    place = environment / ("Scripts" if os.name == "nt" else "bin")
    done = subprocess.run(
        [str(place / program), *arguments],
        capture_output=True,
        encoding="utf-8",
        cwd=folder,
        env={**own_settings(), "PYTHONUTF8": "1", "BELLE_CACHE": str(folder / "cache")},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


def test_the_wheel_holds_one_module_and_no_sources(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    (module,) = (name for name in names if name.endswith((".so", ".pyd", ".dylib")))
    assert Path(module).name.startswith("_core.")
    assert {name.split("/")[0].split("-")[0] for name in names} == {"belle_edge"}
    assert not any(name.endswith((".cpp", ".h")) for name in names)


def test_it_generates_away_from_its_sources(environment: Path, tmp_path: Path) -> None:
    prefix, package, module, version, text = run(environment, "python", "-c", GENERATION, folder=tmp_path)
    assert Path(prefix) == environment
    for path in (package, module):
        assert environment in Path(path).parents
    assert version in (ROOT / "belle_edge" / "_version.py").read_text(encoding="utf-8")
    assert text.startswith("你好")


def test_its_command_runs_the_demo(environment: Path, tmp_path: Path) -> None:
    lines = run(environment, "belle-edge", "demo", "--question", "你好", folder=tmp_path)
    assert any("你好！" in line for line in lines)


def test_it_brings_the_steps_of_the_history(environment: Path, tmp_path: Path) -> None:
    """The files that Alembic reads are a part of the package."""
    pytest.importorskip("sqlalchemy", reason="pip install '.[server]' brings it")
    program = (
        "import pathlib; from belle_edge.history import History, database; print(database.__file__); "
        "print(History(pathlib.Path('history.db')).new_chat(title='新的').title)"
    )
    file, title = run(environment, "python", "-c", program, folder=tmp_path)
    assert environment in Path(file).parents
    assert title == "新的"


def test_it_is_a_plugin_of_llm(environment: Path, tmp_path: Path) -> None:
    pytest.importorskip("llm")
    code = "import llm; print(llm.get_model('belle').model_id)"
    assert run(environment, "python", "-c", code, folder=tmp_path) == ["belle"]
