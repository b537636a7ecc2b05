"""The same file on both engines: the same text, greedy, and close logits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from belle_edge import Belle, SamplingParams

Pair = tuple[Belle, Belle]  # native, llama.cpp
QUESTIONS = [
    "用一句话介绍北京。",
    "你好，请介绍一下自己。",
    "1+1等于几？",
    "把“谢谢”翻译成英文。",
    "写一首关于春天的诗。",
]


def open_both(path: Path) -> Iterator[Pair]:
    with Belle.load(path) as native, Belle.load(path, backend="llama.cpp", threads=1) as other:
        yield native, other


@pytest.fixture(scope="module")
def stories(llama_cpp: Any, converted: Callable[[str, str], Path]) -> Iterator[Pair]:
    yield from open_both(converted("llama", "f32"))


@pytest.fixture(scope="module")
def tiny_zh(llama_cpp: Any, converted: Callable[[str, str], Path]) -> Iterator[Pair]:
    yield from open_both(converted("bloom", "f32"))


def test_golden_story(llama_cpp: Any, converted: Callable[[str, str], Path], test_data: Path) -> None:
    golden = test_data / "models/stories260K"
    ids = json.loads((golden / "greedy_ids_from_BOS.json").read_text())
    with Belle.load(converted("stories260K/hf", "f32"), backend="llama.cpp", threads=1) as model:
        result = model.generate("", raw=True, temperature=0, max_tokens=len(ids) - 1)
    assert list(result.token_ids) == ids[1:]
    assert str(result) == (golden / "greedy_golden.txt").read_text()


@pytest.mark.parametrize("question", QUESTIONS)
def test_greedy_answers(tiny_zh: Pair, question: str) -> None:
    expected, found = (model.generate(question, temperature=0, max_tokens=60) for model in tiny_zh)
    assert found.text == expected.text
    assert found.token_ids == expected.token_ids
    assert found.finish_reason == expected.finish_reason


def test_a_chat(tiny_zh: Pair) -> None:
    messages: list[dict[str, str]] = []
    for question in QUESTIONS[:3]:
        messages.append({"role": "user", "content": question})
        expected, found = (model.chat(messages, temperature=0, max_tokens=40) for model in tiny_zh)
        assert found.text == expected.text
        messages.append({"role": "assistant", "content": found.text})


def test_a_conversation_that_is_saved_and_goes_on(tiny_zh: Pair, tmp_path: Path) -> None:
    transcripts = []
    for number, model in enumerate(tiny_zh):
        conversation = model.conversation(temperature=0, max_tokens=20)
        texts = [conversation.say(question).text for question in QUESTIONS[:2]]
        conversation.save(tmp_path / f"{number}.belle")
        again = model.load_conversation(tmp_path / f"{number}.belle", temperature=0, max_tokens=20)
        texts.append(again.say(QUESTIONS[2]).text)
        assert texts[2] == conversation.say(QUESTIONS[2]).text
        transcripts.append(texts)
    assert transcripts[1] == transcripts[0]


def test_a_seed_chooses_the_same_tokens(tiny_zh: Pair) -> None:
    expected, found = (model.generate(QUESTIONS[0], seed=11, max_tokens=40) for model in tiny_zh)
    assert found.text == expected.text


def test_a_stream(tiny_zh: Pair) -> None:
    model = tiny_zh[1]
    stream = model.stream(QUESTIONS[0], temperature=0, max_tokens=40)
    pieces = list(stream)
    assert len(pieces) > 1
    assert not any("\ufffd" in piece for piece in pieces)
    assert (
        "".join(pieces)
        == stream.result.text
        == model.generate(QUESTIONS[0], temperature=0, max_tokens=40).text
    )


def test_a_batch(tiny_zh: Pair) -> None:
    expected, found = (model.generate_batch(QUESTIONS, temperature=0, max_tokens=30) for model in tiny_zh)
    assert [result.text for result in found] == [result.text for result in expected]


@pytest.mark.parametrize("kind", ["f32", "f16"])
def test_logits_of_float_files(llama_cpp: Any, converted: Callable[[str, str], Path], kind: str) -> None:
    for native, other in open_both(converted("belle-tiny-zh", kind)):
        ids = np.random.default_rng(1).integers(4, 8000, size=560).tolist()
        expected, found = native.logits(ids), other.logits(ids)
        assert found.shape == expected.shape
        assert np.linalg.norm(found - expected) / np.linalg.norm(expected) < 5e-3
        np.testing.assert_allclose(other.logits(ids, last_only=True)[0], found[-1], rtol=0, atol=0.02)


def test_quantized_files_agree_roughly(llama_cpp: Any, converted: Callable[[str, str], Path]) -> None:
    for native, other in open_both(converted("bloom", "q4_0")):
        ids = native.tokenize("今天天气很好，我们去公园散步。")
        expected, found = native.logits(ids), other.logits(ids)
        assert np.linalg.norm(found - expected) / np.linalg.norm(expected) < 0.1
        assert other.details["kv_type"] == "f16"


def test_shapes_and_settings(tiny_zh: Pair) -> None:
    native, other = tiny_zh
    assert dict(other.config) == dict(native.config)
    assert other.details["kv_type"] == "f32"
    assert other.details["kv_bytes_per_token"] == native.details["kv_bytes_per_token"]
    assert other.tokenize("你好") == native.tokenize("你好")


def test_a_cache_in_bytes(tiny_zh: Pair, converted: Callable[[str, str], Path]) -> None:
    """llama.cpp's q8_0 where the native engine has q8."""
    path, ids = converted("bloom", "f32"), list(range(4, 68))
    for model, backend in zip(tiny_zh, ("native", "llama.cpp"), strict=True):
        with Belle.load(path, backend=backend, threads=1, kv="q8") as coarse:
            assert coarse.details["kv_type"] == "q8"
            expected, found = model.logits(ids), coarse.logits(ids)
            assert 0 < np.linalg.norm(found - expected) / np.linalg.norm(expected) < 0.02
            ratio = coarse.details["kv_bytes_per_token"] / model.details["kv_bytes_per_token"]
            assert 0.25 < ratio < 0.3


