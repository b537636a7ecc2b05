"""Models by name: loaded once for all who ask, never taken from somebody, gone when they are old or in the way."""

from __future__ import annotations

import asyncio
import math
import shutil
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from belle_edge import Belle
from belle_edge._core import LoadProgress
from belle_edge.memory import InsufficientMemoryError

pytest.importorskip("starlette")
from belle_edge.server.served_models import ServedModels, model_files
from belle_edge.server.server_errors import ApiError


@pytest.fixture(scope="module")
def files(demo_file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    for name in "abc":
        shutil.copy(demo_file, folder / f"{name}.gguf")
    return model_files([folder])


class Loader:
    """Loads real models, at most so many at a time, as a small memory would."""

    def __init__(self, most: int = 10) -> None:
        self.most = most
        self.loaded: list[str] = []
        self.models: list[Belle] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, path: Path, progress: LoadProgress) -> Belle:
        self.gate.wait(20)
        alive = [model for model in self.models if model.backend._model is not None]  # type: ignore[attr-defined]
        if len(alive) >= self.most:
            raise InsufficientMemoryError("[memory] no room")
        self.loaded.append(path.stem)
        self.models.append(Belle.load(path, progress=progress))
        return self.models[-1]


Work = Callable[[ServedModels], Coroutine[Any, Any, None]]


def run(files: dict[str, Path], loader: Loader, work: Work, *, keep_alive_s: float = 600.0) -> None:
    async def whole() -> None:
        models = ServedModels(files, loader, keep_alive_s=keep_alive_s)
        try:
            await work(models)
        finally:
            await models.close()
        assert models.loaded == []

    asyncio.run(whole())


def names(models: ServedModels) -> list[str]:
    return [model.name for model in models.loaded]


async def until(happened: Callable[[], bool]) -> None:
    for _ in range(1000):
        if happened():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen")


def test_one_load_for_all_who_ask(files: dict[str, Path]) -> None:
    loader = Loader()

    async def work(models: ServedModels) -> None:
        leases = await asyncio.gather(*(models.acquire("a") for _ in range(5)))
        assert len({id(lease.belle) for lease in leases}) == 1
        assert loader.loaded == ["a"]
        assert models.find("a").n_users == 5
        for lease in leases:
            models.release(lease)
        again = await models.acquire("a")
        assert again.load_s < 0.5
        models.release(again)
        assert loader.loaded == ["a"]

    run(files, loader, work)


def test_by_age(files: dict[str, Path]) -> None:
    loader = Loader()

    async def work(models: ServedModels) -> None:
        used, unused = await models.acquire("a"), await models.acquire("b")
        models.release(unused)
        await until(lambda: names(models) == ["a"])
        await asyncio.sleep(0.2)
        assert names(models) == ["a"], "a model in use stays, whatever its age"
        assert used.belle.generate("你好", max_tokens=1).completion_tokens == 1
        models.release(used, keep_alive_s=math.inf)
        await asyncio.sleep(0.2)
        assert names(models) == ["a"], "its last user wanted it to stay"
        models.release(await models.acquire("a"), keep_alive_s=0)
        await until(lambda: names(models) == [])

    run(files, loader, work, keep_alive_s=0.05)


def test_by_memory(files: dict[str, Path]) -> None:
    loader = Loader(most=2)

    async def work(models: ServedModels) -> None:
        for name in "ab":
            models.release(await models.acquire(name))
            await asyncio.sleep(0.01)
        third = await models.acquire("c")
        assert names(models) == ["b", "c"], "the one that was unused for longest went"
        second = await models.acquire("b")
        with pytest.raises(InsufficientMemoryError):
            await models.acquire("a")
        assert names(models) == ["b", "c"], "both are in use"
        models.release(second)
        first = await models.acquire("a")
        assert names(models) == ["a", "c"]
        models.release(first)
        models.release(third)

    run(files, loader, work)


def test_whoever_waits_may_leave(files: dict[str, Path]) -> None:
    loader = Loader()
    loader.gate.clear()

    async def work(models: ServedModels) -> None:
        waiting = [asyncio.create_task(models.acquire("a")) for _ in range(2)]
        await asyncio.sleep(0.05)
        waiting[0].cancel()
        await asyncio.gather(waiting[0], return_exceptions=True)
        loader.gate.set()
        lease = await waiting[1]
        assert models.find("a").n_users == 1
        models.release(lease)

    run(files, loader, work)


def test_a_load_that_fails_can_be_tried_again(files: dict[str, Path]) -> None:
    loader = Loader(most=0)

    async def work(models: ServedModels) -> None:
        for _ in range(2):
            with pytest.raises(InsufficientMemoryError):
                await models.acquire("a")
            assert models.find("a").n_users == 0
        loader.most = 1
        models.release(await models.acquire("a"))

    run(files, loader, work)


def test_names(files: dict[str, Path], tmp_path: Path, demo_file: Path) -> None:
    assert list(files) == ["a", "b", "c"]
    shutil.copy(demo_file, tmp_path / "a.gguf")
    with pytest.raises(ValueError, match="two models of the name a"):
        model_files([files["a"], tmp_path])
    assert model_files([tmp_path, tmp_path / "a.gguf"]) == {"a": tmp_path / "a.gguf"}
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        model_files([tmp_path / "none.gguf"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"no \.gguf file"):
        model_files([tmp_path / "empty"])
    models = ServedModels(files, Loader(), keep_alive_s=1)
    for name, status in ((None, 400), ("d", 404), ("A", 404)):
        with pytest.raises(ApiError) as raised:
            models.find(name)
        assert raised.value.status_code == status
