"""One answer on its way: waiting, loading, reading the prompt, writing; shown, stored, ended."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

from ...generation.answer import Answer
from ...generation.answer_options import params_of_call
from ...generation.history import History
from ...generation.request_state import Request
from ...generation.stored_turns import StoredTurn, stored_of
from ...generation.turn_answers import answer_of
from ...history import History as ChatHistory
from ...history import Message
from ...model import Belle
from ...rendering import GrowingText
from ..server_errors import ApiError
from .answer_plan import AnswerPlan, Opened, opened
from .event_hub import EventHub
from .live_caches import LiveCache, LiveCaches
from .page_errors import stored_error

_SHOWN_EVERY_S = 1 / 15
_STORED_EVERY_S = 0.5
_TOLD_EVERY_S = 0.25  # progress

Ending = Literal["stopped", "cut"]


class AnswerRun:
    """`wait_told` and `end` are for any thread; `write` runs in one of its own."""

    writes = False  # for the end of the server: it is cut at once, since nothing is lost

    def __init__(self, plan: AnswerPlan, history: ChatHistory, hub: EventHub, caches: LiveCaches) -> None:
        self.plan = plan
        self.model = ""
        self.on_ended: Callable[[Message], None] = lambda message: None
        self.ending: Ending | None = None  # why it ends early
        self.cancel: Callable[[], None] = lambda: None  # what it waits for, before it writes
        self._history = history
        self._hub = hub
        self._caches = caches
        self._news: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._read = (0, 0)  # tokens of the prompt: computed, all
        self._lock = threading.Lock()
        self._over = False

    # ---- for others

    def tell(self, phase: str, **measures: Any) -> None:
        """What it is doing."""
        self._hub.publish({"type": "progress", "message": self.plan.message, "phase": phase, **measures})

    def stop(self, why: Ending) -> None:
        """End it within a token; what is written stays."""
        with self._lock:
            if self.ending is None:
                self.ending = why
        self._news.put("")
        self.cancel()

    def end(self, reason: ApiError) -> None:
        """The server ends."""
        self.stop("cut")

    def gave_up(self, error: BaseException | None) -> Message | None:
        """It ended before it wrote anything. error: None where it was stopped. None where it has ended already."""
        if self._over:
            return None
        if error is None:
            return self._finish(self.ending or "stopped", {})
        return self._finish("failed", {"error": stored_error(error)})

    # ---- in its own thread

    def write(self, belle: Belle, load_s: float) -> None:
        """From the prompt to the end. Errors become the message's."""
        try:
            self._write(belle, load_s)
        except Exception as error:
            self.gave_up(error)

    def _write(self, belle: Belle, load_s: float) -> None:
        plan = self.plan
        at = opened(plan, belle, self._caches)
        params = params_of_call(belle.chat_format, raw=False, params=None, sampling=plan.sampling)
        answer = answer_of(at.turn, at.prompt, params, max_tokens=plan.max_tokens)
        writing = _Writing(self, at, answer, load_s)
        self._read = (answer.n_computed, len(answer.history))
        request = belle.scheduler.submit(
            answer, self._on_piece, on_progress=self._on_progress, keeps_sequence=True
        )
        ended: list[History] = []

        def keep(last: Answer) -> None:
            if last.finished or last.text:
                ended.append(at.turn.history.answered(at.turn.turn, last, belle.tokenizer))

        try:
            writing.follow(request)
        finally:
            belle.scheduler.leave(request, keep)
            belle.scheduler.write_out()
        self._conclude(belle, writing, request, ended[0] if ended else None)

    def _conclude(self, belle: Belle, writing: _Writing, request: Request, after: History | None) -> None:
        """The message as it stays; its cache for the next turn."""
        writing.finish_blocks()
        answer, plan = writing.answer, self.plan
        changes = writing.last_state(after)
        if request.error is not None:
            self._finish("failed", {**changes, "error": stored_error(request.error)})
            return
        state = _STATES[answer.reason] if answer.reason is not None else self.ending or "stopped"
        if after is not None:
            self._caches.put(LiveCache(plan.chat, plan.message, belle, after))
        self._finish(state, changes)

    def _finish(self, state: Any, changes: Mapping[str, Any]) -> Message:
        self._over = True
        message = self._history.finish_answer(self.plan.message, state, **changes)
        self.on_ended(message)
        return message

    @property
    def read(self) -> tuple[int, int]:
        return self._read

    def next_news(self, seconds: float) -> list[str | None]:
        """Pieces of text that came, waiting for one so long; None: the answer has ended."""
        found: list[str | None] = []
        try:
            found.append(self._news.get(timeout=max(0.0, seconds)))
            while True:
                found.append(self._news.get_nowait())
        except queue.Empty:
            return found

    def store(self, changes: Mapping[str, Any]) -> None:
        """What is there so far."""
        self._history.write_answer(self.plan.message, **changes)

    def show(self, first: int, blocks: list[str]) -> None:
        """New blocks from `first` on."""
        self._hub.publish({"type": "blocks", "message": self.plan.message, "from": first, "blocks": blocks})

    # ---- in the thread that computes: neither waits nor raises

    def _on_piece(self, text: str | None) -> None:
        self._news.put(text)

    def _on_progress(self, done: int, total: int) -> None:
        self._read = (done, total)