def test_log_probabilities(tiny_zh: Pair) -> None:
    params = SamplingParams(temperature=0, top_logprobs=3)
    batches = []
    for model in tiny_zh:
        ids = model.tokenize(QUESTIONS[0])
        entry = (model.backend.new_sequence(), ids, model.backend.new_sampler(params))
        batches.append(model.backend.forward_sample_scored([entry], top_logprobs=3)[0])
    expected, found = batches
    assert found.token_id == expected.token_id
    assert [token_id for token_id, _ in found.top] == [token_id for token_id, _ in expected.top]
    assert found.logprob == pytest.approx(expected.logprob, abs=5e-3)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["stories", "tiny_zh"])
def test_a_window_that_slides(model: str, request: pytest.FixtureRequest) -> None:
    """Both turn rotary keys to their new positions, and shift ALiBi's distances."""
    ids = np.random.default_rng(2).integers(4, 500, size=60).tolist()
    results = []
    for belle in request.getfixturevalue(model):
        sequence = belle.backend.new_sequence()
        belle.backend.forward([(sequence, ids[:50])], logits="none")
        sequence.discard(4, 20)
        belle.backend.forward([(sequence, ids[50:55])], logits="none")
        sequence.discard(2, 10)
        assert sequence.length == 31
        results.append(belle.backend.forward([(sequence, ids[55:])], logits="all")[0])
    expected, found = results
    assert np.linalg.norm(found - expected) / np.linalg.norm(expected) < 5e-3


def test_a_conversation_of_twelve_turns(tiny_zh: Pair) -> None:
    """Greedy on a float32 file: the same ids on both engines, and only new tokens are computed."""
    questions = [
        *QUESTIONS,
        "谢谢",
        "为什么？",
        "换一种说法。",
        "1加1等于几？",
        "什么是水？",
        "再说一次。",
        "再见",
    ]
    questions = [questions[i % len(questions)] for i in range(12)]
    answers = []
    for model in tiny_zh:
        conversation = model.conversation(temperature=0, max_tokens=16)
        answers.append([conversation.say(question) for question in questions])
    native, other = answers
    assert [answer.token_ids for answer in native] == [answer.token_ids for answer in other]
    assert [answer.text for answer in native] == [answer.text for answer in other]
    for answers_of_one in answers:
        assert all(answer.prefilled_tokens < answer.prompt_tokens for answer in answers_of_one[1:])
