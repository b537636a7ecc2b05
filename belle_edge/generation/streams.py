"""The result of a generation, and the stream that writes it: synchronous, or asynchronous over a thread."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from ..process_lock import ProcessLock
from .answer import Answer, FinishReason, TokenLogprob, Window
from .answer_options import AnswerOptions, constraint_of, params_of_call
from .loaded_model import LoadedModel
from .request_state import Reader, Request
from .scheduler import Scheduler


@dataclass(frozen=True)
class Timings:
    """Wall time in seconds: reading the prompt (and choosing the first token), then writing the rest."""

    prefill_s: float
    decode_s: float


@dataclass(frozen=True)
class Generation:
    """What a model wrote; `str()` of it is the text.

    finish_reason: "stop" (the model ended its answer, or its constraint is fulfilled and nothing may follow),
    "stop_string" (one of the stop strings came), or "length" (max_tokens, or the end of the context). token_ids
    are all chosen tokens but the one that ends the answer; the text ends before a stop string and after the last
    whole character, the ids do not.
    """

    text: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    prompt_tokens: int
    timings: Timings
    prefilled_tokens: int = 0  # of the prompt, computed for this answer; the others were in the cache
    logprobs: tuple[TokenLogprob, ...] | None = (
        None  # one per token id, if SamplingParams.top_logprobs is set
    )

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain dicts, lists, texts and numbers, ready for `json.dumps`.

        logprobs: None, or a dict per token with "top" as a list of dicts; None stands for minus infinity there.
        """
        return {
            "text": self.text,
            "token_ids": list(self.token_ids),
            "finish_reason": self.finish_reason,
            "prompt_tokens": self.prompt_tokens,
            "prefilled_tokens": self.prefilled_tokens,
            "completion_tokens": self.completion_tokens,
            "tokens_per_second": self.tokens_per_second,
            "timings": asdict(self.timings),
            "logprobs": None if self.logprobs is None else [token.to_dict() for token in self.logprobs],
        }

    @property
    def completion_tokens(self) -> int:
        return len(self.token_ids)

    @property
    def tokens_per_second(self) -> float:
        """Decoding speed; the first token belongs to the prefill. 0 with fewer than two tokens."""
        steps = self.completion_tokens - (self.finish_reason != "stop")
        return steps / self.timings.decode_s if steps > 0 and self.timings.decode_s > 0 else 0.0

    def __str__(self) -> str:
        return self.text


def result_of(answer: Answer) -> Generation:
    """The result of a finished answer."""
    assert answer.reason is not None
    prefill_s, decode_s = answer.seconds
    return Generation(
        text=answer.text,
        token_ids=tuple(answer.ids),
        finish_reason=answer.reason,
        prompt_tokens=answer.prompt_tokens,
        timings=Timings(prefill_s=prefill_s, decode_s=decode_s),
        prefilled_tokens=answer.prefilled_tokens,
        logprobs=tuple(answer.logprobs) if answer.params.top_logprobs is not None else None,
    )


class Stream(Iterator[str]):
    """Pieces of text as they become certain; joined they equal `result.text`. It may be left early.

    Nothing is computed before the first piece is asked for. While other answers are written, some tokens may be chosen
    before they are asked for; where the stream is left, they never were.
    """

    def __init__(
        self, scheduler: Scheduler, answer: Answer, on_end: Callable[[Answer], None] | None = None
    ) -> None:
        """on_end: called once with the answer when it has ended or was left, unless it was never begun."""
        self._answer = answer
        self._request = Request(answer, Reader(), keeps_sequence=on_end is not None)
        # no reference to self: a dropped stream ends at once
        self._pieces = _write(scheduler, self._request, on_end)

    def __next__(self) -> str:
        return next(self._pieces)

    @property
    def result(self) -> Generation:
        """The whole generation. Raises RuntimeError before the last piece was taken."""
        if not self._answer.finished:
            raise RuntimeError("[stream] not finished: there is a result only after the last piece")
        return result_of(self._answer)

    @property
    def logprobs(self) -> Sequence[TokenLogprob]:
        """Those of the tokens of the pieces so far, where they were asked for; it grows while pieces are taken."""
        return self._answer.logprobs[: self._request.n_taken]

    def finish(self) -> Generation:
        """Write the rest and return the result."""
        if not getattr(self._pieces, "gi_running", False):
            self._request.whole = True
        for _ in self:
            pass
        return self.result

    @property
    def has_piece(self) -> bool:
        """Whether the next piece is there already."""
        return len(self._request.pieces) > 0

    def abandon(self) -> None:
        """By any thread: whoever reads it gets no more pieces. `close` lets go of the memory."""
        self._request.abandon()

    def close(self) -> None:
        """End the generation now and let go of its memory. RuntimeError while another thread is in it."""
        try:
            self._pieces.close()
        except ValueError:
            if getattr(self._pieces, "gi_running", False):
                raise RuntimeError("[stream] another thread is reading it: it cannot be closed now") from None
            raise


def stream_of(model: LoadedModel, ids: Sequence[int], options: AnswerOptions, *, raw: bool = False) -> Stream:
    """The stream of an answer to the prompt `ids`. ValueError for options out of range, and for a prompt too long."""
    constraint = constraint_of(options)
    params = params_of_call(
        model.chat_format,
        raw=raw,
        params=options.params,
        sampling=options.sampling,
        constrained=constraint is not None,
    )
    n_keep = min(len(ids), model.context // 2) if options.n_keep is None else options.n_keep
    window = Window(model.context, options.overflow, n_keep)
    answer = Answer(
        model.backend,
        model.tokenizer,
        ids,
        params,
        max_tokens=options.max_tokens,
        window=window,
        constraint=constraint,
    )
    return Stream(model.scheduler, answer)


def unwritten(stream: Stream) -> Answer:
    """The answer that a stream would write, for a batch: checked, nothing computed yet."""
    return stream._answer


def _write(
    scheduler: Scheduler, request: Request, on_end: Callable[[Answer], None] | None
) -> Generator[str, None, None]:
    try:
        while (piece := scheduler.next_piece(request)) is not None:
            yield piece
    finally:
        scheduler.leave(request, on_end)
    scheduler.write_out()


class AsyncStream(AsyncIterator[str]):
    """A stream for asyncio: what has to be waited for is, in a worker thread, so the event loop stays free.

    Cancelling the task that iterates ends the generation after the token in progress.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._lock = ProcessLock()  # held while a step runs
        self._abandoned = False

    async def __anext__(self) -> str:
        import asyncio

        try:
            if self._stream.has_piece:  # written while another answer's reader computed
                await asyncio.sleep(0)
                piece = self._step()
            else:
                piece = await asyncio.to_thread(self._step)
        except asyncio.CancelledError:
            self._begin_to_leave()
            with suppress(RuntimeError):  # no more threads where the loop itself ends
                asyncio.get_running_loop().run_in_executor(None, self._close)
            raise
        if piece is None:
            raise StopAsyncIteration
        return piece

    @property
    def result(self) -> Generation:
        """The whole generation. Raises RuntimeError before the last piece was taken."""
        return self._stream.result

    async def aclose(self) -> None:
        """End the generation after the token in progress and let go of its memory."""
        import asyncio

        self._begin_to_leave()
        await asyncio.to_thread(self._close)

    def _step(self) -> str | None:
        with self._lock:
            return None if self._abandoned else next(self._stream, None)

    def _begin_to_leave(self) -> None:
        """A step that waits ends now, or with the pass that its thread computes."""
        self._abandoned = True
        self._stream.abandon()

    def _close(self) -> None:
        with self._lock:
            self._stream.close()
