"""Fixtures for all tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # one worker for each core: torch's threads would wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session", autouse=True)
def _own_cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is kept between runs goes to a folder of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BELLE_CACHE", str(tmp_path_factory.mktemp("cache")))
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
def converted(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """(checkpoint folder below models/, type) -> its GGUF file, converted when it is first asked for."""
    from belle_edge.convert import convert

    folder = tmp_path_factory.mktemp("converted")

    def get(name: str, kind: str) -> Path:
        path = folder / f"{name.replace('/', '-')}-{kind}.gguf"
        if not path.exists():
            family = "belle" if name.startswith("belle") else None
            convert(test_data / "models" / name, path, type=kind, family=family)
        return path

    return get


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
