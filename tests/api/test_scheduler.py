"""Many requests on one model: each answer is the one it would be alone, whoever comes, goes, fails or interrupts."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from belle_edge import Belle, Generation, SamplingParams
from belle_edge.errors import QueueFullError
from belle_edge.generation.request_state import AHEAD, Reader, Request
from belle_edge.generation.streams import Stream

from .scheduling import PATIENCE_S, SETTINGS, CountedPasses, at_once, bits, prompt


def works_of(model: Belle, seed: int) -> list[Callable[[], object]]:
    """Calls of every kind; what each returns depends on its own arguments alone."""

    def generated(index: int) -> object:
        ids = prompt(index, 4 + 9 * (index % 5), shared=12 * (index % 2))
        return bits(model.generate(ids, **SETTINGS, seed=index, max_tokens=6 + index))

    def streamed(index: int) -> object:
        stream = model.stream(prompt(index, 20, shared=8), **SETTINGS, seed=index, max_tokens=12)
        text = "".join(stream)
        assert text == stream.result.text
        return bits(stream.result)

    def left_early(index: int) -> object:
        """In the third of them the window slides before."""
        settings = {**SETTINGS, "seed": index, "overflow": "slide", "n_keep": 4}
        stream = model.stream(prompt(index, 30 + 45 * index), **settings, max_tokens=90)
        pieces = [piece for _, piece in zip(range(10 * index), stream, strict=False)]
        stream.close()
        answer = stream._answer
        return pieces, answer.text, answer.ids, answer.history, answer.logprobs

    def batched(index: int) -> object:
        asked = [prompt(index + more, 10 + more, shared=9) for more in range(5)]
        return [
            bits(r) for r in model.generate_batch(asked, **SETTINGS, seed=index, max_tokens=8, max_batch=3)
        ]

    def slid(index: int) -> object:
        return bits(
            model.generate(
                prompt(index, 100), **SETTINGS, seed=index, max_tokens=60, overflow="slide", n_keep=4
            )
        )

    def conversed(index: int) -> object:
        settings = {**SETTINGS, "seed": index, "max_tokens": 7}
        del settings["raw"]
        talk = model.conversation(system="s", **settings)
        first = talk.say("a" * index)
        for _ in talk.send("b"):
            break
        return bits(first), talk.messages, talk.token_ids, bits(talk.regenerate().finish())

    kinds = [generated, streamed, left_early, batched, slid, conversed]
    shuffled = random.Random(seed)
    works = [lambda kind=kind, index=index: kind(index) for index in range(3) for kind in kinds]
    shuffled.shuffle(works)
    return works


@pytest.mark.parametrize("seed", range(3))
def test_calls_of_every_kind_in_any_order(tiny: Belle, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    works = works_of(tiny, seed)
    alone = [work() for work in works]
    passes = CountedPasses(tiny, monkeypatch)
    pauses = random.Random(seed)

    def later(work: Callable[[], object], seconds: float) -> Callable[[], object]:
        def run() -> object:
            time.sleep(seconds)
            return work()

        return run

    together = at_once([later(work, pauses.uniform(0, 0.02)) for work in works])
    assert together == alone
    assert max(len(sizes) for sizes in passes.chosen) > 1, "they shared passes"


def test_calls_of_every_kind_where_prefixes_come_and_go(
    converted: Callable[[str, str], Path], tmp_path: Path
) -> None:
    """In memory, too little of it for all, and in files; with prompts in pieces of a few rows."""
    file = converted("bloom", "q4_0")
    with Belle.load(file) as model:
        works = works_of(model, 3)
        alone = [work() for work in works]
        size = 200 * model.details["kv_bytes_per_token"]
    for _ in range(2):
        with Belle.load(
            file, prefix_cache=size, prefix_folder=tmp_path, prefix_folder_size=4 * size
        ) as model:
            model.scheduler._passes._times.rows_beside = lambda rows: 16  # type: ignore[method-assign]
            model.scheduler._passes._times.part_s = lambda rows: 0.0  # type: ignore[method-assign]
            works = works_of(model, 3)
            assert at_once(works) == alone
            assert [work() for work in works] == alone


def test_a_quantized_model_answers_as_alone(tiny_zh: Belle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prompts and decoding have a set of bits each there, and prompts come in pieces beside other answers."""
    settings = {**SETTINGS, "max_tokens": 24}
    asked = [prompt(index, 30 * (index + 1), shared=40 * (index % 2)) for index in range(6)]
    alone = [bits(tiny_zh.generate(ids, **settings, seed=1)) for ids in asked]
    monkeypatch.setattr(tiny_zh.scheduler._passes._times, "rows_beside", lambda rows: 16)
    passes = CountedPasses(tiny_zh, monkeypatch)
    together = at_once([lambda ids=ids: bits(tiny_zh.generate(ids, **settings, seed=1)) for ids in asked])
    assert together == alone
    assert len(passes.pieces) > 3, "long prompts were cut"


