"""A llama.cpp that dies of an illegal instruction does not take the user's process along.

The stand-in is the real package, wrapped so that it kills its process with SIGILL where a build by GCC 12 with
AMX does: in the first computation with repacked weights.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from belle_edge.backends import llama_probe
from belle_edge.backends.llama_library import find_package
from belle_edge.errors import BackendMissingError

from .conftest import Foreign

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")

STAND_IN = """
import importlib, os, signal, sys

with open(os.path.join(os.path.dirname(__file__), "imports"), "a") as log:
    log.write("x")
DIES = {dies!r}
if DIES == "import":
    os.kill(os.getpid(), signal.SIGILL)
if DIES == "error":
    raise OSError("libllama.so: cannot open shared object file")

path, here = list(sys.path), os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path = [entry for entry in path if os.path.abspath(entry) != here]
importlib.invalidate_caches()
del sys.modules["llama_cpp"]
real = importlib.import_module("llama_cpp")
sys.path = path
repacked = set()
load, decode = real.llama_model_load_from_file, real.llama_decode


def llama_model_load_from_file(name, params):
    if params.use_extra_bufts:
        repacked.add(True)
    return load(name, params)


def llama_decode(context, batch):
    if DIES == "always" or (DIES == "repacked" and repacked):
        os.kill(os.getpid(), signal.SIGILL)
    return decode(context, batch)


real.llama_model_load_from_file, real.llama_decode = llama_model_load_from_file, llama_decode
"""

GENERATE = """
import sys
from belle_edge import Belle
with Belle.load(sys.argv[1], backend="llama.cpp", threads=1) as model:
    print(model.details["repacked_weights"], model.generate("the", temperature=0, max_tokens=8).token_ids)
"""


@dataclass
class StandIn:
    """A folder that holds a package llama_cpp, and a cache folder of its own."""

    folder: Path

    def run(self, model: Path) -> subprocess.CompletedProcess[str]:
        paths = [str(self.folder), *filter(None, map(os.path.abspath, sys.path))]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "BELLE_CACHE": str(self.folder / "cache"),
        }
        return subprocess.run(
            [sys.executable, "-W", "always::RuntimeWarning", "-c", GENERATE, str(model)],
            capture_output=True,
            text=True,
            env=environment,
            cwd=self.folder,
            timeout=120,
        )

    @property
    def n_imports(self) -> int:
        """Processes that have imported the package so far."""
        log = self.folder / "llama_cpp" / "imports"
        return len(log.read_text()) if log.exists() else 0


def stand_in(folder: Path, dies: str) -> StandIn:
    package = folder / "llama_cpp"
    package.mkdir()
    (package / "__init__.py").write_text(STAND_IN.format(dies=dies))
    return StandIn(folder)


@pytest.fixture(scope="module")
def answer(foreign: Foreign, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What an intact build prints; it is probed once."""
    intact = stand_in(tmp_path_factory.mktemp("intact"), "never")
    result = intact.run(foreign("qwen2"))
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("True (")
    assert result.stderr == ""
    assert intact.n_imports == 2  # the child and the process itself
    assert intact.run(foreign("qwen2")).stdout == result.stdout
    assert intact.n_imports == 3  # remembered: no child any more
    return result.stdout.removeprefix("True ")


def test_a_crash_with_repacked_weights(tmp_path: Path, foreign: Foreign, answer: str) -> None:
    broken = stand_in(tmp_path, "repacked")
    result = broken.run(foreign("qwen2"))
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"False {answer}"
    assert "runs without repacked weights" in result.stderr
    assert "signal 4 (Illegal instruction)" in result.stderr
    assert "GGML_NATIVE=OFF" in result.stderr
    assert broken.n_imports == 3
    again = broken.run(foreign("qwen2"))
    assert again.stdout == result.stdout
    assert again.stderr == ""  # warned once
    assert broken.n_imports == 4
    init = tmp_path / "llama_cpp" / "__init__.py"
    init.write_text(STAND_IN.format(dies="never") + "# rebuilt\n")
    assert broken.run(foreign("qwen2")).stdout == f"True {answer}"


@pytest.mark.parametrize("dies", ["always", "import"])
def test_a_crash_either_way(tmp_path: Path, foreign: Foreign, dies: str) -> None:
    result = stand_in(tmp_path, dies).run(foreign("qwen2"))
    assert result.returncode == 1  # an exception, not a signal
    assert (
        "BackendError: [llama.cpp] this build of llama-cpp-python does not run on this CPU" in result.stderr
    )
    assert "signal 4 (Illegal instruction)" in result.stderr
    assert 'CMAKE_ARGS="-DGGML_NATIVE=OFF" pip install --no-cache-dir --force-reinstall' in result.stderr


def test_a_library_that_does_not_load(tmp_path: Path, foreign: Foreign) -> None:
    result = stand_in(tmp_path, "error").run(foreign("qwen2"))
    assert result.returncode == 1
    assert "BackendError: [llama.cpp] llama-cpp-python does not work here" in result.stderr
    assert "cannot open shared object file" in result.stderr


def test_a_missing_package(foreign: Foreign, monkeypatch: pytest.MonkeyPatch) -> None:
    from belle_edge import Belle

    path = foreign("qwen2")
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    for call in (find_package, lambda: Belle.load(path, backend="llama.cpp")):
        with pytest.raises(ImportError, match=r"pip install 'belle-edge\[llama\]'") as caught:
            call()
        assert isinstance(caught.value, BackendMissingError)


def test_a_cache_that_cannot_be_used(llama_cpp: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "llama-probe.json"
    monkeypatch.setenv("BELLE_CACHE", str(tmp_path))
    for content in ("{", "[1]", '{"a": "yes"}'):
        file.write_text(content)
        assert llama_probe._remembered("a") is None
    llama_probe._remember("a", True)
    assert llama_probe._remembered("a") is True
    monkeypatch.setenv("BELLE_CACHE", str(file))  # not a folder
    llama_probe._remember("b", True)
    assert llama_probe._remembered("b") is None