_STATES: Mapping[str, str] = {"stop": "finished", "stop_string": "finished", "length": "length"}


class _Writing:
    """Follows an answer that is being written: shows it, stores it, says how fast it comes."""

    def __init__(self, run: AnswerRun, at: Opened, answer: Answer, load_s: float) -> None:
        self._run = run
        self._at = at
        self.answer = answer
        self._load_s = load_s
        self._growing = GrowingText()
        self._n_shown = 0  # blocks
        self._waits_to_be_shown = False  # text that came too soon after other text
        self._began = self._first = 0.0
        # What slid out of the context is part of the text still.
        earlier, seen = run.plan.earlier_text, answer.text
        self._lead, self._n_skipped = ("", 0) if earlier.startswith(seen) else (earlier, len(seen))
        self._text_at_begin = self._whole_text(seen)
        self._due = {"show": 0.0, "store": 0.0, "tell": 0.0}

    def follow(self, request: Request) -> None:
        """Until it ends, or is to end."""
        run, now = self._run, time.perf_counter()
        self._began = now
        self._due["store"] = now + _STORED_EVERY_S
        if self._text_at_begin:
            self._show(self._text_at_begin)
        while run.ending is None:
            news = run.next_news(self._next_due() - time.perf_counter())
            now = time.perf_counter()
            if not self._first and len(self.answer.ids) > self.answer.n_resumed:
                self._first, self._due["tell"] = now, now
            if text := "".join(piece for piece in news if piece):
                self._show(text)
            elif self._waits_to_be_shown and now >= self._due["show"]:
                self._show("")
            if None in news:
                break
            self._tell(now)
            if now >= self._due["store"] and self._first:
                self._due["store"] = now + _STORED_EVERY_S
                run.store(self._state(self._so_far()))

    def _next_due(self) -> float:
        """When there is something to do although no text comes. perf_counter()"""
        return min(self._due[what] for what in ("tell", "show")[: 1 + self._waits_to_be_shown])

    def last_state(self, after: History | None) -> dict[str, Any]:
        """What is stored at the end. after: the history with this turn; None where nothing was written."""
        if after is None:
            return {"timings": self._timings(), "dropped": self._dropped(self._at.turn.history)}
        return self._state(after)

    # ---- what is shown

    def _show(self, text: str) -> None:
        self._due["show"] = time.perf_counter() + _SHOWN_EVERY_S
        first, blocks = self._growing.feed(text)
        self._waits_to_be_shown = not blocks
        if blocks or first < self._n_shown:
            self._n_shown = first + len(blocks)
            self._run.show(first, blocks)

    def finish_blocks(self) -> None:
        """The request has left: nothing more comes."""
        self._show("".join(piece for piece in self._run.next_news(0.0) if piece))
        first, blocks = self._growing.finish()
        if blocks or first < self._n_shown:
            self._run.show(first, blocks)

    def _tell(self, now: float) -> None:
        if now < self._due["tell"]:
            return
        self._due["tell"] = now + _TOLD_EVERY_S
        if not self._first:
            done, total = self._run.read
            n_cached = total - self.answer.prefilled_tokens if self.answer.prefilled_tokens else done
            new, elapsed = done - n_cached, now - self._began
            left = elapsed * (total - done) / new if new > 0 and elapsed > 0.2 else None
            self._run.tell("reading", done=done, total=total, seconds_left=left)
            return
        n_tokens, elapsed = len(self.answer.ids) - self.answer.n_resumed, now - self._first
        speed = (n_tokens - 1) / elapsed if elapsed > 0.2 and n_tokens > 1 else None
        self._run.tell("writing", done=len(self.answer.ids), total=None, tokens_per_s=speed)

    # ---- what is stored

    def _so_far(self) -> History:
        """The history with the part of the answer that is whole tokens."""
        answer, opened_turn = self.answer, self._at.turn
        ids, text = _spoken(answer)
        history, turn = opened_turn.history, opened_turn.turn
        before = history.ids[: turn.answer_begin] if opened_turn.n_resumed else history.ids
        end = len(before) + len(ids)
        turn = replace(
            turn, answer=text, answer_begin=len(before), end=end, decoded_end=max(len(before), end - 1)
        )
        whole = History((*before, *ids), (*history.turns, turn))
        for begin, stop in list(answer.dropped):
            whole = whole.without((begin, min(stop, len(whole.ids))))
        return whole

    def _state(self, history: History) -> dict[str, Any]:
        stored = stored_of(history, self._at.before, self._at.kind)
        columns = {**_columns(stored), "text": self._whole_text(stored.answer)}
        return {**columns, "timings": self._timings(), "dropped": self._dropped(history)}

    def _whole_text(self, text: str) -> str:
        """Of the message, where the engine has `text`."""
        return self._lead + text[self._n_skipped :]

    def _dropped(self, history: History) -> list[str]:
        return self._run.plan.path_before.dropped(self._at.before, history)

    def _timings(self) -> dict[str, Any]:
        answer, earlier = self.answer, self._run.plan.earlier
        now = time.perf_counter()
        n_new = len(answer.ids) - answer.n_resumed
        prompt_s = (self._first or now) - self._began
        decode_s = now - self._first if self._first else 0.0
        if answer.finished:
            prompt_s, decode_s = answer.seconds
        return {
            "prompt_tokens": answer.prompt_tokens,
            "cached_tokens": max(0, answer.prompt_tokens - answer.prefilled_tokens),
            "prompt_s": round(prompt_s, 4),
            "tokens": n_new + earlier.get("tokens", 0),
            "decode_s": round(decode_s + earlier.get("decode_s", 0.0), 4),
            "load_s": round(self._load_s, 4),
        }


def _columns(stored: StoredTurn) -> dict[str, Any]:
    return {
        "text": stored.answer,
        "token_ids": stored.token_ids,
        "answer_begin": stored.answer_begin,
        "decoded_end": stored.decoded_end,
        "layout": dict(stored.layout),
    }


def _spoken(answer: Answer) -> tuple[list[int], str]:
    """The tokens so far whose text is whole, and that text. Another thread may be adding tokens."""
    ids = list(answer.ids)
    assembler = answer.assembler_of(ids)
    n_whole, rest = assembler.whole_tokens()
    text = assembler.text
    return ids[:n_whole], text[: len(text) - len(rest)]