def test_a_short_prompt_comes_before_the_rest_of_a_long_one(
    tiny_zh: Belle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiny_zh.scheduler._passes._times, "rows_beside", lambda rows: 16)
    order: list[str] = []
    texts: dict[str, str] = {}

    def told(name: str) -> Callable[[str | None], None]:
        def on_piece(piece: str | None) -> None:
            order.append(name)
            texts[name] = texts.get(name, "") + (piece or "")

        return on_piece

    def answer(length: int) -> Any:
        return tiny_zh.stream(prompt(length, length), **SETTINGS, seed=1, max_tokens=3)._answer

    requests = [tiny_zh.scheduler.submit(answer(200), told("long"))]
    requests += [tiny_zh.scheduler.submit(answer(10), told("short"))]
    tiny_zh.scheduler.drive(lambda: all(request.ended for request in requests))
    assert order.index("short") < order.index("long")
    assert order.count("short") <= 4
    for request, name in zip(requests, ("long", "short"), strict=True):
        assert request.answer.text == texts[name]
        tiny_zh.scheduler.leave(request)


def test_who_reads_slowly_is_not_run_away_from(tiny: Belle) -> None:
    """Another stream has it computed ahead, so far and no further; what was not given never was."""

    def begun() -> tuple[Stream, str]:
        stream = tiny.stream(prompt(1, 9), **SETTINGS, seed=5, max_tokens=90)
        return stream, next(stream) + next(stream)

    alone, text = begun()
    n_alone = len(alone._answer.ids)
    assert n_alone == alone._request.n_given, "alone nothing is computed ahead"
    alone.close()
    slow, same = begun()
    fast = tiny.stream(prompt(2, 9), **SETTINGS, seed=6, max_tokens=60)
    assert bits(fast.finish()) == bits(tiny.generate(prompt(2, 9), **SETTINGS, seed=6, max_tokens=60))
    assert len(slow._answer.ids) == n_alone + AHEAD
    slow.close()
    assert same == text == slow._answer.text
    assert slow._answer.ids == alone._answer.ids
    assert slow._answer.history == alone._answer.history
    assert slow._answer.logprobs == alone._answer.logprobs
    with pytest.raises(RuntimeError, match="not finished"):
        _ = slow.result


def test_a_turn_that_was_computed_ahead_and_left(tiny_zh: Belle) -> None:
    def left_after_two(neighbour: bool) -> tuple[object, ...]:
        talk = tiny_zh.conversation(temperature=0, max_tokens=30)
        stream = talk.send("列举三种水果。")
        _ = next(stream), next(stream)
        if neighbour:
            tiny_zh.generate("你好", max_tokens=30, temperature=0, banned=[2])
        stream.close()
        sequence = talk._history.sequence
        assert sequence is not None
        kept = talk.messages, talk.token_ids, sequence.tokens().tolist()
        return *kept, bits(talk.say("继续", top_logprobs=1))

    assert left_after_two(True) == left_after_two(False)


