"""An answer on its way through the scheduler, and the thread that waits for it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from ..backends.base import SequenceState
from .answer import Answer

AHEAD = 16  # tokens that are computed for a reader who does not ask for them, while others are written
WORTH_WAITING = 32  # positions of a prompt for which it waits until another one has computed them

OnPiece = Callable[["str | None"], None]  # a piece of text; None: the answer has ended
OnProgress = Callable[[int, int], None]  # tokens of the prompt that are computed, of all


class Signal:
    """Wakes one thread. Set before that thread waits, it is not lost; any thread may set it, at any moment."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def set(self) -> None:
        """Have the thread go on, now or when it comes to wait."""
        if self._lock.locked():
            with suppress(RuntimeError):  # another thread was faster
                self._lock.release()

    def wait(self, seconds: float) -> bool:
        """Until it is set, or for so long; whether it was set."""
        return self._lock.acquire(timeout=seconds)


class Reader:
    """Who waits for the news of one request, or of several.

    n_together: of its requests run at once, even where that is more than the scheduler's own limit.
    """

    __slots__ = ("leads", "n_together", "signal", "thread", "waits")

    def __init__(self, *, n_together: int = 1) -> None:
        self.signal = Signal()
        self.waits = False  # it is in a call that returns when there is news
        self.leads = False  # it computes meanwhile
        self.thread: int | None = None  # that took the lead for it last
        self.n_together = n_together

    def wake(self) -> None:
        """There may be news."""
        if self.waits and not self.leads:
            self.signal.set()


class Request:
    """The state of one answer between its reader and the scheduler.

    A reader who takes single pieces is not run away from: at most AHEAD tokens more than it asked for are chosen,
    and those that it was not given are taken back where it leaves.
    """

    __slots__ = (
        "answer",
        "ended",
        "enrolled",
        "error",
        "gave_end",
        "in_pass",
        "keeps_sequence",
        "last_pass",
        "left",
        "loaded",
        "n_given",
        "on_piece",
        "on_progress",
        "pieces",
        "prefilling",
        "reader",
        "top_logprobs",
        "whole",
        "worth_waiting",
    )

    def __init__(
        self,
        answer: Answer,
        reader: Reader,
        *,
        whole: bool = False,
        keeps_sequence: bool = False,
        worth_waiting: int = WORTH_WAITING,
        on_piece: OnPiece | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        """whole: the reader waits for the end alone. keeps_sequence: the answer's cache is wanted after its end.
        worth_waiting: so many positions that another request is computing are waited for. on_piece: called with each
        piece of text, by whichever thread computes it; on_progress: called there while the prompt is computed. Neither
        waits or raises."""
        self.answer = answer
        self.reader = reader
        self.whole = whole
        self.keeps_sequence = keeps_sequence
        self.worth_waiting = worth_waiting
        self.on_piece = on_piece
        self.on_progress = on_progress
        self.top_logprobs = -1 if answer.params.top_logprobs is None else answer.params.top_logprobs
        self.pieces: deque[tuple[str, int, bool]] = (
            deque()
        )  # text, tokens up to its end, whether the answer ends
        self.n_given = 0  # tokens up to the end of the last piece that was taken
        self.gave_end = False
        self.prefilling = True
        self.enrolled = False
        self.in_pass = False  # the answer belongs to the thread that computes
        self.left = False
        self.loaded: SequenceState | None = None  # a beginning of its prompt that was in a file
        self.ended = False
        self.error: Exception | None = None
        self.last_pass = 0

    def has_news(self) -> bool:
        """Whether its reader has something to take."""
        return self.ended or self.left or (not self.whole and len(self.pieces) > 0)

    def abandon(self) -> None:
        """By any thread: its reader gets no more pieces, and leaves as soon as it looks."""
        self.left = True
        self.reader.signal.set()

    def may_run(self) -> bool:
        """Whether the next pass may take it along."""
        if self.left or self.ended:
            return False
        if self.whole:
            return True
        if self.reader.waits and not self.pieces:
            return True
        return len(self.answer.ids) - self.n_given < AHEAD and not (self.pieces and self.answer.is_full)

    @property
    def n_taken(self) -> int:
        """Tokens of the answer that its reader was given, or took as a whole."""
        return len(self.answer.ids) if self.whole or self.gave_end else self.n_given

    def take(self) -> str | None:
        """The next piece of text; None after the last one, and the error of an answer that failed."""
        if self.left:
            return None
        if self.pieces and not self.whole:
            piece, self.n_given, self.gave_end = self.pieces.popleft()
            return piece
        if self.error is not None:
            raise self.error
        self.gave_end = True
        return None

    def settle(self) -> None:
        """After its reader has left: take back what it was not given."""
        answer = self.answer
        if len(answer.ids) > self.n_taken or (answer.finished and not self.whole and not self.gave_end):
            answer.take_back(self.n_given)
        answer.shorten_sequence()
