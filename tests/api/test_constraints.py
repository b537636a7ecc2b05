"""Answers within a JSON schema, a grammar, a regular expression, or one of some texts."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
import pytest

pytest.importorskip("llguidance")
import jsonschema

from belle_edge import Belle
from belle_edge.errors import BackendMissingError
from belle_edge.generation.answer import Answer, Window
from belle_edge.generation.batch import stream_batch
from belle_edge.generation.constraint import Constraint
from belle_edge.generation.constraint_tokenizer import guidance_tokenizer
from belle_edge.generation.streams import Generation
from belle_edge.sampling import SamplingParams

from .random_schemas import is_open, schema_number

PERSON = {
    "type": "object",
    "properties": {
        "姓名": {"type": "string", "maxLength": 8},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "色": {"enum": ["红", "绿", "蓝"]},
    },
    "required": ["姓名", "age", "色"],
    "additionalProperties": False,
}
N_SCHEMAS = 200
CHECKED_FORMATS = jsonschema.FormatChecker(
    ("ipv4", "uuid")
)  # Python knows no year 0000, which dates may have


@pytest.fixture(scope="module", params=["bloom", "llama"])
def model(request: pytest.FixtureRequest, converted: Callable[[str, str], Any]) -> Iterator[Belle]:
    """The bundled byte-level BPE, and a SentencePiece vocabulary that has Chinese characters as bytes only."""
    with Belle.load(converted(request.param, "q8_0"), family="belle") as loaded:
        yield loaded


@pytest.fixture(scope="module")
def bloom(converted: Callable[[str, str], Any]) -> Iterator[Belle]:
    with Belle.load(converted("bloom", "q8_0"), family="belle") as loaded:
        yield loaded


def answer_to(model: Belle, number: int, max_tokens: int) -> Generation:
    schema = schema_number(number)
    answer = model.generate(
        "填表", schema=schema, max_tokens=max_tokens, overflow="slide", temperature=1.0, seed=number
    )
    if answer.finish_reason == "stop":
        jsonschema.validate(json.loads(answer.text), schema, format_checker=CHECKED_FORMATS)
    else:
        assert answer.finish_reason == "length"
        assert answer.completion_tokens == max_tokens
    return answer


@pytest.mark.slow
def test_every_answer_fulfils_its_schema(model: Belle) -> None:
    """200 schemas, of which a few allow answers without an end."""
    reasons = Counter(answer_to(model, number, 1000).finish_reason for number in range(N_SCHEMAS))
    n_open = sum(map(is_open, range(N_SCHEMAS)))
    assert reasons["stop"] >= N_SCHEMAS - n_open


def test_some_answers_fulfil_their_schemas(model: Belle) -> None:
    assert {answer_to(model, number, 1000).finish_reason for number in range(1, 9)} == {"stop"}


def test_a_person(model: Belle) -> None:
    texts = set()
    for seed in range(3):
        answer = model.generate("介绍小明", schema=json.dumps(PERSON), seed=seed, temperature=1.0)
        person = json.loads(answer.text)
        assert list(person) == ["姓名", "age", "色"]
        assert answer.finish_reason == "stop"
        assert "\ufffd" not in answer.text
        texts.add(answer.text)
    assert len(texts) == 3  # the model chooses among what is allowed


def test_a_pydantic_model(bloom: Belle) -> None:
    pydantic = pytest.importorskip("pydantic")
    part = pydantic.create_model("零件", 名=(str, pydantic.Field(max_length=5)))
    order = pydantic.create_model(
        "Order", parts=(list[part], pydantic.Field(max_length=2)), n=(Literal[1, 2] | None, None)
    )
    for seed in range(5):
        answer = bloom.chat([{"role": "user", "content": "订单"}], schema=order, temperature=1.0, seed=seed)
        assert len(order.model_validate_json(answer.text).parts) <= 2
        assert set(json.loads(answer.text)) <= {"parts", "n"}  # its fields alone


def test_choice(model: Belle) -> None:
    texts = ["北京", "上海", "好", "好的", "a|b(", "c\n"]
    found = {model.generate("选", choice=texts, temperature=5.0, seed=seed).text for seed in range(40)}
    assert found <= set(texts)
    assert len(found) >= 3
    best = {model.generate("选", choice=["好", "好的"], temperature=0, seed=seed).text for seed in range(2)}
    assert len(best) == 1


def test_regex_and_grammar(model: Belle) -> None:
    for seed in range(5):
        answer = model.generate(
            "编号", regex="[0-9]{3}-[一-龥]{2}|x*", temperature=2.0, seed=seed, max_tokens=64
        )
        assert answer.finish_reason == "length" or re.fullmatch("[0-9]{3}-[一-龥]{2}|x*", answer.text)
        answer = model.generate("算", grammar='start: NUM ("+" NUM)~2 "="\nNUM: /[0-9]{1,3}/', seed=seed)
        assert re.fullmatch(r"[0-9]{1,3}(\+[0-9]{1,3}){2}=", answer.text)
        assert answer.finish_reason == "stop"


def test_a_space_at_the_beginning_stays(model: Belle) -> None:
    """A SentencePiece decoder drops one at the start of a text; here it was demanded."""
    for prompt in ("问", [1]):  # the second is BOS alone, or what stands in its place
        assert model.generate(prompt, raw=True, choice=[" a b"], max_tokens=30).text == " a b"


def test_what_has_no_end_ends_with_the_tokens(model: Belle) -> None:
    answer = model.generate("写", schema={"type": "string"}, max_tokens=5, seed=0)
    assert (answer.finish_reason, answer.completion_tokens) == ("length", 5)
    assert answer.text.startswith('"')


def test_eos_ends_what_may_end(model: Belle) -> None:
    end = model.tokenizer.vocabulary.eos_id
    assert end is not None
    answer = model.generate("数", regex="[0-9]{2,}", logit_bias={end: 1e6})
    assert (answer.finish_reason, len(answer.text)) == ("stop", 2)  # never before
    answer = model.generate("数", regex="[0-9]{2,4}", banned=[end], temperature=1.0)
    assert (answer.finish_reason, len(answer.text)) == ("stop", 4)


def test_stop_strings(bloom: Belle) -> None:
    """The file's would cut a value in two; those that a call names count."""
    assert bloom.chat_format.stop_strings
    stop = bloom.chat_format.stop_strings[0]
    text = f"a{stop}b"
    assert bloom.generate("写", choice=[text], max_tokens=64).text == text
    answer = bloom.generate("写", choice=[text], stop=[stop], max_tokens=64)
    assert (answer.text, answer.finish_reason) == ("a", "stop_string")


