"""The answers of one request, written side by side: each waits for its turn, and tells what happens as events."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from ..generation.answer import TokenLogprob
from ..generation.prompt_scores import ScoringStopped, prompt_logprobs
from ..generation.streams import Generation, Stream
from ..model import Belle
from .admission import Admission
from .driving import Writing

_AHEAD = 32  # events that may wait for a slow reader


@dataclass(frozen=True)
class PromptScoring:
    """The log-probabilities of a prompt's own tokens, which come before its answer."""

    belle: Belle
    ids: Sequence[int]
    top_logprobs: int


@dataclass(frozen=True)
class Choice:
    """One answer that is wanted. Nothing is computed yet."""

    stream: Stream | None  # None: no token is to be written
    scoring: PromptScoring | None = None
    n_prompt: int = 0  # tokens, where there is no stream
    echo: str = ""  # what stands before the answer


@dataclass(frozen=True)
class Begun:
    """It is this choice's turn."""

    index: int


@dataclass(frozen=True)
class Scored:
    """The prompt was scored."""

    index: int
    tokens: Sequence[TokenLogprob]


@dataclass(frozen=True)
class Piece:
    """Text that is certain, and the tokens chosen since the last event."""

    index: int
    text: str
    tokens: Sequence[TokenLogprob] = ()


@dataclass(frozen=True)
class Ended:
    """The answer is complete; tokens: those that no piece told."""

    index: int
    result: Generation | None
    tokens: Sequence[TokenLogprob] = ()


Event = Begun | Scored | Piece | Ended


async def written(
    belle: Belle, choices: Sequence[Choice], admission: Admission
) -> AsyncGenerator[Event, None]:
    """The events of all choices, interleaved as they happen. Leaving early ends what is being written.

    At most `max_running` of one request run at once, so that its other choices stand in line with other requests.
    Raises what writing one of them raises.
    """
    queue: asyncio.Queue[Event | None] = asyncio.Queue(_AHEAD)
    waiting = deque(enumerate(choices))
    failures: list[Exception] = []

    async def work() -> None:
        try:
            while waiting:
                index, choice = waiting.popleft()
                async with admission.slot():
                    await _write(belle, index, choice, queue)
        except Exception as error:
            failures.append(error)
            if not queue.full():  # wakes the reader, whom nothing else may wake
                queue.put_nowait(None)

    workers = [asyncio.create_task(work()) for _ in range(min(len(choices), admission.max_running))]
    try:
        n_open = len(choices)
        while n_open:
            happened = await queue.get()
            if failures or happened is None:
                raise failures[0]
            n_open -= isinstance(happened, Ended)
            yield happened
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


async def _write(belle: Belle, index: int, choice: Choice, queue: asyncio.Queue[Event | None]) -> None:
    await queue.put(Begun(index))
    if choice.scoring is not None:
        await queue.put(Scored(index, await _scores(choice.scoring)))
    if choice.stream is None:
        await queue.put(Ended(index, None))
        return
    n_told = 0
    async with aclosing(Writing(belle, choice.stream).pieces()) as pieces:
        async for told in pieces:
            n_told += len(told.tokens)
            await queue.put(Piece(index, told.text, told.tokens))
    result = choice.stream.result
    await queue.put(Ended(index, result, (result.logprobs or ())[n_told:]))


async def _scores(scoring: PromptScoring) -> Sequence[TokenLogprob]:
    """In a thread, which stops at its next pass when nobody waits any more."""
    left = False

    def score() -> Sequence[TokenLogprob]:
        try:
            return prompt_logprobs(
                scoring.belle, scoring.ids, top_logprobs=scoring.top_logprobs, stopped=lambda: left
            )
        except ScoringStopped:
            return ()

    try:
        return await asyncio.to_thread(score)
    finally:
        left = True
