"""One model, several threads and tasks: results as alone, cancelling lets go, closing is an error and no crash."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from belle_edge import AsyncStream, Belle

from .tiny_models import write_tiny_model

QUESTIONS = ["用一句话介绍北京。", "你好"]


def test_two_async_streams_interleave_and_equal_the_sync_results(tiny_zh: Belle) -> None:
    endless = [tiny_zh.tokenizer.vocabulary.eos_id]  # the first answer is as long as the context allows
    settings: list[dict[str, Any]] = [
        {"seed": 4, "max_tokens": 200, "banned": endless},
        {"seed": 4, "max_tokens": 5},
    ]

    async def both() -> list[str]:
        long = tiny_zh.astream(QUESTIONS[0], **settings[0])
        pieces = [await anext(long)]
        short = tiny_zh.astream(QUESTIONS[1], **settings[1])
        text = "".join([piece async for piece in short])
        with pytest.raises(RuntimeError, match="not finished"):
            _ = long.result  # the second answer did not wait for the end of the first
        pieces += [piece async for piece in long]
        assert [long.result.text, short.result.text] == ["".join(pieces), text]
        return ["".join(pieces), text]

    alone = [tiny_zh.generate(q, **s).text for q, s in zip(QUESTIONS, settings, strict=True)]
    assert asyncio.run(both()) == alone


def test_the_event_loop_stays_free(tiny_zh: Belle) -> None:
    async def count() -> int:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0)
                ticks += 1

        ticker = asyncio.create_task(tick())
        async for _ in tiny_zh.astream(QUESTIONS[0], temperature=0, max_tokens=20):
            pass
        ticker.cancel()
        return ticks

    assert asyncio.run(count()) > 20


@pytest.mark.slow
@pytest.mark.parametrize("in_a_pass", [True, False])
def test_cancelling_lets_go(tiny: Belle, monkeypatch: pytest.MonkeyPatch, in_a_pass: bool) -> None:
    real, entered = tiny.backend.forward_sample, threading.Event()

    def slow(batch, **options):
        entered.set()
        time.sleep(0.03)
        return real(batch, **options)

    async def cancelled() -> None:
        entered.clear()
        stream = tiny.astream([5] * 60, raw=True, max_tokens=60, banned=[2])

        async def read() -> None:
            async for _ in stream:
                await asyncio.sleep(0 if in_a_pass else 60)

        task = asyncio.create_task(read())
        await asyncio.to_thread(entered.wait)
        await asyncio.sleep(0 if in_a_pass else 0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(RuntimeError, match="not finished"):
            _ = stream.result

    monkeypatch.setattr(tiny.backend, "forward_sample", slow)
    kv_bytes = []
    for _ in range(3):
        asyncio.run(cancelled())  # waits for the thread that is in a pass
        kv_bytes.append(tiny.details["kv_bytes"])
    assert kv_bytes == kv_bytes[:1] * 3, "the next stream takes over the pages of the one before"


def test_aclose_ends_a_stream(tiny: Belle) -> None:
    async def read() -> list[str]:
        stream = tiny.astream([5], raw=True, max_tokens=50, banned=[2])
        async for _ in stream:
            break
        await stream.aclose()
        return [piece async for piece in stream]

    assert asyncio.run(read()) == []


def test_an_async_turn_of_a_conversation(tiny_zh: Belle) -> None:
    conversation = tiny_zh.conversation(temperature=0, max_tokens=10)

    async def ask() -> str:
        return "".join([piece async for piece in AsyncStream(conversation.send("你好"))])

    assert asyncio.run(ask()) == conversation.messages[-1]["content"]


def test_threads_chat_and_generate_at_once(tiny_zh: Belle) -> None:
    def generate(_: int) -> list[str]:
        return [tiny_zh.generate(q, seed=3, max_tokens=15).text for q in QUESTIONS]

    def converse(_: int) -> list[str]:
        conversation = tiny_zh.conversation(seed=3, max_tokens=15)
        return [conversation.say(q).text for q in QUESTIONS]

    def batch(_: int) -> list[str]:
        return [r.text for r in tiny_zh.generate_batch(QUESTIONS, seed=3, max_tokens=15)]

    def chat(_: int) -> list[str]:
        return [tiny_zh.chat([{"role": "user", "content": q}], seed=3, max_tokens=15).text for q in QUESTIONS]

    work: list[Callable[[int], list[str]]] = [generate, converse, batch, chat] * 2
    alone = [task(0) for task in work[:4]] * 2
    together: dict[int, list[str]] = {}
    threads = [
        threading.Thread(target=lambda index=index: together.update({index: work[index](index)}))
        for index in range(len(work))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[index] for index in range(len(work))] == alone


@pytest.mark.slow
def test_closing_a_model_in_use_ends_its_streams_with_an_error(tmp_path: Path) -> None:
    model = Belle.load(write_tiny_model(tmp_path / "m.gguf", "bloom"))
    conversation = model.conversation(max_tokens=100, overflow="slide", banned=[2])
    works = [
        lambda: model.generate([5], raw=True, max_tokens=10**6, overflow="slide", banned=[2]),
        lambda: conversation.say("q", max_tokens=10**6),
        lambda: model.generate_batch([[5]] * 10**4, raw=True, max_tokens=100, banned=[2]),
    ]
    errors: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    model.close()
    for thread in threads:
        thread.join(timeout=180)
        assert not thread.is_alive()
    assert [type(error) for error in errors] == [ValueError] * 3
    assert all("closed" in str(error) for error in errors)
    assert len(conversation.messages) == 2, "what was written is kept"
