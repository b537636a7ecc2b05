"""What users of other libraries write: it works, or the error says what to write here."""

from __future__ import annotations

import inspect
import json
import math
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from belle_edge import Belle, Generation, SamplingParams, Timings, TokenLogprob
from belle_edge.argument_names import OTHER_NAMES
from belle_edge.generation.answer_options import (
    BATCH,
    CHAT,
    PROMPT,
    AnswerOptions,
    AnswerSettings,
    BatchOptions,
    BatchSettings,
)
from belle_edge.memory import check_memory
from belle_edge.sampling import SamplingSettings
from belle_edge.verification import verify_contents, verify_file

from .tiny_models import write_tiny_model

IDS = [5, 6, 7]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("arguments") / "m.gguf", "llama")


@pytest.fixture(scope="module")
def model(path: Path) -> Belle:
    return Belle.load(path)


def test_one_stop_string_needs_no_list(tiny_zh: Belle) -> None:
    whole = tiny_zh.generate("你好", temperature=0, max_tokens=30)
    stop = whole.text[2:4]
    assert SamplingParams(stop=stop).stop == (stop,)
    for given in (stop, [stop], iter([stop])):
        result = tiny_zh.generate("你好", temperature=0, max_tokens=30, stop=given)
        assert (result.finish_reason, result.text) == ("stop_string", whole.text[: whole.text.index(stop)])
    with pytest.raises(ValueError, match="non-empty"):
        SamplingParams(stop="")


def test_without_max_tokens_an_answer_goes_on_to_the_end(model: Belle) -> None:
    settings: dict[str, Any] = {"raw": True, "temperature": 0, "banned": [2], "max_tokens": None}
    result = model.generate(IDS, **settings)
    assert result.finish_reason == "length"
    assert result.prompt_tokens + result.completion_tokens == model.context + 1
    assert model.stream(IDS, **settings).finish().token_ids == result.token_ids
    assert model.generate_batch([IDS], **settings)[0].token_ids == result.token_ids
    said = model.conversation(max_tokens=None, temperature=0, banned=[2]).say("q")
    assert said.prompt_tokens + said.completion_tokens == model.context + 1
    for ask in (model.generate, model.stream):
        with pytest.raises(ValueError, match=r"max_tokens.*slide.*never"):
            ask(IDS, overflow="slide", **settings)
    with pytest.raises(ValueError, match="max_tokens"):
        model.conversation(max_tokens=None, overflow="slide")


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (None, r"got None: generate\(''\)"),
        (b"abc", r"b'abc': decode bytes first: prompt.decode\('utf-8'\)"),
        (["a", "b"], r"generate_batch\(prompts\)"),
        ([{"role": "user", "content": "a"}], r"chat\(messages\)"),
        ({"role": "user", "content": "a"}, r"chat\(\[message\]\)"),
    ],
)
def test_prompts_of_another_kind(model: Belle, prompt: Any, message: str) -> None:
    for ask in (model.generate, model.stream, model.astream):
        with pytest.raises(ValueError, match=message):
            ask(prompt)
    with pytest.raises(ValueError, match=r"prompt 1: .*" + message):
        model.generate_batch(["a", prompt])


def test_one_text_where_several_are_expected(model: Belle) -> None:
    with pytest.raises(ValueError, match=r"write \[prompt\], or generate\(prompt\)"):
        model.generate_batch("你好")
    with pytest.raises(ValueError, match=r"generate\(text\) answers it"):
        model.chat("你好")  # type: ignore[arg-type]


def test_an_empty_text_is_a_prompt_where_something_stands_before_it(model: Belle, tiny_zh: Belle) -> None:
    assert model.generate("", raw=True, max_tokens=1).prompt_tokens == 1  # BOS
    assert tiny_zh.generate("", max_tokens=1).prompt_tokens > 1  # the template's own text
    with pytest.raises(ValueError, match="adds no BOS token"):
        tiny_zh.generate("", raw=True)
    with pytest.raises(ValueError, match="the prompt is empty"):
        model.generate([], raw=True)


# ---- names


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("temprature", r"did you mean 'temperature'\?"),
        ("max_token", r"did you mean 'max_tokens'\?"),
        ("max_new_tokens", "write max_tokens=…"),
        ("num_predict", "write max_tokens=…"),
        ("repeat_penalty", "write repetition_penalty=…"),
        ("n_ctx", r"write Belle.load\(path, context=…\)"),
        ("top_n", r"top_k=… .*top_logprobs=…"),
        ("num_beams", "no beam search"),
        ("stop_sequences", r"stop=\[…\]"),
        ("zzz", r"\(known: banned, "),
    ],
)
def test_unknown_settings(model: Belle, name: str, advice: str) -> None:
    doors: list[Callable[..., object]] = [
        lambda **given: model.generate(IDS, raw=True, **given),
        lambda **given: model.stream(IDS, raw=True, **given),
        lambda **given: model.chat([{"role": "user", "content": "q"}], **given),
        lambda **given: model.conversation(**given),
        lambda **given: model.conversation().say("q", **given),
        lambda **given: model.generate_batch([IDS], raw=True, **given),
        lambda **given: model.generate_batch([IDS], raw=True, errors="return", **given),
        SamplingParams().merged,
        SamplingParams,
    ]
    for door in doors:
        if door is SamplingParams and name == "max_token":
            continue  # settings only: nothing is near
        with pytest.raises(ValueError, match=f"'{name}'.*{advice}"):
            door(**{name: 2})


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("n_ctx", r"Belle.load\(path, context=…\)"),
        ("num_thread", r"Belle.load\(path, threads=…\)"),
        ("n_gpu_layers", "everything runs on the CPU"),
        ("torch_dtype", "convert --type"),
        ("thread", r"did you mean 'threads'\?"),
    ],
)
def test_unknown_arguments_of_load(path: Path, name: str, advice: str) -> None:
    with pytest.raises(ValueError, match=rf"\[model\] unknown argument '{name}'.*{advice}.*known: backend"):
        Belle.load(path, **{name: 2})