def test_penalties_and_top_k_choose_among_what_is_allowed(bloom: Belle) -> None:
    for settings in (
        {"top_k": 1},
        {"top_p": 1e-6},
        {"repetition_penalty": 5.0, "temperature": 0},
        {"min_p": 1.0},
    ):
        answer = bloom.generate("写", schema=PERSON, max_tokens=200, seed=0, **settings)
        assert answer.finish_reason == "length" or json.loads(answer.text)
        assert answer.text.startswith("{")


def test_logprobs_are_the_models_own(bloom: Belle) -> None:
    """Of every token, the last one included, under the distribution without the constraint."""
    answer = bloom.generate("写", choice=["上海"], top_logprobs=2)
    assert answer.logprobs is not None
    assert [token.token_id for token in answer.logprobs] == list(answer.token_ids)
    ids = bloom.chat_format.encode(bloom.tokenizer, [{"role": "user", "content": "写"}])
    logits = bloom.logits(ids, last_only=True)[0].astype(np.float64)
    expected = logits[answer.token_ids[0]] - np.log(np.exp(logits - logits.max()).sum()) - logits.max()
    assert answer.logprobs[0].logprob == pytest.approx(expected, abs=1e-3)
    assert answer.logprobs[0].top[0][2] >= answer.logprobs[0].logprob


def test_a_batch_gives_what_each_gives_alone(model: Belle) -> None:
    questions = ["甲", "乙", "丙"]
    alone = [model.generate(text, schema=PERSON, seed=7 + at).text for at, text in enumerate(questions)]
    together = model.generate_batch(questions, schema=PERSON, seed=7)
    assert [answer.text for answer in together] == alone
    assert len(set(alone)) > 1


