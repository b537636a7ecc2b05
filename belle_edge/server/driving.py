"""A thread for each loaded model that computes for all its answers, and how a coroutine follows one of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from ..generation.answer import TokenLogprob
from ..generation.request_state import Request
from ..generation.streams import Stream, unwritten
from ..model import Belle
from .server_errors import log_fault, too_slow

_AHEAD = 8192  # pieces that may wait for a client that reads slowly


@dataclass(frozen=True)
class Told:
    """A piece of text, and the tokens that were chosen since the last one."""

    text: str
    tokens: Sequence[TokenLogprob]


class Driver:
    """Lends its thread to a model's scheduler until `stop`."""

    def __init__(self, belle: Belle) -> None:
        self._scheduler = belle.scheduler
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._drive, name="belle-driver", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """After the pass in progress. Nothing may be waited for any more."""
        self._stopped.set()
        self._thread.join()

    def _drive(self) -> None:
        while not self._stopped.is_set():
            try:
                self._scheduler.drive(self._stopped.is_set)
            except Exception as error:  # who waits for an answer would wait for ever
                log_fault(error)


class Writing:
    """One answer that the driver writes."""

    def __init__(self, belle: Belle, stream: Stream) -> None:
        self._scheduler = belle.scheduler
        self._answer = unwritten(stream)
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Told | None] = asyncio.Queue()
        self._turn = threading.Lock()  # held while the request joins or leaves
        self._request: Request | None = None
        self._left = False
        self._n_told = 0  # log-probabilities

    async def pieces(self) -> AsyncGenerator[Told, None]:
        """As they become certain. Raises what writing raises; ApiError where too much waits to be read."""
        try:
            await asyncio.to_thread(self._join)
            while (told := await self._queue.get()) is not None:
                if self._queue.qsize() > _AHEAD:
                    raise too_slow()
                yield told
        finally:
            await asyncio.shield(asyncio.to_thread(self._leave))
        assert self._request is not None
        if self._request.error is not None:
            raise self._request.error

    def _join(self) -> None:
        with self._turn:
            if not self._left:
                self._request = self._scheduler.submit(self._answer, self._on_piece)

    def _leave(self) -> None:
        """Ends it within a token, whatever it is doing."""
        with self._turn:
            self._left = True
            if self._request is not None:
                self._scheduler.leave(self._request)
                self._scheduler.write_out()

    def _on_piece(self, text: str | None) -> None:
        """In the driver's thread: it neither waits nor raises."""
        told = None
        if text is not None:
            tokens = tuple(self._answer.logprobs[self._n_told :])
            self._n_told += len(tokens)
            told = Told(text, tokens)
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._queue.put_nowait, told)
