"""Several models by name: loaded when they are asked for, unloaded by age and where another one needs the memory."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, time

from .._core import GgufFile, LoadProgress
from ..folders import models_in
from ..memory import InsufficientMemoryError
from ..model import Belle
from .driving import Driver
from .server_errors import in_use, unknown_model

LOGGER = logging.getLogger("belle_edge")
Load = Callable[[Path, LoadProgress], Belle]


@dataclass
class ServedModel:
    """One file under its name. `belle` is there while it is loaded."""

    name: str
    path: Path
    file: GgufFile  # its header, for descriptions
    belle: Belle | None = None
    driver: Driver | None = None  # computes for it
    n_users: int = 0
    keep_alive_s: float = 0.0  # what its last user asked for
    expires_at: float | None = None  # time(); None: not loaded, in use, or for ever
    progress: LoadProgress | None = None  # while it is being loaded
    load_began: float = 0.0  # perf_counter()
    error: Exception | None = None  # why it could not be loaded, when that was tried last
    _timer: asyncio.TimerHandle | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Lease:
    """A loaded model that stays loaded until it is given back."""

    served: ServedModel
    belle: Belle
    load_s: float  # how long this request waited for the loading


class ServedModels:
    """The models of a server. For one event loop; loading and closing happen in threads."""

    def __init__(self, files: Mapping[str, Path], load: Load, *, keep_alive_s: float) -> None:
        """files: name -> GGUF file. load: makes a `Belle` of one. Raises what opening a header raises."""
        self._models = {name: ServedModel(name, path, GgufFile(str(path))) for name, path in files.items()}
        self._of_the_start = list(self._models)
        self.on_change: Callable[[ServedModel], None] = lambda served: (
            None
        )  # it is new, or its state is another one
        self.before_unload: Callable[[ServedModel], Awaitable[None]] | None = None
        self._load = load
        self._keep_alive_s = keep_alive_s
        self._loading: dict[str, asyncio.Task[None]] = {}
        self._one_at_a_time = asyncio.Lock()  # memory that is free for two loads is enough for one
        self._background: set[asyncio.Task[None]] = set()

    def all(self) -> list[ServedModel]:
        """In the order of the command line."""
        return list(self._models.values())

    @property
    def names(self) -> list[str]:
        return list(self._models)

    @property
    def loaded(self) -> list[ServedModel]:
        return [model for model in self._models.values() if model.belle is not None]

    def find(self, name: str | None) -> ServedModel:
        """The model of this name; without one the only model there is, or that the server was started with. ApiError
        for any other name."""
        if name is None:
            only = self._of_the_start or self.names
            name = only[0] if len(only) == 1 else None
        if name not in self._models:
            raise unknown_model(name, self.names)
        return self._models[name]

    def preload(self, name: str) -> None:
        """Load one before the event loop runs: what is wrong with it is said at once. Raises what loading raises."""
        served = self.find(name)
        _loaded(served, self._load(served.path, LoadProgress()))
        served.keep_alive_s = self._keep_alive_s

    def add(self, path: Path) -> ServedModel:
        """One more file, under its own name; that of a file that is there already. Raises what opening its header
        raises, and ValueError where another file has this name."""
        known = self._models.get(path.stem)
        if known is None:
            known = self._models[path.stem] = ServedModel(path.stem, path, GgufFile(str(path)))
            self.on_change(known)
        elif not _is_same(known.path, path):
            raise ValueError(
                f"[models] there is another model of the name {path.stem}: rename one of the files"
            )
        return known

    async def unload(self, name: str) -> None:
        """Give back its memory. ApiError for an unknown name, and while somebody uses it."""
        served = self.find(name)
        if served.n_users:
            raise in_use(served.name)
        self._cancel_timer(served)
        await self._unload(served)

    def start_clocks(self) -> None:
        """Begin to count how long what is loaded goes unused."""
        for served in self.loaded:
            self._expire(served)

    async def acquire(self, name: str | None) -> Lease:
        """The model, loaded; `release` gives it back. ApiError for an unknown name, and what loading raises."""
        served = self.find(name)
        began = perf_counter()
        self._cancel_timer(served)
        served.n_users += 1
        try:
            while served.belle is None:
                await asyncio.shield(self._load_once(served))
        except BaseException:
            self._left(served)
            raise
        return Lease(served, served.belle, perf_counter() - began)

    def release(self, lease: Lease, *, keep_alive_s: float | None = None) -> None:
        """Give a model back. keep_alive_s: how long it stays after this, None: as the server was told."""
        lease.served.keep_alive_s = self._keep_alive_s if keep_alive_s is None else keep_alive_s
        self._left(lease.served)

    async def close(self) -> None:
        """Unload all; nobody may use them any more."""
        for task in list(self._loading.values()):
            await asyncio.gather(task, return_exceptions=True)
        for served in self.loaded:
            self._cancel_timer(served)
            await self._unload(served)

    def _load_once(self, served: ServedModel) -> asyncio.Task[None]:
        """The task that loads it, one for all who wait."""
        task = self._loading.get(served.name)
        if task is None:
            task = self._loading[served.name] = asyncio.create_task(self._load_with_room(served))
            task.add_done_callback(lambda done: self._loading.pop(served.name, None))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())  # those who wait get it
        return task

    async def _load_with_room(self, served: ServedModel) -> None:
        served.error = None
        try:
            async with self._one_at_a_time:
                while served.belle is None:
                    try:
                        await self._load_now(served)
                    except InsufficientMemoryError:
                        if (idle := self._longest_idle()) is None:
                            raise
                        await self._unload(idle)
        except Exception as error:
            served.error = error
            raise
        finally:
            served.progress = None
            self.on_change(served)
        if served.n_users == 0:  # all who waited have left
            self._expire(served)

    async def _load_now(self, served: ServedModel) -> None:
        served.progress, served.load_began = LoadProgress(), perf_counter()
        self.on_change(served)
        _loaded(served, await asyncio.to_thread(self._load, served.path, served.progress))

    def _longest_idle(self) -> ServedModel | None:
        """The unused model that would go first by age."""
        idle = [model for model in self.loaded if model.n_users == 0]
        return min(idle, key=lambda model: model.expires_at or math.inf, default=None)

    def _left(self, served: ServedModel) -> None:
        served.n_users -= 1
        if served.n_users == 0 and served.belle is not None:
            self._expire(served)

    def _expire(self, served: ServedModel) -> None:
        """Start the clock of an unused model."""
        self._cancel_timer(served)
        seconds = served.keep_alive_s
        if math.isfinite(seconds):
            served.expires_at = time() + seconds
            served._timer = asyncio.get_running_loop().call_later(seconds, self._unload_later, served)

    def _unload_later(self, served: ServedModel) -> None:
        if served.n_users == 0 and served.belle is not None:
            task = asyncio.create_task(self._unload(served))
            self._background.add(task)
            task.add_done_callback(self._background.discard)

    async def _unload(self, served: ServedModel) -> None:
        if served.belle is not None and self.before_unload is not None:
            served.n_users += 1  # whoever asks for it meanwhile keeps it
            try:
                await self.before_unload(served)
            finally:
                served.n_users -= 1
            if served.n_users:
                return
        belle, driver = served.belle, served.driver
        served.belle = served.driver = served.expires_at = None
        if belle is not None and driver is not None:
            await asyncio.to_thread(driver.stop)
            await asyncio.to_thread(belle.close)
            LOGGER.info("unloaded %s", served.name)
            self.on_change(served)

    def _cancel_timer(self, served: ServedModel) -> None:
        if served._timer is not None:
            served._timer.cancel()
        served._timer, served.expires_at = None, None


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # one of them is gone
        return one.absolute() == other.absolute()


def _loaded(served: ServedModel, belle: Belle) -> None:
    served.belle, served.driver = belle, Driver(belle)
    details = ", ".join(f"{key} {value}" for key, value in belle.details.items())
    LOGGER.info("loaded %s: %s", served.name, details)


def model_files(arguments: Iterable[Path]) -> dict[str, Path]:
    """Name -> file, for files and folders of files; the name is the file's without its ending.

    FileNotFoundError, and ValueError for a folder without any and for a name that comes twice.
    """
    found: dict[str, Path] = {}
    for argument in arguments:
        path = argument.expanduser()
        files = models_in(path) if path.is_dir() else [path]
        if not files:
            raise ValueError(f"[serve] no .gguf file in the folder {path}")
        for file in files:
            if not file.is_file():
                raise FileNotFoundError(f"[serve] no such file or folder: {file}")
            if file.stem in found and found[file.stem] != file:
                raise ValueError(
                    f"[serve] two models of the name {file.stem}: {found[file.stem]} and {file}; rename one"
                )
            found[file.stem] = file
    return found
