"""What an actor of a job does: it answers items as they come, and hands results over as they finish."""

from __future__ import annotations

import platform
import threading
from collections.abc import Iterator, Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import Any

from .._version import __version__
from ..batch.job_identity import sha256_of
from ..generation.answer_options import PROMPT, read_options
from ..generation.batch_results import BatchPlan, answer_windows
from ..generation.streams import Generation
from ..model import Belle

Entry = tuple[int, Mapping[str, Any]]  # a key, and an item of `Belle.batch`
Outcome = Generation | ValueError


class ItemWorker:
    """A model in a process of its own. Its passes stay full as long as more entries wait than are being answered."""

    def __init__(self) -> None:
        self._model: Belle | None = None
        self._given: SimpleQueue[Entry | None] = SimpleQueue()  # None: answer what is there, nothing follows
        self._change = threading.Condition()
        self._finished: list[tuple[int, Outcome]] = []
        self._failure: Exception | None = None

    def load(self, path: str, load: Mapping[str, Any], *, hashed: bool) -> tuple[str, dict[str, Any]]:
        """Load the model, as `Belle.load` does. Returns this machine's name, and what decides the bits of answers.

        hashed: the file's content among it.
        """
        self._model = model = Belle.load(path, **load)
        return platform.node(), {
            "belle_edge": __version__,
            "backend": model.backend.name,
            "isa": model.details.get("isa"),
            "kv_type": model.details.get("kv_type"),
            "context": model.context,
            **({"model": sha256_of(model.path)} if hashed else {}),
        }

    def begin(self, settings: Mapping[str, Any], *, max_batch: int, raw: bool, scored: bool) -> None:
        """Answer from now on what `exchange` brings."""
        plan = BatchPlan(errors="return", max_batch=max_batch, scored=scored)
        threading.Thread(target=self._work, args=(dict(settings), plan, raw), daemon=True).start()

    def exchange(self, entries: Sequence[Entry], *, ended: bool) -> list[tuple[int, Outcome]]:
        """Take entries, and wait for results: at least one, of these or of earlier ones.

        ended: no more will come before these are answered. Raises what answering raised.
        """
        for entry in entries:
            self._given.put(entry)
        if ended:
            self._given.put(None)
        with self._change:
            self._change.wait_for(lambda: self._finished or self._failure is not None)
            if self._failure is not None:
                raise self._failure
            finished, self._finished = self._finished, []
            return finished

    def _work(self, settings: Mapping[str, Any], plan: BatchPlan, raw: bool) -> None:
        assert self._model is not None
        options = read_options(PROMPT, settings)
        keys: list[int] = []
        try:
            while True:
                keys.clear()
                for result in answer_windows(self._model, self._windows(keys), options, plan, raw=raw):
                    outcome = result.generation or result.error
                    assert outcome is not None
                    self._tell(keys[result.index], outcome)
        except Exception as error:
            with self._change:
                self._failure = error
                self._change.notify_all()

    def _tell(self, key: int, outcome: Outcome) -> None:
        with self._change:
            self._finished.append((key, outcome))
            self._change.notify_all()

    def _windows(self, keys: list[int]) -> Iterator[list[Mapping[str, Any]]]:
        """What has come, as soon as there is something, until the mark. keys: those of all items are added."""
        ended = False
        while not ended:
            window, ended = self._come()
            keys.extend(key for key, _ in window)
            if window:
                yield [item for _, item in window]

    def _come(self) -> tuple[list[Entry], bool]:
        window: list[Entry] = []
        entry = self._given.get()
        while entry is not None:
            window.append(entry)
            try:
                entry = self._given.get_nowait()
            except Empty:
                return window, False
        return window, True
