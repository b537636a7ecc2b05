"""Answers as the server's driver writes them: the same as alone, one beside the other, gone when nobody wants them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from belle_edge import Belle

pytest.importorskip("starlette")
from belle_edge.server import driving
from belle_edge.server.admission import Admission
from belle_edge.server.driving import Driver, Told, Writing
from belle_edge.server.server_errors import ApiError
from belle_edge.server.writing import Choice, Piece, written

ENDLESS: dict[str, Any] = {
    "raw": True,
    "max_tokens": 10**6,
    "overflow": "slide",
    "banned": [2],
    "temperature": 0,
}


@pytest.fixture(scope="module")
def driven(demo_file: Path) -> Iterator[Belle]:
    """A model with a driver."""
    with Belle.load(demo_file) as model:
        driver = Driver(model)
        yield model
        driver.stop()


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 60))


def n_running(model: Belle) -> int:
    return sum(not request.left and not request.ended for request in model.scheduler._running)


def test_pieces_and_their_tokens(driven: Belle, demo: Belle) -> None:
    settings = {"temperature": 0.8, "seed": 3, "max_tokens": 20, "top_logprobs": 2}

    async def work() -> None:
        stream = driven.stream("你好", **settings)
        told = [piece async for piece in Writing(driven, stream).pieces()]
        expected = demo.stream("你好", **settings)
        assert [piece.text for piece in told] == list(expected)
        assert stream.result.logprobs == expected.result.logprobs
        tokens = [token for piece in told for token in piece.tokens]
        assert tokens == list(expected.result.logprobs or ())[: len(tokens)]
        for piece in told:
            assert piece.text.endswith(piece.tokens[-1].text), (
                "a piece comes with the tokens that made it certain"
            )

    run(work())


def test_one_that_is_left(driven: Belle) -> None:
    async def work() -> None:
        pieces = Writing(driven, driven.stream("你好", **ENDLESS)).pieces()
        for _ in range(3):
            assert isinstance(await anext(pieces), Told)
        assert n_running(driven) == 1
        await pieces.aclose()
        assert n_running(driven) == 0

    run(work())


@pytest.mark.parametrize("n_steps", [0, 1, 2, 5])
def test_one_that_is_cancelled(driven: Belle, n_steps: int) -> None:
    """Also before it has begun."""

    async def read() -> None:
        async with aclosing(Writing(driven, driven.stream("你好", **ENDLESS)).pieces()) as pieces:
            async for _ in pieces:
                pass

    async def work() -> None:
        task = asyncio.create_task(read())
        for _ in range(n_steps):
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        await asyncio.sleep(0.05)
        assert n_running(driven) == 0

    run(work())


def test_one_that_nobody_reads(driven: Belle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driving, "_AHEAD", 20)

    async def read_slowly() -> None:
        pieces = Writing(driven, driven.stream("你好", **ENDLESS)).pieces()
        await anext(pieces)  # begins it; on a busy machine the answer may be too far ahead already
        await asyncio.sleep(0.5)
        await anext(pieces)

    async def work() -> None:
        with pytest.raises(ApiError, match="more slowly"):
            await read_slowly()
        assert n_running(driven) == 0

    run(work())


def test_one_that_fails(driven: Belle, demo: Belle) -> None:
    """Beside another, which does not."""
    everything = list(range(len(driven.tokenizer)))
    settings = {"temperature": 0, "max_tokens": 20}

    async def text() -> str:
        return "".join(
            [told.text async for told in Writing(driven, driven.stream("你好", **settings)).pieces()]
        )

    async def work() -> None:
        admission = Admission(max_running=2, max_waiting=0)
        other = asyncio.create_task(text())
        bad = Choice(driven.stream("你好", raw=True, banned=everything))
        with pytest.raises(ValueError, match="every token is banned"):
            async for _ in written(driven, [bad, bad], admission):
                pass
        assert admission.n_running == 0
        assert await other == demo.generate("你好", **settings).text

    run(work())


def test_choices_of_a_request(driven: Belle, demo: Belle) -> None:
    """More than may run at once: each whole, and equal to what it is alone."""

    async def work() -> None:
        settings = [{"temperature": 2.0, "top_p": 1.0, "seed": seed, "max_tokens": 9} for seed in range(7)]
        choices = [Choice(driven.stream("你好", **each)) for each in settings]
        texts = [""] * len(choices)
        async for event in written(driven, choices, Admission(max_running=3, max_waiting=0)):
            if isinstance(event, Piece):
                texts[event.index] += event.text
        assert texts == [demo.generate("你好", **each).text for each in settings]

    run(work())