def test_a_batch_of_different_constraints(model: Belle) -> None:
    shapes: list[dict[str, Any]] = [
        {"schema": PERSON},
        {},
        {"choice": ["是", "不是"]},
        {"regex": "[a-f]{6}"},
        {"schema": schema_number(3)},
    ]

    def answer_of(shape: dict[str, Any], seed: int) -> Answer:
        params = SamplingParams(seed=seed)
        ids = model.tokenize("问题")
        constraint = Constraint.of(**shape)
        window = Window(model.context)
        return Answer(
            model.backend, model.tokenizer, ids, params, max_tokens=90, window=window, constraint=constraint
        )

    alone = [
        model.generate(
            model.tokenize("问题"), params=SamplingParams(seed=seed), raw=True, max_tokens=90, **shape
        )
        for seed, shape in enumerate(shapes)
    ]
    answers = [answer_of(shape, seed) for seed, shape in enumerate(shapes)]
    together = dict(stream_batch(model.scheduler, answers))
    for at, expected in enumerate(alone):
        found = together[at]
        assert isinstance(found, Generation)
        assert (found.token_ids, found.text) == (expected.token_ids, expected.text)


def test_streams_conversations_and_settings_of_one_turn(bloom: Belle) -> None:
    conversation = bloom.conversation(choice=["是", "否"], temperature=1.0, seed=1)
    assert conversation.say("一").text in ("是", "否")
    assert json.loads(conversation.say("二", schema=PERSON).text)["色"] in ("红", "绿", "蓝")
    stream = conversation.send("三")
    assert "".join(stream) == stream.result.text
    assert stream.result.text in ("是", "否")
    assert conversation.regenerate(choice=["嗯"]).finish().text == "嗯"
    assert [message["content"] for message in conversation.messages[-2:]] == ["三", "嗯"]


def test_tokens_that_were_taken_back(bloom: Belle) -> None:
    """The state follows the answer's ids wherever they lead."""
    constraint = Constraint.of(regex="[ab]{3}")
    assert constraint is not None
    state = constraint.begin(bloom.tokenizer)
    a, b = (bloom.tokenizer.encode_inside(letter)[0] for letter in "ab")
    first = state.allowed_after([]).copy()
    assert not state.complete_after([a, b])
    assert state.complete_after([a, b, a])
    assert not state.complete_after([b])
    assert state.complete_after([b, b, b])
    assert (state.allowed_after([]) == first).all()


def test_nothing_is_allowed_that_is_no_text(model: Belle) -> None:
    """Control tokens, unused rows and what lies beyond the vocabulary; and never nothing at all."""
    vocabulary = model.tokenizer.vocabulary
    constraint = Constraint.of(regex=r"(?s:.*)")  # everything
    assert constraint is not None
    words = constraint.begin(model.tokenizer).allowed_after([])
    allowed = set(np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little")).tolist())
    begins = {*range(0x80), *range(0xC2, 0xF5)}  # the first bytes of characters
    data = [model.tokenizer.token_bytes(token_id) for token_id in range(len(vocabulary))]
    expected = {token_id for token_id, text in enumerate(data) if text and text[0] in begins}
    unknown = set() if vocabulary.unknown_id is None else {vocabulary.unknown_id}
    assert allowed == (expected | vocabulary.end_ids) - unknown


def test_forced_text_is_written_as_the_tokenizer_writes_it(model: Belle) -> None:
    text = "北京的天气, and so on"
    assert list(
        model.generate("写", choice=[text], max_tokens=64).token_ids
    ) == model.tokenizer.encode_inside(text)


def test_a_vocabulary_is_read_once(bloom: Belle) -> None:
    assert guidance_tokenizer(bloom.tokenizer) is guidance_tokenizer(bloom.tokenizer)


def test_bans_that_leave_nothing(model: Belle) -> None:
    first = model.tokenizer.encode_inside("是")[0]
    with pytest.raises(ValueError, match="no token may come next: logit_bias and banned"):
        model.generate("写", choice=["是"], banned=[first])


def test_without_the_package(bloom: Belle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(BackendMissingError, match=r"pip install 'belle-edge\[schema\]'"):
        bloom.generate("写", choice=["是"])
    assert bloom.generate("写", max_tokens=2).text


@pytest.mark.slow
def test_llama_cpp_chooses_within_it_too(llama_cpp: Any, converted: Callable[[str, str], Any]) -> None:
    with Belle.load(converted("bloom", "q8_0"), backend="llama.cpp", family="belle") as loaded:
        answer = loaded.generate("介绍小明", schema=PERSON, seed=1, temperature=1.0)
        assert answer.finish_reason == "stop"
        jsonschema.validate(json.loads(answer.text), PERSON)
