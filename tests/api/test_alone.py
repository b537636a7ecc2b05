"""An answer is the same bits whoever else is answered, and by whichever call it is asked for.

On every tier, in the mode that users run: what counts is the prompt, never how its rows were cut into passes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from belle_edge import Belle, Generation
from belle_edge.convert import convert
from belle_edge.demo import checkpoint_path

from ..model.conftest import tier_params

TYPES = ["q4_0", "q4_1", "q8_0"]
LENGTHS = [*range(1, 5), 8, 15, 16, 17, 18, 31, 32, 33, 34, 48, 63, 64, 65, 100, 128, 150, 199, 200]
SETTINGS = {"raw": True, "temperature": 0, "top_logprobs": 3, "max_tokens": 4, "banned": [2]}


@pytest.fixture(scope="module")
def file_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("alone")

    def get(type: str) -> Path:
        path = folder / f"{type}.gguf"
        if not path.exists():
            convert(checkpoint_path(), path, type=type, family="belle")
        return path

    return get


@pytest.fixture(scope="module", params=TYPES)
def type(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=tier_params())
def model(request: pytest.FixtureRequest, file_of: Callable[[str], Path], type: str) -> Iterator[Belle]:
    with Belle.load(file_of(type), isa=request.param, threads=2) as model:
        yield model


def prompts_of(lengths: list[int], *, shared: int) -> list[list[int]]:
    """Prompts that begin with the same `shared` ids, as far as they are that long."""
    return [
        [(7 * i if i < shared else 7 * i + 11 * length) % 800 + 10 for i in range(length)]
        for length in lengths
    ]


def lengths_for(model: Belle) -> list[int]:
    """Fewer on the tiers that are slow: plain C++, and tiles in software."""
    return [1, 16, 17, 33] if model.details["isa"] in ("scalar", "amx-emulated") else LENGTHS


def bits(answer: Generation) -> object:
    return answer.text, answer.token_ids, answer.finish_reason, answer.logprobs


@pytest.fixture(scope="module")
def alone(model: Belle) -> Callable[[list[int]], object]:
    known: dict[tuple[int, ...], object] = {}

    def answer(prompt: list[int]) -> object:
        key = tuple(prompt)
        if key not in known:
            known[key] = bits(model.generate(prompt, **SETTINGS))
        return known[key]

    return answer


@pytest.mark.slow
@pytest.mark.parametrize("shared", [0, 1, 15, 16, 17, 40], ids=lambda n: f"shared-{n}")
def test_a_batch_answers_each_prompt_as_alone(
    model: Belle, alone: Callable[[list[int]], object], shared: int
) -> None:
    prompts = prompts_of([length for length in lengths_for(model) if length > shared], shared=shared)
    together = model.generate_batch(prompts, **SETTINGS, max_batch=7)
    for prompt, answer in zip(prompts, together, strict=True):
        assert bits(answer) == alone(prompt), f"{len(prompt)} tokens"


@pytest.mark.slow
def test_neighbours_change_nothing(model: Belle, alone: Callable[[list[int]], object]) -> None:
    for neighbour in prompts_of([1, 16, 17, 200], shared=0):
        for prompt in prompts_of([2, 16, 17, 33], shared=0):
            first, second = model.generate_batch([prompt, neighbour], **SETTINGS)
            assert (bits(first), bits(second)) == (alone(prompt), alone(neighbour))


@pytest.mark.slow
def test_streams_and_async_streams_give_the_same(model: Belle, alone: Callable[[list[int]], object]) -> None:
    async def read(prompt: list[int]) -> Generation:
        stream = model.astream(prompt, **SETTINGS)
        async for _ in stream:
            pass
        return stream.result

    for prompt in prompts_of(lengths_for(model), shared=0):
        assert bits(model.stream(prompt, **SETTINGS).finish()) == alone(prompt)
        assert bits(asyncio.run(read(prompt))) == alone(prompt)


@pytest.mark.slow
def test_a_prompt_in_pieces_gives_the_same(model: Belle, alone: Callable[[list[int]], object]) -> None:
    """Forks of a beginning, and states that were saved and restored."""
    for prompt in prompts_of([2, 16, 17, 18, 33, 64, 200], shared=0):
        expected = model.logits(prompt, last_only=True)[0]
        for cut in {1, len(prompt) // 2, len(prompt) - 1}:
            beginning = model.backend.new_sequence()
            model.backend.forward([(beginning, prompt[:cut])], logits="none")
            for sequence in (beginning.fork(), model.backend.restore(beginning.save())):
                logits = model.backend.forward([(sequence, prompt[cut:])])[0][0]
                assert logits.tobytes() == expected.tobytes(), f"{len(prompt)} tokens cut at {cut}"


@pytest.mark.slow
def test_conversations_answer_like_a_single_prompt(model: Belle) -> None:
    settings = {**SETTINGS, "raw": False}
    for text in ("好", "你好", "用一句话介绍北京的春天和秋天。", "重复这句话：" + "春眠不觉晓，" * 12):
        said = model.conversation().say(text, **{k: v for k, v in settings.items() if k != "raw"})
        assert bits(said) == bits(model.generate(text, **settings))
        (together, _) = model.generate_batch([text, "你好"], **settings)
        assert bits(together) == bits(said)


@pytest.mark.slow
@pytest.mark.parametrize("cache", [True, False], ids=["cache", "no-cache"])
def test_a_saved_conversation_goes_on_as_if_it_had_stayed(model: Belle, tmp_path: Path, cache: bool) -> None:
    """Without its cache too: prompts are computed as prompts, answers as they were written."""
    settings = {"temperature": 0, "top_logprobs": 3, "max_tokens": 9}
    conversation = model.conversation(**settings)
    for text in ("你好", "3加4等于几？请回答这个问题，并且说明理由。", "好"):
        conversation.say(text, stop=["理"])
    conversation.save(tmp_path / "chat", cache=cache)
    restored = model.load_conversation(tmp_path / "chat", **settings)
    first = conversation.say("再说一次。")
    assert bits(restored.say("再说一次。")) == bits(first)
    for talk in (conversation, restored):
        assert bits(talk.regenerate().finish()) == bits(first)
        talk.undo()
        assert bits(talk.say("再说一次。")) == bits(first)


def test_the_tiers_run_what_users_run(model: Belle, type: str) -> None:
    """A tier with forms of its own for prompts takes them here, or this file would prove nothing."""
    forms = {choice["form"] for choice in model.backend.model.activation_forms}  # type: ignore[attr-defined]
    name = model.details["isa"]
    if name == "scalar" or (name == "avx2" and type == "q8_0"):
        assert forms == set()
    elif type == "q8_0" and not name.startswith("amx"):
        assert forms >= {"block32"}
    else:
        assert forms - {"block32"}
