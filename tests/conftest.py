"""Fixtures for all tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from belle_edge.demo import checkpoint_path

from .quick_subset import WATCH, mark_by_fixtures
from .story_model import LARGE, write_story_model

os.environ["BELLE_LANGUAGE"] = "en"  # whatever the locale: what tests read is English
if "PYTEST_XDIST_WORKER" in os.environ:  # one worker for each core: torch's threads would wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    mark_by_fixtures(items)
    if config.pluginmanager.hasplugin("rerunfailures"):
        try_again(items)


def try_again(items: list[pytest.Item]) -> None:
    """A browser beside compilers loses a key now and then, a process is late: three tries there, two for what is slow
    or asks a server. What fails each time is wrong; the report says `RERUN`."""
    for item in items:
        if item.path.parent.name in ("page", "desktop"):
            item.add_marker(pytest.mark.flaky(reruns=2))
        elif item.get_closest_marker("slow") or "server" in item.path.parts:
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    WATCH.begin()  # what fixtures do counts too


@pytest.fixture(autouse=True)
def _stays_quick(request: pytest.FixtureRequest) -> Iterator[None]:
    """Keeps the tests that are not marked slow fit for `make quick`."""
    yield
    objection = None if request.node.get_closest_marker("slow") else WATCH.objection()
    if objection:
        pytest.fail(f"not a quick test: {objection}. Mark it with pytest.mark.slow", pytrace=False)


@pytest.fixture(scope="session", autouse=True)
def _own_cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is kept between runs goes to a folder of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BELLE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("BELLE_DATA", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real test data: $BELLE_TEST_DATA, or ../shared/data beside the repository."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("BELLE_TEST_DATA", default))
    if not folder.is_dir():
        pytest.skip("test data not found: set BELLE_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def checkpoint(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """name -> a checkpoint folder, not to be written to.

    Everybody has "bloom", a copy of the bundled one, and "llama" and "large", random ones that are made here. Other
    names are folders of the test data, below models/: a test that asks for one is skipped where there is none.
    """
    makers: dict[str, Callable[[Path], Path]] = {
        "bloom": lambda folder: shutil.copytree(checkpoint_path(), folder / "belle-demo"),
        "llama": lambda folder: write_story_model(folder / "stories"),
        "large": lambda folder: write_story_model(folder / "stories", LARGE),
    }
    made: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in makers:
            folder: Path = request.getfixturevalue("test_data") / "models" / name
            return folder
        if name not in made:
            made[name] = makers[name](tmp_path_factory.mktemp(name))
        return made[name]

    return get


@pytest.fixture(scope="session")
def converted(
    checkpoint: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str], Path]:
    """(name of a checkpoint, type) -> its GGUF file, converted when it is first asked for."""
    from belle_edge.convert import convert

    folder = tmp_path_factory.mktemp("converted")

    def get(name: str, kind: str) -> Path:
        path = folder / f"{name.replace('/', '-')}-{kind}.gguf"
        if not path.exists():
            family = "belle" if name.startswith(("bloom", "large", "belle")) else None
            convert(checkpoint(name), path, type=kind, family=family)
        return path

    return get


@pytest.fixture(scope="session")
def torch() -> Any:
    """PyTorch, imported when a test first asks for it; skips without it, and without transformers."""
    pytest.importorskip("transformers")
    return pytest.importorskip("torch")


@pytest.fixture(scope="session")
def llama_cpp(_own_cache_folder: None) -> Any:
    """llama-cpp-python itself, for comparisons; skips where it is absent or its build would crash on this CPU."""
    package = pytest.importorskip("llama_cpp")
    from belle_edge.backends.llama_probe import extra_buffers_work
    from belle_edge.errors import BackendError

    try:
        works = extra_buffers_work()
    except BackendError:
        works = False
    if not works:
        pytest.skip(
            "this build of llama-cpp-python crashes here: rebuild it with CMAKE_ARGS=-DGGML_NATIVE=OFF"
        )
    return package