def test_more_streams_than_places_that_nobody_reads(tiny: Belle) -> None:
    """A stream that is open and not read holds no place."""
    n = tiny.scheduler.max_running + 4
    asked = [prompt(index, 5) for index in range(n)]
    streams = [tiny.stream(ids, **SETTINGS, seed=1, max_tokens=40) for ids in asked]
    for _ in range(3):
        for stream in streams:
            next(stream)
    alone = [bits(tiny.generate(ids, **SETTINGS, seed=1, max_tokens=40)) for ids in asked]
    assert [bits(stream.finish()) for stream in streams] == alone


@pytest.mark.parametrize("phase", ["waiting", "prompt", "writing"])
def test_leaving_lets_go_and_disturbs_nobody(tiny: Belle, phase: str) -> None:
    settings = {**SETTINGS, "seed": 3, "max_tokens": 70}
    alone = bits(tiny.generate(prompt(1, 40), **settings))
    stream = tiny.stream(prompt(1, 40), **settings)
    next(stream)
    kv_bytes = tiny.details["kv_bytes"]
    other = Request(tiny.stream(prompt(2, 60), **settings)._answer, Reader())
    if phase == "waiting":
        tiny.scheduler.max_running = 1
    tiny.scheduler.enrol(other)
    if phase == "prompt":
        other.answer.prepare()
        tiny.backend.forward([(other.answer.sequence, other.answer.prompt_piece(20)[0])], logits="none")
    elif phase == "writing":
        assert tiny.scheduler.next_piece(other)
    else:
        next(stream)
        assert not other.answer.prepared
    tiny.scheduler.leave(other)
    tiny.scheduler.max_running = 16
    assert bits(stream.finish()) == alone
    assert other.answer.sequence is None
    assert other not in (*tiny.scheduler._running, *tiny.scheduler._arrivals)
    assert tiny.details["kv_bytes"] <= 2 * kv_bytes


