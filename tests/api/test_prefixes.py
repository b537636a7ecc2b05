"""What prompts have in common is computed once: beside each other, after each other, and after a restart."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from belle_edge import Belle, Generation
from belle_edge.generation.common_beginnings import common_length
from belle_edge.generation.passes import SMALLEST, PassTimes, shared_out
from belle_edge.settings import byte_count

from .scheduling import SETTINGS, at_once, bits, prompt

Load = Callable[..., Belle]


@pytest.fixture(scope="module")
def load(converted: Callable[[str, str], Path]) -> Load:
    """Loads the bundled model with these settings."""
    return lambda **settings: Belle.load(converted("bloom", "q4_0"), **settings)


def answered(model: Belle, ids: list[int], **settings: Any) -> Generation:
    return model.generate(ids, **{**SETTINGS, "seed": 2, "max_tokens": 5, **settings})


def test_the_next_prompt_computes_what_is_new(load: Load) -> None:
    asked = [prompt(index, 100 + index, shared=80) for index in range(4)]
    with load() as model:
        alone = [answered(model, ids) for ids in asked]
    assert [result.prefilled_tokens for result in alone] == [100, 101, 102, 103]
    with load(prefix_cache="64MB") as model:
        got = [answered(model, ids) for ids in [*asked, *asked]]
    assert [bits(result) for result in got] == [bits(result) for result in alone] * 2
    assert [result.prefilled_tokens for result in got] == [100, 21, 22, 23, 1, 1, 1, 1]


def test_what_a_model_wrote_is_not_taken_for_a_prompt(load: Load) -> None:
    """Its rows have other bits; a dialogue that goes on computes the answer as a part of its prompt."""
    with load() as plain, load(prefix_cache="64MB") as model:
        ids = prompt(1, 60)
        first = answered(model, ids, max_tokens=20)
        longer = [*ids, *first.token_ids, 9, 8, 7]
        second = answered(model, longer)
        assert second.prefilled_tokens == len(longer) - len(ids)
        assert bits(second) == bits(answered(plain, longer))


def test_conversations_share_their_first_turn(load: Load) -> None:
    settings = {"system": "请" * 40, "temperature": 0, "max_tokens": 6, "top_logprobs": 1}
    with load() as plain, load(prefix_cache="64MB") as model:
        expected = [
            [bits(talk.say(text)) for text in ("你好", "再见")] for talk in [plain.conversation(**settings)]
        ]
        for index in range(2):
            talk = model.conversation(**settings)
            results = [talk.say(text) for text in ("你好", "再见")]
            assert [bits(result) for result in results] == expected[0]
            assert (results[0].prefilled_tokens == 1) == (index == 1)


def test_a_prompt_that_is_being_computed_is_waited_for(load: Load) -> None:
    asked = [prompt(index, 120, shared=100) for index in range(4)]
    with load() as model:
        alone = [bits(answered(model, ids)) for ids in asked]
        requests = [
            model.scheduler.submit(stream_of(model, ids)._answer, lambda piece: None) for ids in asked
        ]
        model.scheduler.drive(lambda: all(request.ended for request in requests))
        assert [request.answer.prefilled_tokens for request in requests] == [120, 20, 20, 20]
        for request in requests:
            model.scheduler.leave(request)
        assert [bits(result) for result in at_once([lambda i=i: answered(model, i) for i in asked])] == alone


def stream_of(model: Belle, ids: list[int]) -> Any:
    return model.stream(ids, **{**SETTINGS, "seed": 2, "max_tokens": 5})


def test_who_waits_for_a_prompt_that_is_left_goes_on_without(load: Load) -> None:
    asked = [prompt(index, 200, shared=190) for index in range(2)]
    with load() as model:
        alone = answered(model, asked[1])
        model.scheduler._passes._times.rows_beside = lambda rows: 16  # type: ignore[method-assign]
        first, second = (
            model.scheduler.submit(stream_of(model, ids)._answer, lambda piece: None) for ids in asked
        )
        passes = iter(range(100))
        model.scheduler.drive(lambda: next(passes) == 3)
        assert 0 < first.answer.sequence.length < 190  # type: ignore[union-attr]
        assert not second.answer.prepared
        model.scheduler.leave(first)
        model.scheduler.drive(lambda: second.ended)
        assert second.answer.ids == list(alone.token_ids)
        assert 150 < second.answer.prefilled_tokens <= 200
        model.scheduler.leave(second)


def test_the_budget_is_kept(load: Load) -> None:
    with load(prefix_cache="64MB") as model:
        per_token = model.details["kv_bytes_per_token"]
    n_tokens = 160
    with load(prefix_cache=n_tokens * per_token) as model:
        for index in range(6):
            answered(model, prompt(index, 64))
        assert [answered(model, prompt(index, 64)).prefilled_tokens for index in (5, 4)] == [1, 1]
        assert answered(model, prompt(0, 64)).prefilled_tokens == 64, "the least recently used one left"
        answered(model, prompt(9, 240))
        assert answered(model, prompt(9, 240)).prefilled_tokens == 240 - n_tokens, (
            "as much as there is room for"
        )
        kept = model.scheduler._prefixes._kept.values()
        assert sum(entry.sequence.length for entry in kept) <= n_tokens
        model.scheduler.close()
        assert not model.scheduler._prefixes._kept
        assert answered(model, prompt(9, 240)).prefilled_tokens == 240


def test_it_is_there_after_a_restart(load: Load, tmp_path: Path) -> None:
    folder = tmp_path / "prefixes"
    system = prompt(1, 100)
    with load() as model:
        alone = bits(answered(model, [*system, 5]))
    with load(prefix_folder=folder) as model:
        assert answered(model, [*system, 4]).prefilled_tokens == 101
        assert answered(model, prompt(2, 20)).prefilled_tokens == 20, "too short for a file"
    (file,) = folder.iterdir()
    if os.name == "posix":
        assert (file.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)
    with load(prefix_folder=folder, prefix_cache="64MB") as model:
        again = answered(model, [*system, 5])
        assert (again.prefilled_tokens, bits(again)) == (1, alone)
        assert answered(model, [*system, 6]).prefilled_tokens == 1
    assert list(folder.iterdir()) == [file], "what is mostly there is not written again"


@pytest.mark.parametrize("damage", ["header", "ids", "cache", "truncated", "empty"])
def test_a_damaged_file_is_removed(load: Load, tmp_path: Path, damage: str) -> None:
    ids = prompt(1, 100)
    with load(prefix_folder=tmp_path) as model:
        expected = bits(answered(model, ids))
    (file,) = tmp_path.iterdir()
    content = bytearray(file.read_bytes())
    place = {"header": 3, "ids": content.index(b"[") + 1, "cache": -2000}.get(damage)
    if place is not None:
        content[place] ^= 1
    file.write_bytes(content[: {"truncated": len(content) // 2, "empty": 0}.get(damage, len(content))])
    with load(prefix_folder=tmp_path) as model:
        answer = answered(model, ids)
        assert (answer.prefilled_tokens, bits(answer)) == (100, expected)
    with load(prefix_folder=tmp_path) as model:
        assert answered(model, ids).prefilled_tokens == 1, "a whole one took its place"


def test_files_of_other_numbers_are_left_alone(load: Load, tmp_path: Path) -> None:
    ids = prompt(1, 100)
    with load(prefix_folder=tmp_path) as model:
        answered(model, ids)
    (file,) = tmp_path.iterdir()
    with load(prefix_folder=tmp_path, kv="f32") as model:
        assert answered(model, ids).prefilled_tokens == 100
    assert len(list(tmp_path.iterdir())) == 2
    assert file.exists()
    with load(prefix_folder=tmp_path, prefix_folder_size=file.stat().st_size + 500) as model:
        answered(model, prompt(7, 100))
    (left,) = tmp_path.iterdir()
    assert left.name[:17] == file.name[:17], "the folder has one budget for all models"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, 5),
        ("5", 5),
        ("1kB", 1000),
        ("1.5 MB", 1_500_000),
        ("2GiB", 2 << 30),
        ("3g", 3 * 10**9),
        ("1TiB", 1 << 40),
    ],
)
def test_sizes(value: int | str, expected: int) -> None:
    assert byte_count("size", value) == expected


@pytest.mark.parametrize("value", [-1, "x", "", "5 XB", "-1MB", None, 1.5, True])
def test_sizes_that_are_none(load: Load, value: Any) -> None:
    with pytest.raises(ValueError, match="prefix_cache"):
        load(prefix_cache=value)


def test_common_length() -> None:
    for length in range(9):
        first, second = [*range(length), 50, 51], [*range(length), 60, 61, 62]
        assert common_length(first, second, 100) == length
        assert common_length(first, second, 3) == min(length, 3)
    assert common_length([], [1], 5) == 0
    assert common_length([1, 2], [1, 2, 3], 5) == 2


def test_pieces_follow_what_was_measured() -> None:
    times = PassTimes()
    assert SMALLEST <= times.rows_beside(0) <= 64
    times.add(512, 0, 1.024)
    times.add(64, 0, 0.128)
    assert times.rows_beside(0) == 64
    times.add(0, 4, 0.1)
    assert times.decode_s(4) == 0.1
    assert times.prompt_s(64) == pytest.approx(0.128)
    slow = PassTimes()
    slow.add(64, 0, 5.0)
    assert slow.rows_beside(4) == SMALLEST, "something, however slow it is"


def test_a_pass_that_can_rest_leaves_time_for_tokens() -> None:
    times = PassTimes(can_rest=True)
    times.add(0, 2, 0.25)
    times.add(256, 0, 2.0)
    assert times.rows_beside(2) == 256
    assert times.part_s(2) == pytest.approx(0.2), "0.45 s from one token to the next"
    assert times.part_s(0) == 0.25
    times.add(0, 16, 0.5)
    assert times.part_s(16) == 0.1, "prompts go on, however long a token takes"


def test_prompts_share_a_pass() -> None:
    assert shared_out([], 64, oldest_first=True) == []
    assert shared_out([1500, 10], 64, oldest_first=False) == [54, 10]
    assert shared_out([1500, 10], 16, oldest_first=False) == [0, 10]
    assert shared_out([1500, 10], 16, oldest_first=True) == [16, 0]
    assert shared_out([70, 300, 20], 128, oldest_first=False) == [70, 38, 20]
    assert shared_out([70], 64, oldest_first=False) == [70], "the last few rows come along"
