"""Servers for the tests, and the models that they serve."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from belle_edge import Belle

from .server_process import ServerProcess

Start = Callable[..., ServerProcess]


@pytest.fixture(scope="session")
def demo_file(converted: Callable[[str, str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled BLOOM under the name `demo`; a context of 256."""
    for package in ("fastapi", "uvicorn", "prometheus_client"):
        pytest.importorskip(package, reason="pip install '.[server]' brings it")
    path = tmp_path_factory.mktemp("served") / "demo.gguf"
    return Path(shutil.copy(converted("bloom", "q4_0"), path))


@pytest.fixture(scope="session")
def stories_file(converted: Callable[[str, str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random LLaMA under the name `stories`; no chat template, a SentencePiece vocabulary."""
    path = tmp_path_factory.mktemp("served") / "stories.gguf"
    return Path(shutil.copy(converted("llama", "f32"), path))


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """start(path, "--flag", NAME="environment") -> a server that answers; it ends with the module."""
    started: list[ServerProcess] = []
    folder = tmp_path_factory.mktemp("server")

    def begin(*arguments: str | Path, **environment: str) -> ServerProcess:
        started.append(ServerProcess(folder / f"{len(started)}.log", *arguments, **environment))
        return started[-1]

    yield begin
    for server in started:
        server.stop()


@pytest.fixture(scope="module")
def demo(demo_file: Path) -> Iterator[Belle]:
    """The same model in this process: what answers are compared with."""
    with Belle.load(demo_file) as model:
        yield model
