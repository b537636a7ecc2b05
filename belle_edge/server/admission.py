"""Who gets in: so many answers at once, so many requests that wait, and the others are told when to come back."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from time import monotonic

from .server_errors import ApiError

_MEMORY = 0.2  # weight of the newest request in the average
_LONGEST_ADVICE_S = 60


class Admission:
    """Counts requests and answers. For one event loop."""

    def __init__(self, *, max_running: int, max_waiting: int) -> None:
        self.max_running = max_running
        self._max_requests = max_running + max_waiting
        self._slots = asyncio.Semaphore(max_running)
        self._line: dict[object, Callable[[int], None] | None] = {}  # answers that wait, in their order
        self._usual_s = 1.0  # how long a request takes
        self.n_requests = 0  # that were let in and are not done
        self.n_running = 0  # answers being written

    @property
    def n_waiting(self) -> int:
        """Requests beyond those that can run."""
        return max(0, self.n_requests - self.max_running)

    @contextmanager
    def enter(self) -> Iterator[None]:
        """A place for one request. ApiError 429 where there is none."""
        if self.n_requests >= self._max_requests:
            raise ApiError(
                429,
                f"{self.n_requests} requests are running or waiting, more than this server takes: try again later",
                code="too_many_requests",
                headers={"retry-after": str(self._retry_after())},
            )
        self.n_requests += 1
        began = monotonic()
        try:
            yield
        finally:
            self.n_requests -= 1
            self._usual_s += _MEMORY * (monotonic() - began - self._usual_s)

    @asynccontextmanager
    async def slot(self, on_place: Callable[[int], None] | None = None) -> AsyncIterator[None]:
        """The right to write one answer; in the order of asking. on_place: called with the place in the line, from 1,
        whenever it changes."""
        waiting = object()
        self._line[waiting] = on_place
        if self._slots.locked():
            self._tell_places()
        try:
            await self._slots.acquire()
        finally:
            del self._line[waiting]
            self._tell_places()
        self.n_running += 1
        try:
            yield
        finally:
            self.n_running -= 1
            self._slots.release()

    def _tell_places(self) -> None:
        for place, tell in enumerate(list(self._line.values()), start=1):
            if tell is not None:
                tell(place)

    def _retry_after(self) -> int:
        """Seconds until a place is likely to be free."""
        return max(1, min(_LONGEST_ADVICE_S, math.ceil(self._usual_s / self.max_running)))
