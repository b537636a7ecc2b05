"""All that a page's server holds: chats, windows, answers, caches, models, conversions; from its start to its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...errors import BelleError
from ...folders import models_in
from ...history import History
from ..admission import Admission
from ..early_end import Shutdown
from ..served_models import ServedModel, ServedModels
from ..server_settings import ServerSettings
from .chat_answers import ChatAnswers
from .conversion_jobs import ConversionJobs, Job
from .event_hub import EventHub
from .header_model import HeaderModels
from .live_caches import LiveCaches
from .model_views import model_json
from .page_settings import PageSettings
from .static_files import StaticFiles

LOGGER = logging.getLogger("belle_edge")
_IDLE_S = 20.0  # without an answer, after which caches are written
_LOADING_TOLD_S = 0.3
MODEL_FILES = "model_files"  # the setting that keeps which files were added


class Desk:
    """Of one server."""

    def __init__(
        self,
        page: PageSettings,
        *,
        settings: ServerSettings,
        models: ServedModels,
        admission: Admission,
        shutdown: Shutdown,
    ) -> None:
        """Opens the history. Raises HistoryFileError and OSError."""
        self.page = page
        self.settings = settings
        self.models = models
        self.shutdown = shutdown
        self.history = History(page.history_file)
        self.hub = EventHub()
        self.files = StaticFiles()
        self.headers = HeaderModels(page)
        self.caches = LiveCaches(page.caches, disk_bytes=page.chat_cache_bytes)
        self.answers = ChatAnswers(
            history=self.history,
            hub=self.hub,
            caches=self.caches,
            headers=self.headers,
            models=models,
            admission=admission,
            shutdown=shutdown,
            settings=settings,
        )
        self.jobs = ConversionJobs(page.models, publish=self._publish_job, add=self.add_model)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_used(self) -> bool:
        """Whether a page is open, or something is being done for one."""
        return self.hub.n_windows > 0 or self.answers.n_running > 0 or self.jobs.n_open > 0

    # ---- start and end, in the event loop

    async def start(self) -> None:
        """Answers that a process left are cut off, models that were added are there again."""
        self._loop = asyncio.get_running_loop()
        self.hub.start()
        self.answers.start()
        await asyncio.to_thread(self.history.recover)
        for chat in await asyncio.to_thread(self.history.purge):
            self.caches.forget_chat(chat)
        for path in await asyncio.to_thread(self._known_files):
            with suppress(BelleError, OSError, ValueError):
                self.models.add(path)
        self.models.on_change = self._model_changed
        self.models.before_unload = self._before_unload
        self._spawn(self._save_when_idle())

    async def close(self) -> None:
        """Answers are cut off, caches written, conversions ended."""
        for task in list(self._tasks):
            task.cancel()
        await self.answers.close()
        await asyncio.to_thread(self.jobs.close)
        await asyncio.to_thread(self.caches.save)
        self.hub.close()

    def end(self) -> None:
        """After the models are unloaded."""
        self.history.close()

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _save_when_idle(self) -> None:
        while True:
            await asyncio.sleep(_IDLE_S)
            if self.answers.n_running == 0:
                await asyncio.to_thread(self.caches.save)

    # ---- models

    def _known_files(self) -> list[Path]:
        """Those in the models folder, and those that were added."""
        found: list[Path] = []
        if self.page.models.is_dir():
            found += models_in(self.page.models)
        kept = self.history.setting(MODEL_FILES, [])
        return found + [Path(path) for path in kept if isinstance(path, str) and Path(path).is_file()]

    def add_model(self, path: Path) -> str:
        """A file more, now and after a restart; from any thread but the loop's. Returns its name. Raises what its
        header raises, and ValueError."""
        loop = self._loop
        assert loop is not None

        async def add() -> ServedModel:
            return self.models.add(path)

        served = asyncio.run_coroutine_threadsafe(add(), loop).result()
        kept = self.history.setting(MODEL_FILES, [])
        if str(path) not in kept and path.parent != self.page.models:
            self.history.set_setting(MODEL_FILES, [*kept, str(path)])
        return served.name

    def load(self, served: ServedModel) -> None:
        """In the event loop: begin to load it, so that it stays as if it had been used. Its state says what fails."""
        self._spawn(self._load(served))

    async def _load(self, served: ServedModel) -> None:
        with suppress(Exception):  # kept as the model's error
            self.models.release(await self.models.acquire(served.name))

    def shown(self, served: ServedModel, *, with_path: bool = False) -> dict[str, Any]:
        """A model as JSON."""
        return model_json(served, self.page, self.headers, with_path=with_path)

    def _model_changed(self, served: ServedModel) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._tell_model, served)

    def _tell_model(self, served: ServedModel) -> None:
        self._spawn(self._follow_loading(served))

    async def _follow_loading(self, served: ServedModel) -> None:
        """Tell its state, and while it is being loaded how far that is."""
        while True:
            shown = await asyncio.to_thread(self.shown, served)
            self.hub.publish({"type": "model", "model": shown})
            if served.progress is None:
                return
            await asyncio.sleep(_LOADING_TOLD_S)

    async def _before_unload(self, served: ServedModel) -> None:
        belle = served.belle
        if belle is not None:
            await asyncio.to_thread(self.caches.save, belle)
            if served.n_users <= 1:
                self.caches.forget_model(belle)

    # ---- told to all windows

    def _publish_job(self, job: Job) -> None:
        self.hub.publish({"type": "job", "job": job.to_dict()})

    def publish_settings(self, settings: Mapping[str, Any]) -> None:
        """They have changed."""
        self.hub.publish({"type": "settings", "settings": dict(settings)})
