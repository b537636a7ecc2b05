"""How a server runs, from its first connection to its clean end."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import uvicorn

from .app import create_app
from .connections import bounded_protocol
from .server_errors import log_fault
from .service import Service

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_MAX_CONNECTIONS = 1000
_AFTER_GRACE_S = 10  # for last words to go out


def run(service: Service, listener: socket.socket, *, ready: Callable[[], None]) -> None:
    """Serve until SIGINT or SIGTERM; running answers may go on for `grace_s` seconds. ready: called once it answers."""
    serving = Serving(service, listener, ready=ready)
    with ended_by_signals(serving.stop):
        serving.run()


@contextmanager
def ended_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C, and a service manager's wish, call `stop` while the block runs. For the main thread."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        stop()

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Serving:
    """A server that runs in the thread which calls `run`, until any thread calls `stop`."""

    def __init__(self, service: Service, listener: socket.socket, *, ready: Callable[[], None]) -> None:
        """ready: called, in that thread, once requests are taken."""
        settings = service.settings
        config = uvicorn.Config(
            create_app(service),
            http=bounded_protocol(settings.receive_s),
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=_MAX_CONNECTIONS,
            h11_max_incomplete_event_size=settings.max_header_bytes,
            timeout_graceful_shutdown=int(settings.grace_s) + _AFTER_GRACE_S,
        )
        logging.getLogger("uvicorn.error").disabled = True  # it quotes requests
        self._server = _Server(config, service, ready)
        self._listener = listener

    def run(self) -> None:
        """Returns when the last answer is out."""
        asyncio.run(self._server.serve(sockets=[self._listener]))

    def stop(self) -> None:
        """Take no more requests; running answers have `grace_s` seconds. A second call gives them none."""
        self._server.begin_end()


class _Server(uvicorn.Server):
    """uvicorn's, which leaves signals alone, and gives answers their time when it ends."""

    def __init__(self, config: uvicorn.Config, service: Service, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._service = service
        self._ready = ready
        self._loop: asyncio.AbstractEventLoop | None = None  # while it runs

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().set_exception_handler(_log_where)
        await super().startup(sockets)
        if self.started:
            self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the business of who runs this: `ended_by_signals`."""
        self._loop = asyncio.get_running_loop()
        try:
            yield
        finally:
            self._loop = None

    def begin_end(self) -> None:
        """From any thread, and from a signal's handler."""
        self.should_exit = True
        if (loop := self._loop) is not None:
            with suppress(RuntimeError):  # it is closed: the end was nearer than this
                loop.call_soon_threadsafe(self._begin_end)

    def _begin_end(self) -> None:
        self._service.shutdown.begin(self._service.settings.grace_s)


def _log_where(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What asyncio would log with its text, which may be that of a request."""
    if isinstance(error := context.get("exception"), BaseException):
        log_fault(error)
