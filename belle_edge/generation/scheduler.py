"""One engine, many answers: every call writes through the scheduler of its model, in passes that they share.

There is no thread of the library's own. A thread that waits for its answer computes for all of them ("leads") until it
has its news, or sleeps while another one does. docs/design/scheduler.md says why it is built like this.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from threading import get_ident

from ..backends.base import Backend
from ..errors import QueueFullError
from ..process_lock import check_process
from ..settings import integer
from .answer import Answer
from .engine_passes import EnginePasses
from .prefixes import Pinned, Prefixes
from .request_state import OnPiece, OnProgress, Reader, Request

MAX_RUNNING = 16  # answers in a pass
_PATIENCE_S = (
    0.5  # until a sleeping thread looks for itself whether anybody leads: a leader may have been killed
)


class Scheduler:
    """Requests join and leave between passes, first come first served. Its limits may be changed at any time."""

    def __init__(
        self,
        backend: Backend,
        *,
        max_running: int = MAX_RUNNING,
        max_waiting: int | None = None,
        prefixes: Prefixes | None = None,
    ) -> None:
        """max_running, max_waiting: see the properties. prefixes None: of what prompts have in common nothing stays
        after their answers. ValueError for a limit out of range."""
        self.max_running, self.max_waiting = max_running, max_waiting
        self._pid = os.getpid()
        self._prefixes = Prefixes(backend) if prefixes is None else prefixes
        self._passes = EnginePasses(backend, self._prefixes, self._has_arrivals)
        self._enrolling = threading.Lock()
        self._arrivals: list[Request] = []  # waiting for a place
        self._running: list[Request] = []  # replaced, never changed, and by the leader only
        self._n_left = 0  # counts requests that left, so that the leader looks for them
        self._n_left_seen = 0
        self._leader: dict[int, Reader] = {}  # its only key is 0: setdefault takes the lead without a lock
        self._leading_thread: int | None = None
        self._deferred: list[tuple[Request, Callable[[Answer], None] | None]] = []
        self._driver: Reader | None = None

    @property
    def max_running(self) -> int:
        """Answers that are written at the same time."""
        return self._max_running

    @max_running.setter
    def max_running(self, value: int) -> None:
        self._max_running = integer("[scheduler] max_running", value, low=1)

    @property
    def max_waiting(self) -> int | None:
        """Requests that may wait for a place; None: any number."""
        return self._max_waiting

    @max_waiting.setter
    def max_waiting(self, value: int | None) -> None:
        self._max_waiting = None if value is None else integer("[scheduler] max_waiting", value, low=0)

    @property
    def n_running(self) -> int:
        """Answers that the next pass would take along."""
        return sum([request.may_run() for request in self._running])

    @property
    def n_waiting(self) -> int:
        """Requests that wait for a place."""
        return sum([not request.left for request in list(self._arrivals)])

    # ---- for readers

    def next_piece(self, request: Request) -> str | None:
        """The next piece of the answer's text; None after the last one. Computes, or waits for who does.

        The first call enrols the request. Raises QueueFullError, what the engine raises for this answer, RuntimeError
        in a forked process, KeyboardInterrupt.
        """
        if not request.enrolled:
            self.enrol(request)
        if not request.has_news():
            self._wait(request.reader, request.has_news)
        return request.take()

    def wait_for_end(self, reader: Reader, requests: Sequence[Request]) -> list[Request]:
        """Those of the reader's `requests` that have ended, at least one. Raises as `next_piece`, but no answer's
        error."""
        for request in requests:
            if not request.enrolled:
                self.enrol(request)
        self._wait(reader, lambda: any(request.ended for request in requests))
        return [request for request in requests if request.ended]

    def enrol(self, request: Request) -> None:
        """Have it written when there is a place. QueueFullError where too many wait; RuntimeError after a fork."""
        check_process(self._pid)
        self._check_room()
        request.loaded = self._prefixes.load(request.answer)
        with self._enrolling:
            self._check_room()
            request.enrolled = True
            self._arrivals.append(request)
        self._wake_driver()

    def submit(
        self,
        answer: Answer,
        on_piece: OnPiece,
        *,
        on_progress: OnProgress | None = None,
        keeps_sequence: bool = False,
    ) -> Request:
        """For who never waits: an answer that a thread in `drive` writes. `leave` ends it early.

        on_piece: called with each piece of its text, then with None, by the thread that computes. on_progress: called
        there with the tokens of the prompt that are computed, and all. Neither waits or raises. keeps_sequence: the
        cache stays with the answer until `leave`. `Request.error` says what went wrong, if anything did. Raises as
        `enrol`.
        """
        request = Request(
            answer,
            Reader(),
            whole=True,
            keeps_sequence=keeps_sequence,
            on_piece=on_piece,
            on_progress=on_progress,
        )
        self.enrol(request)
        return request

    def leave(self, request: Request, then: Callable[[Answer], None] | None = None) -> None:
        """The reader is done with it, at whatever moment: its memory is let go, what it was not given is taken back.

        then: called with the answer before that. Waits for a pass that is computing the answer. In the thread that
        leads (a stream may be dropped anywhere) this is put off until the pass has ended.
        """
        if os.getpid() != self._pid:  # its memory and the turn are the parent's
            _forget(request, then)
            return
        request.left = True
        self._n_left += 1
        if self._leading_thread == get_ident():
            self._deferred.append((request, then))
            return
        interrupted = None
        while request.in_pass:
            try:
                self._wait(request.reader, lambda: not request.in_pass)
            except KeyboardInterrupt as error:  # what was written is worth more than these milliseconds
                interrupted = error
        self._let_go(request, then)
        request.reader.thread = get_ident()
        if self._prefixes.offered and self._leader.setdefault(0, request.reader) is request.reader:
            self._step_down(request.reader)
        if interrupted is not None:
            raise interrupted

    # ---- for batches, servers, and the end

    def pin(self, ids: Sequence[int]) -> Pinned:
        """Hold what is computed of this beginning until `release`."""
        return self._prefixes.pin(ids)

    def release(self, pinned: Pinned) -> None:
        """Inverse of `pin`."""
        self._prefixes.release(pinned)

    def write_out(self) -> None:
        """Write prefixes to their folder; a reader does when its answer has ended. Warns where that fails."""
        self._prefixes.write_out()

    def drive(self, until: Callable[[], bool]) -> None:
        """Compute in this thread, for all requests of all threads, until `until()` says True.

        It is asked after each pass, and at least twice a second. One thread at a time. Ctrl-C in it ends this call
        alone. RuntimeError after a fork.
        """
        reader = self._driver = Reader()
        try:
            self._wait(reader, until)
        finally:
            self._driver = None

    def close(self) -> None:
        """Let go of kept prefixes, after writing those that belong into files."""
        if os.getpid() == self._pid:
            self._prefixes.write_out()
        self._prefixes.clear()

    # ---- who leads

    def _wait(self, reader: Reader, is_over: Callable[[], bool]) -> None:
        """Until `is_over()`: lead if nobody does, else sleep."""
        check_process(self._pid)
        reader.waits = True
        try:
            if self._driver is not None:
                self._wake_driver(reader)
            while not is_over():
                reader.thread = get_ident()
                if self._leader.setdefault(0, reader) is reader:
                    reader.leads = True
                    self._leading_thread = reader.thread
                    while not is_over():
                        if not self._step():
                            reader.signal.wait(_PATIENCE_S)
                    return
                self._sleep(reader)
        finally:
            # before all else: the lead of one that does not wait is taken from it
            reader.waits = reader.leads = False
            if self._leader.get(0) is reader:
                self._step_down(reader)

    def _sleep(self, reader: Reader) -> None:
        """Until there is news, or nobody leads any more, or for a while."""
        if reader.signal.wait(_PATIENCE_S):
            return
        place, vacant = self._leader, dict[int, Reader]()
        leader = place.get(0)
        if leader is None or leader.waits or _is_here(leader.thread):
            return
        # Ctrl-C came twice, the second time while the lead was given up. Between these two lines no other thread runs.
        if not leader.waits and self._leader is place:
            self._leader = vacant

    def _step_down(self, reader: Reader) -> None:
        """Give the lead to the next thread that waits. Between passes, so that what was put off can be done."""
        self._leading_thread = None
        if self._prefixes.offered:
            self._prefixes.tidy()
        self._leader.pop(0, None)
        if self._deferred and not self._passes.held:
            self._leave_deferred()
        if self._driver is not None and self._driver is not reader:
            self._driver.signal.set()
            return
        for requests in (self._running, self._arrivals):
            for request in requests:
                if request.reader.waits:
                    request.reader.signal.set()
                    return

    def _leave_deferred(self) -> None:
        """What was dropped in the thread that leads, while it was busy."""
        while self._deferred:
            self._let_go(*self._deferred.pop(0))

    def _let_go(self, request: Request, then: Callable[[Answer], None] | None) -> None:
        """Of a request that has left, and is in no pass."""
        request.settle()
        if not request.ended:  # else it was offered then
            self._prefixes.offer(request.answer, request.loaded)
        _forget(request, then)

    def _wake_driver(self, reader: Reader | None = None) -> None:
        driver = self._driver
        if driver is not None and driver is not reader:
            driver.signal.set()

    def _has_arrivals(self) -> bool:
        return any(not request.left for request in self._arrivals)

    def _check_room(self) -> None:
        """QueueFullError where one more request would be too many."""
        if self.max_waiting is None:
            return
        n_running, n_waiting = self.n_running, self.n_waiting
        if n_running + n_waiting >= self.max_running + self.max_waiting:
            raise QueueFullError(
                f"[scheduler] {n_running} answers are being written and {n_waiting} wait, the most are "
                f"{self.max_running} and {self.max_waiting}: try again later"
            )

    # ---- what the leader does

    def _step(self) -> bool:
        """One pass over all that can go on, or the rest of one that was interrupted; whether there was any."""
        passes = self._passes
        if passes.held:  # an interrupted leader left it
            passes.settle()
            return True
        if self._deferred:
            self._leave_deferred()
        if self._arrivals or passes.n_ended or self._n_left != self._n_left_seen:
            self._admit()
        active = [request for request in self._running if request.may_run()]
        if len(active) > self._max_running:
            active = self._served_next(active)
        return passes.run(active, self._running)

    def _admit(self) -> None:
        """Have requests join that there is room for, and forget those that are gone."""
        self._n_left_seen, self._passes.n_ended = self._n_left, 0
        self._prefixes.tidy()
        running = [request for request in self._running if not (request.left or request.ended)]
        places = self._limit(running) - sum([request.may_run() for request in running])
        with self._enrolling:
            waiting = [request for request in self._arrivals if not request.left]
            while waiting and places > 0:
                places += max(0, waiting[0].reader.n_together - self._limit(running))
                running.append(waiting.pop(0))
                places -= 1
            self._arrivals[:] = waiting
            self._running = running

    def _limit(self, requests: Sequence[Request]) -> int:
        """Answers in a pass; a batch may ask for more than others get."""
        return max([self.max_running, *(request.reader.n_together for request in requests)])

    def _served_next(self, active: list[Request]) -> list[Request]:
        """As many as may share a pass: those that somebody waits for, and of them the ones that waited longest."""
        active.sort(key=lambda request: (not request.reader.waits, request.last_pass))
        return active[: self._limit(active)]


def _is_here(thread: int | None) -> bool:
    """Whether a thread is in a function of this file."""
    frame = None if thread is None else sys._current_frames().get(thread)
    while frame is not None and frame.f_code.co_filename != _is_here.__code__.co_filename:
        frame = frame.f_back
    return frame is not None


def _forget(request: Request, then: Callable[[Answer], None] | None) -> None:
    if then is not None:
        then(request.answer)
    request.answer.sequence = None
    request.loaded = None
