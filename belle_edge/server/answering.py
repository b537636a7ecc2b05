"""One request for answers, from its place in the queue to its last byte, whatever interface it came by."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from time import perf_counter, time
from typing import Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..generation.answer import TokenLogprob
from ..generation.streams import Generation
from ..model import Belle
from .early_end import EarlyEnd
from .server_errors import ApiError, ClientGone, as_api_error, internal_error, log_fault
from .service import Service
from .streaming import Outgoing
from .writing import Begun, Choice, Ended, Event, Piece, Scored, written

_CLIENT_GONE = 499  # as nginx counts it; nobody reads it


@dataclass(frozen=True)
class Served:
    """What answers say about where they come from."""

    model: str
    belle: Belle
    load_s: float
    began: float  # perf_counter()
    created: int = field(default_factory=lambda: int(time()))  # seconds since 1970

    @property
    def seconds(self) -> float:
        """Since the request came."""
        return perf_counter() - self.began


@dataclass
class Outcome:
    """What became of one choice."""

    result: Generation | None = None
    scored: Sequence[TokenLogprob] = ()


class EventWriter(Protocol):
    """Makes a stream's bytes of events."""

    def bytes_of(self, event: Event) -> Iterable[bytes]: ...

    def last(self) -> Iterable[bytes]:
        """After the last event."""

    def failed(self, error: ApiError) -> Iterable[bytes]:
        """In place of the rest."""


class Job(Protocol):
    """A checked request of one interface."""

    @property
    def route(self) -> str: ...

    @property
    def model(self) -> str | None: ...

    @property
    def streams(self) -> bool: ...

    @property
    def media_type(self) -> str:
        """Of the stream."""

    @property
    def keep_alive_s(self) -> float | None: ...

    def choices(self, belle: Belle) -> Sequence[Choice]:
        """The answers that are wanted; runs in a thread. ValueError for what cannot be answered."""

    def writer(self, served: Served, choices: Sequence[Choice]) -> EventWriter: ...

    def whole(self, served: Served, choices: Sequence[Choice], outcomes: Sequence[Outcome]) -> object:
        """The JSON of an answer in one piece."""


class AnswerResponse(Response):
    """Does the work of a request when it is sent, so that all of it ends with the client."""

    def __init__(self, service: Service, job: Job) -> None:
        super().__init__()
        self._service = service
        self._job = job
        self._told_first = False  # whether text went out

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service, job, began = self._service, self._job, perf_counter()
        out, status = Outgoing(send, job.media_type), 200
        model = "unknown"
        writers: list[EventWriter] = []
        try:
            model = service.models.find(job.model).name
            with service.admission.enter():
                early = EarlyEnd(receive, timeout_s=service.settings.timeout_s, shutdown=service.shutdown)
                async with early:
                    await self._answer(early, out, began, writers)
        except ClientGone:
            status = _CLIENT_GONE
        except Exception as error:
            told = as_api_error(error)
            if told is None:
                log_fault(error)
                told = internal_error()
            status = told.status_code
            if out.started:
                parts = b"".join(part for writer in writers for part in writer.failed(told))
                await out.last_words(parts)
            else:
                await out.whole(status, told.body(scope["path"]), told.headers)
        finally:
            service.metrics.count_request(
                route=job.route, model=model, status=status, seconds=perf_counter() - began
            )

    async def _answer(self, early: EarlyEnd, out: Outgoing, began: float, writers: list[EventWriter]) -> None:
        job, models = self._job, self._service.models
        lease = await early.race(models.acquire(job.model))
        try:
            served = Served(lease.served.name, lease.belle, lease.load_s, began)
            choices = await early.race(asyncio.to_thread(job.choices, lease.belle))
            writer = job.writer(served, choices) if job.streams else None
            if writer is not None:
                writers.append(writer)
            outcomes = [Outcome() for _ in choices]
            async with aclosing(written(lease.belle, choices, self._service.admission)) as events:
                while (event := await early.race(_next(events))) is not None:
                    self._note(event, outcomes, early, served)
                    if writer is not None:
                        for part in writer.bytes_of(event):
                            await early.race(out.write(part))
            if writer is None:
                await out.whole(200, job.whole(served, choices, outcomes))
                return
            for part in writer.last():
                await early.race(out.write(part))
            await out.end()
        finally:
            models.release(lease, keep_alive_s=job.keep_alive_s)

    def _note(self, event: Event, outcomes: list[Outcome], early: EarlyEnd, served: Served) -> None:
        metrics = self._service.metrics
        if isinstance(event, Begun):
            early.note_writing()
        elif isinstance(event, Scored):
            outcomes[event.index].scored = event.tokens
        elif isinstance(event, Ended):
            outcomes[event.index].result = event.result
            if event.result is not None:
                metrics.count_answer(model=served.model, result=event.result)
        elif isinstance(event, Piece) and not self._told_first:
            self._told_first = True
            metrics.count_first_text(route=self._job.route, model=served.model, seconds=served.seconds)


async def _next(events: AsyncGenerator[Event, None]) -> Event | None:
    """None after the last one."""
    async for event in events:
        return event
    return None