def test_leaving_from_another_thread_in_the_middle_of_a_pass(
    tiny: Belle, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, entered, go_on = tiny.backend.forward_sample_scored, threading.Event(), threading.Event()
    settings = {**SETTINGS, "seed": 3, "max_tokens": 20}
    alone = bits(tiny.generate(prompt(1, 9), **settings))
    left = tiny.stream(prompt(2, 9), **settings)
    piece = next(left)

    def slow(batch: Any, **options: Any) -> Any:
        if len(batch) == 2:
            entered.set()
            assert go_on.wait(PATIENCE_S)
        return real(batch, **options)

    def leave() -> None:
        assert entered.wait(PATIENCE_S)
        threading.Timer(0.05, go_on.set).start()
        left.close()
        assert go_on.is_set(), "it waited for the pass"

    monkeypatch.setattr(tiny.backend, "forward_sample_scored", slow)
    got = at_once([lambda: bits(tiny.generate(prompt(1, 9), **settings)), leave])
    assert got == [alone, None]
    assert left._answer.text == piece


@pytest.mark.parametrize("moment", ["before", "after", "accepting", "first piece"])
def test_ctrl_c_of_who_computes_ends_its_own_answer_alone(
    tiny: Belle, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Wherever it comes: before the engine computes, when it has chosen, in the middle of taking that in."""
    settings = {**SETTINGS, "seed": 3, "max_tokens": 40}
    asked = [prompt(index, 9 + index) for index in range(3)]
    alone = [bits(tiny.generate(ids, **settings)) for ids in asked]
    main, count = threading.main_thread(), iter(range(10**6))

    def interrupting(real: Callable[..., Any], *, late: bool) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            shared = len(tiny.scheduler._running) == 3 and threading.current_thread() is main
            strikes = shared and next(count) == 4
            if strikes and not late:
                raise KeyboardInterrupt
            result = real(*arguments, **options)
            if strikes:
                raise KeyboardInterrupt
            return result

        return call

    if moment == "accepting":
        from belle_edge.generation.answer import Answer

        monkeypatch.setattr(Answer, "accept", interrupting(Answer.accept, late=True))
    elif moment == "first piece":
        from belle_edge.generation.answer import Answer

        monkeypatch.setattr(Answer, "next_entry", interrupting(Answer.next_entry, late=True))
    else:
        real = tiny.backend.forward_sample_scored
        monkeypatch.setattr(tiny.backend, "forward_sample_scored", interrupting(real, late=moment == "after"))
    streams = [tiny.stream(ids, **settings) for ids in asked]
    for stream in streams:
        next(stream)
    with pytest.raises(KeyboardInterrupt):
        streams[0].finish()
    assert at_once([lambda s=s: bits(s.finish()) for s in streams[1:]]) == alone[1:]
    assert tiny.scheduler._leader == {}
    assert bits(tiny.generate(asked[0], **settings)) == alone[0]


def test_a_leader_that_is_slow_is_not_taken_for_one_that_vanished(
    converted: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads that hardly wait before they look whether anybody leads, and leads that change hands all the time."""
    monkeypatch.setattr("belle_edge.generation.scheduler._PATIENCE_S", 0.0003)
    settings = {**SETTINGS, "seed": 1}
    with Belle.load(converted("bloom", "q4_0"), prefix_cache="200kB") as model:

        def ask(index: int) -> list[object]:
            found: list[object] = []
            for turn in range(4):
                ids = prompt(index, 5 + 20 * turn, shared=20)
                found.append(bits(model.generate(ids, **settings, max_tokens=3 + index % 3)))
                stream = model.stream(ids, **settings, max_tokens=20)
                found.append([piece for _, piece in zip(range(turn), stream, strict=False)])
            return found

        alone = [ask(index) for index in range(16)]
        for _ in range(2):
            assert at_once([lambda index=index: ask(index) for index in range(16)]) == alone


def test_a_leader_that_vanished_is_replaced(tiny: Belle) -> None:
    """As after a second Ctrl-C in the middle of giving up the lead."""
    tiny.scheduler._leader[0] = Reader()
    assert tiny.generate(prompt(1, 9), **SETTINGS, seed=1, max_tokens=3).completion_tokens == 3


def test_an_answer_that_fails_fails_alone(tiny: Belle, monkeypatch: pytest.MonkeyPatch) -> None:
    """In its sampler, or in the engine: those that share the pass go on."""
    settings = {"raw": True, "max_tokens": 20, "banned": [2], "temperature": 1.5, "seed": 3}
    good = [prompt(index, 9) for index in range(3)]
    alone = [tiny.generate(ids, **settings).token_ids for ids in good]
    bad = SamplingParams(frequency_penalty=-3e38, presence_penalty=-3e38)
    works: list[Callable[[], Any]] = [
        lambda ids=ids: tiny.generate(ids, **settings).token_ids for ids in good
    ]
    *got, error = at_once([*works, lambda: tiny.generate([7, 7, 7], raw=True, params=bad, max_tokens=6)])
    assert got == alone
    assert isinstance(error, ValueError)
    real = tiny.backend.forward_sample

    def refusing(batch: Any, **options: Any) -> Any:
        if any(sequence.length + len(ids) == 30 for sequence, ids, _ in batch):
            raise MemoryError("no room for this one")
        return real(batch, **options)

    monkeypatch.setattr(tiny.backend, "forward_sample", refusing)
    *got, error = at_once([*works, lambda: tiny.generate(prompt(9, 25), **settings)])
    assert got == alone
    assert isinstance(error, MemoryError)


def test_a_window_that_cannot_slide_fails_alone(tiny: Belle, monkeypatch: pytest.MonkeyPatch) -> None:
    from belle_edge.generation.answer import Answer

    settings = {**SETTINGS, "seed": 3, "max_tokens": 40}
    alone = bits(tiny.generate(prompt(1, 9), **settings))

    def refusing(answer: Answer) -> None:
        raise ValueError("bound to their positions")

    monkeypatch.setattr(Answer, "make_room", refusing)
    sliding = [lambda: tiny.generate(prompt(2, 120), **settings, overflow="slide")]
    got, *errors = at_once([lambda: bits(tiny.generate(prompt(1, 9), **settings)), *sliding * 2])
    assert got == alone
    assert [str(error) for error in errors] == ["bound to their positions"] * 2


def test_a_bounded_queue(tiny: Belle) -> None:
    scheduler = tiny.scheduler
    answers = [tiny.stream(prompt(i, 5), **SETTINGS, seed=1, max_tokens=3)._answer for i in range(3)]
    requests = [Request(answer, Reader(), whole=True) for answer in answers]
    scheduler.max_running, scheduler.max_waiting = 1, 1
    try:
        scheduler.enrol(requests[0])
        scheduler.enrol(requests[1])
        with pytest.raises(QueueFullError, match="try again later"):
            scheduler.enrol(requests[2])
        scheduler.leave(requests[0])
        scheduler.enrol(requests[2])
        for request in requests[1:]:
            assert scheduler.next_piece(request) is None
            assert request.answer.finished
            scheduler.leave(request)
    finally:
        scheduler.max_running, scheduler.max_waiting = 16, None


def test_many_tasks(tiny: Belle) -> None:
    """More than asyncio has threads for, some of them cancelled."""
    settings = {**SETTINGS, "max_tokens": 12}

    async def read(index: int) -> Generation:
        stream = tiny.astream(prompt(index, 6 + index), **settings, seed=index)
        async for _ in stream:
            pass
        return stream.result

    async def all_of_them() -> list[Any]:
        tasks = [asyncio.create_task(read(index)) for index in range(40)]
        await asyncio.sleep(0.01)
        for task in tasks[::7]:
            task.cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    results = asyncio.run(all_of_them())
    for index, result in enumerate(results):
        if isinstance(result, Generation):
            assert bits(result) == bits(tiny.generate(prompt(index, 6 + index), **settings, seed=index))
        else:
            assert index % 7 == 0
            assert isinstance(result, asyncio.CancelledError)
    assert sum(isinstance(result, Generation) for result in results) >= 34


def test_a_driver_writes_for_all(tiny: Belle) -> None:
    """A thread that computes for others, whose own threads wait, or never do."""
    stop = threading.Event()
    driver = threading.Thread(target=tiny.scheduler.drive, args=(stop.is_set,), daemon=True)
    driver.start()
    try:
        pieces: list[str | None] = []
        ended = threading.Event()

        def told(piece: str | None) -> None:
            pieces.append(piece)
            if piece is None:
                ended.set()

        settings = {**SETTINGS, "seed": 4, "max_tokens": 15}
        request = tiny.scheduler.submit(tiny.stream(prompt(1, 9), **settings)._answer, told)
        got = at_once([lambda: bits(tiny.generate(prompt(2, 9), **settings))])
        assert ended.wait(PATIENCE_S)
        tiny.scheduler.leave(request)
    finally:
        stop.set()
        driver.join(PATIENCE_S)
    assert not driver.is_alive()
    assert got == [bits(tiny.generate(prompt(2, 9), **settings))]
    assert pieces[-1] is None
    assert "".join(pieces[:-1]) == tiny.generate(prompt(1, 9), **settings).text  # type: ignore[arg-type]


def test_a_callback_that_fails_ends_its_own_answer(tiny: Belle) -> None:
    settings = {**SETTINGS, "seed": 4, "max_tokens": 15}
    alone = [tiny.generate(prompt(index, 9), **settings).text for index in range(2)]
    texts: list[str] = []

    def failing(piece: str | None) -> None:
        raise RuntimeError("nobody listens")

    answers = [tiny.stream(prompt(index, 9), **settings)._answer for index in range(2)]
    bad = tiny.scheduler.submit(answers[0], failing)
    good = tiny.scheduler.submit(answers[1], lambda piece: texts.append(piece or ""))
    tiny.scheduler.drive(lambda: bad.ended and good.ended)
    for request in (bad, good):
        tiny.scheduler.leave(request)
    assert isinstance(bad.error, RuntimeError)
    assert "".join(texts) == alone[1]
    assert alone[0].startswith(answers[0].text)