def test_unknown_arguments_elsewhere(model: Belle) -> None:
    with pytest.raises(ValueError, match=r"add_special_tokens.*write add_bos=…"):
        model.tokenize("a", add_special_tokens=False)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match=r"skip_special_tokens': leave it out"):
        model.detokenize(IDS, skip_special_tokens=True)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match=r"max_tokens': it belongs to the call"):
        SamplingParams(max_tokens=5)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match=r"last.*known: ids, last_only"):
        model.logits(IDS, last=True)  # type: ignore[call-arg]


def test_what_an_advice_says_to_write_exists() -> None:
    doors = (Belle.load, Belle.generate, Belle.generate_batch, Belle.conversation, Belle.tokenize)
    known = {name for door in doors for name in inspect.signature(door).parameters}
    known |= {entry.name for entry in fields(SamplingParams)}
    for name, told in OTHER_NAMES.items():
        assert name
        for written in re.findall(r"(\w+)=", told):
            assert written in known, told
        for method in re.findall(r"(?:Belle|model)?\.?(\w+)\((?:prompt|path|messages|\[)", told):
            assert hasattr(Belle, method), told


def test_type_checkers_know_all_settings() -> None:
    assert [entry.name for entry in fields(SamplingParams)] == list(SamplingSettings.__annotations__)
    for options, settings in ((AnswerOptions, AnswerSettings), (BatchOptions, BatchSettings)):
        own = [entry.name for entry in fields(options) if entry.name != "sampling"]
        assert [*SamplingSettings.__annotations__, *own] == list(settings.__annotations__)


@pytest.mark.parametrize(
    ("function", "own", "defaults"),
    [
        (Belle.generate, ["prompt", "raw"], PROMPT),
        (Belle.stream, ["prompt", "raw"], PROMPT),
        (Belle.astream, ["prompt", "raw"], PROMPT),
        (Belle.chat, ["messages"], CHAT),
        (Belle.stream_chat, ["messages"], CHAT),
        (Belle.conversation, ["system"], CHAT),
        (Belle.load_conversation, ["path"], CHAT),
        (Belle.generate_batch, ["prompts", "errors"], BATCH),
    ],
)
def test_help_lists_the_options_one_by_one(
    function: Callable[..., Any], own: list[str], defaults: AnswerOptions | BatchOptions
) -> None:
    parameters = inspect.signature(function).parameters
    options = [entry.name for entry in fields(defaults) if entry.name != "sampling"]
    assert list(parameters) == ["self", *own, *options, "sampling"]
    for name in options:
        assert parameters[name].default == getattr(defaults, name)
        assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
    assert parameters["sampling"].kind is inspect.Parameter.VAR_KEYWORD


def test_advice_on_a_mistyped_setting_knows_the_options_of_a_call(model: Belle) -> None:
    own = {entry.name for options in (AnswerOptions, BatchOptions) for entry in fields(options)} - {
        "sampling"
    }
    for name in own:
        with pytest.raises(ValueError, match=f"did you mean '{name}'"):
            model.generate(IDS, **{name[:-1] + "x" + name[-1]: 1})


# ---- paths


def test_the_home_folder(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "x.gguf").write_bytes(path.read_bytes())
    with Belle.load("~/x.gguf") as model:
        conversation = model.conversation(max_tokens=2, temperature=0)
        conversation.say("q")
        conversation.save("~/q.chat")
        assert (tmp_path / "q.chat").is_file()
        assert model.load_conversation("~/q.chat").messages == conversation.messages
    assert verify_file("~/x.gguf").verified
    assert verify_contents("~/x.gguf").ok
    assert check_memory(path="~/x.gguf").total > 0
    with pytest.raises(FileNotFoundError, match=r"x\.gguf"):
        Belle.load("~no-such-user/x.gguf")


@pytest.mark.parametrize("value", [None, 5, ["x.gguf"], ""])
def test_no_paths(value: Any) -> None:
    for door in (Belle.load, verify_file, verify_contents, check_memory):
        with pytest.raises(ValueError, match="path: expected"):
            door(value)  # type: ignore[operator]


# ---- results


def test_a_generation_as_json(model: Belle) -> None:
    result = model.generate(IDS, raw=True, temperature=0, max_tokens=3, top_logprobs=2)
    said = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert set(said) == {
        *(entry.name for entry in fields(Generation)),
        "completion_tokens",
        "tokens_per_second",
    }
    assert said["token_ids"] == list(result.token_ids)
    assert [len(token["top"]) for token in said["logprobs"]] == [2] * result.completion_tokens
    assert said["logprobs"][0]["top"][0]["token_id"] == result.token_ids[0]
    token = TokenLogprob(1, "a", -math.inf, ((1, "a", -math.inf),))
    impossible = Generation("a", (1,), "length", 1, Timings(0.0, 0.0), logprobs=(token,)).to_dict()
    assert impossible["logprobs"][0]["logprob"] is None
    assert json.dumps(impossible, allow_nan=False)
    assert model.generate(IDS, raw=True, max_tokens=1).to_dict()["logprobs"] is None
