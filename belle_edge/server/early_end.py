"""Why a request ends before its answer: its client left, its time is over, the server ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from types import TracebackType
from typing import Protocol, TypeVar

from starlette.types import Receive

from .server_errors import ApiError, ClientGone, deadline_exceeded, shutting_down

T = TypeVar("T")


class Endable(Protocol):
    """What the end of the server ends."""

    @property
    def writes(self) -> bool:
        """Whether it is an answer that has begun, and may go on for some time."""

    def end(self, reason: ApiError) -> None: ...


class Shutdown:
    """The end of the server: no new answers begin, running ones get some time."""

    def __init__(self) -> None:
        self.begun = False
        self._requests: set[Endable] = set()

    def begin(self, grace_s: float) -> None:
        """End what waits now, and what runs after `grace_s` seconds. A second call ends everything now."""
        grace_s = 0.0 if self.begun else grace_s
        self.begun = True
        for request in list(self._requests):
            if not request.writes or grace_s == 0.0:
                request.end(shutting_down())
        if grace_s:
            asyncio.get_running_loop().call_later(grace_s, self.begin, 0.0)

    def watch(self, request: Endable) -> None:
        """ApiError where the end has begun."""
        if self.begun:
            raise shutting_down()
        self._requests.add(request)

    def forget(self, request: Endable) -> None:
        self._requests.discard(request)


class EarlyEnd:
    """Of one request; everything that it waits for goes through `race`."""

    def __init__(self, receive: Receive, *, timeout_s: float, shutdown: Shutdown) -> None:
        """receive: of ASGI, the body taken already."""
        self._writes = False
        self._receive = receive
        self._timeout_s = timeout_s
        self._shutdown = shutdown

    @property
    def writes(self) -> bool:
        return self._writes

    def note_writing(self) -> None:
        """Its answer has begun."""
        self._writes = True

    async def __aenter__(self) -> EarlyEnd:
        """ApiError where the server ends."""
        self._shutdown.watch(self)
        loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[ApiError | ClientGone] = loop.create_future()
        self._timer = loop.call_later(self._timeout_s, self.end, deadline_exceeded(self._timeout_s))
        self._watch = asyncio.create_task(self._until_gone())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._shutdown.forget(self)
        self._timer.cancel()
        self._watch.cancel()
        await asyncio.gather(self._watch, return_exceptions=True)

    def end(self, reason: ApiError | ClientGone) -> None:
        """`race` raises this from now on."""
        if not self._ended.done():
            self._ended.set_result(reason)

    async def race(self, awaitable: Awaitable[T]) -> T:
        """The result of `awaitable`, unless the request ends before: then it is cancelled, and the reason raised."""
        task = asyncio.ensure_future(awaitable)
        try:
            await asyncio.wait((task, self._ended), return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        if task.cancelled():
            raise self._ended.result()
        return task.result()

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.end(ClientGone())
