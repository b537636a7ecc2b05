"""OpenAI's own client against our server: what it gets is what the Python interface gives."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from belle_edge import Belle

from .conftest import Start
from .server_process import ServerProcess

openai = pytest.importorskip("openai")
QUESTION = "12加30等于多少？"
MESSAGES = [{"role": "user", "content": QUESTION}]
VARIED = {"temperature": 3.0, "top_p": 1.0, "max_tokens": 12}  # answers that differ


@pytest.fixture(scope="module")
def server(start: Start, demo_file: Path, stories_file: Path) -> ServerProcess:
    return start(demo_file, stories_file, "--max-running", "4")


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> Any:
    return openai.OpenAI(base_url=f"{server.address}/v1", api_key="any", max_retries=0)


def chat(client: Any, messages: Any = MESSAGES, **options: Any) -> Any:
    return client.chat.completions.create(model="demo", messages=messages, **options)


def complete(client: Any, prompt: Any, *, model: str = "demo", **options: Any) -> Any:
    return client.completions.create(model=model, prompt=prompt, **options)


def refusal(call: Any) -> Any:
    """The error of a request that has to change."""
    with pytest.raises(openai.BadRequestError) as raised:
        call()
    return raised.value


def test_models(client: Any) -> None:
    assert [model.id for model in client.models.list()] == ["demo", "stories"]
    assert client.models.retrieve("demo").object == "model"
    with pytest.raises(openai.NotFoundError, match="expected one of demo, stories"):
        client.models.retrieve("other")


def test_chat(client: Any, demo: Belle) -> None:
    answer = chat(client, temperature=0)
    expected = demo.chat(MESSAGES, temperature=0)
    assert answer.choices[0].message.content == expected.text
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.prompt_tokens == expected.prompt_tokens
    assert answer.usage.completion_tokens == expected.completion_tokens
    assert answer.usage.total_tokens == expected.prompt_tokens + expected.completion_tokens
    assert answer.model == "demo"


def test_a_dialogue_in_parts(client: Any, demo: Belle) -> None:
    parts = [{"type": "text", "text": QUESTION[:2]}, {"type": "text", "text": QUESTION[2:]}]
    messages = [
        {"role": "developer", "content": "请简短回答。"},
        {"role": "user", "content": "你好", "name": "somebody"},
        {"role": "assistant", "content": "你好！", "refusal": None, "tool_calls": None},
        {"role": "user", "content": parts},
    ]
    expected = [
        {"role": "system", "content": "请简短回答。"},
        {"role": "user", "content": "你好"},
        {"role": "assistant", "content": "你好！"},
        {"role": "user", "content": QUESTION},
    ]
    answer = chat(client, messages, temperature=0)
    assert answer.choices[0].message.content == demo.chat(expected, temperature=0).text


def test_the_files_preset_applies(client: Any, demo: Belle) -> None:
    assert demo.chat_format.preset["temperature"] != 1.0
    answer = chat(client, seed=3)
    assert answer.choices[0].message.content == demo.chat(MESSAGES, seed=3, max_tokens=None).text


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0.9, "top_p": 0.8, "seed": 11},
        {"presence_penalty": 0.5, "frequency_penalty": 0.3, "seed": 2, "temperature": 1.2},
        {"seed": 5, "extra_body": {"top_k": 3, "min_p": 0.01, "repetition_penalty": 1.3}},
        {"seed": 5, "logit_bias": {"14": -100, "20": 5}, "max_tokens": 6},
        {"temperature": 0, "max_completion_tokens": 3},
    ],
    ids=lambda options: ",".join(options),
)
def test_settings_mean_what_they_mean_in_python(client: Any, demo: Belle, options: dict[str, Any]) -> None:
    own = {**options, **options.get("extra_body", {})}
    own.pop("extra_body", None)
    own["max_tokens"] = own.pop("max_completion_tokens", own.get("max_tokens", 30))
    if "logit_bias" in own:
        own["logit_bias"] = {int(key): value for key, value in own["logit_bias"].items()}
    sent = options if "max_completion_tokens" in options else {**options, "max_tokens": own["max_tokens"]}
    answer = chat(client, **sent)
    expected = demo.chat(MESSAGES, **own)
    assert answer.choices[0].message.content == expected.text
    assert answer.choices[0].finish_reason == ("length" if expected.finish_reason == "length" else "stop")


def test_stop(client: Any, demo: Belle) -> None:
    whole = demo.chat(MESSAGES, temperature=0).text
    for stop in (whole[3], [whole[3], "never"]):
        answer = chat(client, temperature=0, stop=stop)
        assert answer.choices[0].message.content == whole[: whole.index(whole[3])]
        assert answer.choices[0].finish_reason == "stop"


def test_several_answers_differ_and_can_be_repeated(client: Any, demo: Belle) -> None:
    def texts() -> list[str]:
        choices = chat(client, n=6, seed=9, **VARIED).choices
        return [choice.message.content for choice in sorted(choices, key=lambda choice: choice.index)]

    first = texts()
    assert first == texts()
    assert first == [demo.chat(MESSAGES, seed=9 + i, **VARIED).text for i in range(6)]
    assert len(set(first)) > 1


def test_a_stream(client: Any, demo: Belle) -> None:
    chunks = list(chat(client, temperature=0, stream=True, stream_options={"include_usage": True}))
    expected = demo.chat(MESSAGES, temperature=0)
    assert chunks[0].choices[0].delta.role == "assistant"
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(pieces) == expected.text
    assert sum(bool(piece) for piece in pieces) > 1
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-2:] == [None, "stop"]
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == expected.completion_tokens
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_stream_of_several(client: Any, demo: Belle) -> None:
    texts = ["", "", ""]
    for chunk in chat(client, n=3, seed=1, stream=True, **VARIED):
        texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert texts == [demo.chat(MESSAGES, seed=1 + i, **VARIED).text for i in range(3)]


def test_no_half_character(client: Any, demo: Belle) -> None:
    """Byte tokens make a character each three at a time; no chunk holds a part of one."""
    emoji = "🐉龘🦕"
    ids = demo.tokenize(emoji)
    assert any(b"\xef\xbf\xbd" in demo.detokenize([i]).encode() for i in ids), (
        "one token is a part of a character"
    )
    bias = {str(token_id): 40 for token_id in ids}
    pieces = [
        chunk.choices[0].text
        for chunk in complete(
            client, emoji, max_tokens=60, temperature=1, seed=1, logit_bias=bias, stream=True
        )
    ]
    answer = complete(client, emoji, max_tokens=60, temperature=1, seed=1, logit_bias=bias)
    assert "".join(pieces) == answer.choices[0].text
    given = {int(key): value for key, value in bias.items()}
    expected = list(demo.stream(emoji, raw=True, max_tokens=60, temperature=1, seed=1, logit_bias=given))
    assert [piece for piece in pieces if piece] == expected


def test_logprobs_of_a_chat(client: Any, demo: Belle) -> None:
    expected = demo.chat(MESSAGES, temperature=0, top_logprobs=3).logprobs
    assert expected is not None
    whole = chat(client, temperature=0, logprobs=True, top_logprobs=3).choices[0].logprobs.content
    chunks = list(chat(client, temperature=0, logprobs=True, top_logprobs=3, stream=True))
    streamed = [entry for chunk in chunks for entry in (chunk.choices[0].logprobs or _NONE).content or ()]
    for told in (whole, streamed):
        assert [entry.token for entry in told] == [token.text for token in expected]
        assert [entry.logprob for entry in told] == [token.logprob for token in expected]
        assert [bytes(entry.bytes) for entry in told] == [
            demo.tokenizer.token_bytes(token.token_id) for token in expected
        ]
        assert [[top.logprob for top in entry.top_logprobs] for entry in told] == [
            [logprob for _, _, logprob in token.top] for token in expected
        ]
    assert chat(client, temperature=0).choices[0].logprobs is None


class _NONE:
    content = None


@pytest.mark.parametrize("name", ["demo", "stories"])
def test_logprobs_of_a_prompt(
    client: Any, demo: Belle, stories_file: Path, name: str, request: pytest.FixtureRequest
) -> None:
    """echo with logprobs and no new token: what `Belle.logits` gives, which lm-eval counts on."""
    prompt = "Human: 你好\n\nAssistant:" if name == "demo" else "Once upon a time there was a dog. " * 6
    model = demo if name == "demo" else Belle.load(stories_file)
    choice = complete(client, prompt, model=name, max_tokens=0, echo=True, logprobs=2).choices[0]
    ids = model.tokenizer.encode(prompt, add_eos=False)
    rows = model.logits(ids).astype(np.float64)
    rows -= rows.max(axis=1, keepdims=True)
    rows -= np.log(np.exp(rows).sum(axis=1, keepdims=True))
    if name == "stories":
        model.close()
    told = choice.logprobs
    assert len(ids) > 4
    assert len(told.tokens) == len(told.token_logprobs) == len(told.top_logprobs) == len(ids)
    assert told.token_logprobs[0] is None
    expected = [rows[at - 1, ids[at]] for at in range(1, len(ids))]
    np.testing.assert_allclose(told.token_logprobs[1:], expected, atol=1e-5)
    best = [max(top.values()) for top in told.top_logprobs[1:]]
    np.testing.assert_allclose(best, rows[:-1].max(axis=1), atol=1e-5)
    assert choice.text == prompt
    assert told.text_offset[0] == 0
    assert told.text_offset == sorted(told.text_offset)
    assert choice.finish_reason == "length"


def test_completions_are_raw(client: Any, demo: Belle) -> None:
    prompt = "Human: 你好\n\nAssistant:"
    expected = demo.generate(prompt, raw=True, temperature=0, max_tokens=16).text
    assert complete(client, prompt, temperature=0).choices[0].text == expected
    assert complete(client, demo.tokenize(prompt), temperature=0).choices[0].text == expected
    assert complete(client, prompt, temperature=0, echo=True).choices[0].text == prompt + expected
    chunks = list(complete(client, prompt, temperature=0, echo=True, stream=True, logprobs=0))
    assert "".join(chunk.choices[0].text for chunk in chunks) == prompt + expected
    n_tokens = sum(len(chunk.choices[0].logprobs.tokens) for chunk in chunks if chunk.choices[0].logprobs)
    assert n_tokens > len(demo.tokenize(prompt)) + 1


def test_several_prompts(client: Any, demo: Belle) -> None:
    prompts = ["1加1等于", "你好", "今天"]
    ids = [demo.tokenize(prompt) for prompt in prompts]
    for asked in (prompts, ids):
        answer = complete(client, asked, n=2, temperature=0.8, seed=4, max_tokens=5)
        texts = [choice.text for choice in sorted(answer.choices, key=lambda choice: choice.index)]
        assert texts == [
            demo.generate(prompt, raw=True, temperature=0.8, seed=4 + i, max_tokens=5).text
            for prompt in prompts
            for i in (0, 1)
        ]
        assert answer.usage.prompt_tokens == sum(map(len, ids))


def test_a_full_context_is_an_error(client: Any, demo: Belle) -> None:
    assert demo.context == 256
    for call in (
        lambda: chat(client, [{"role": "user", "content": "问题" * 300}]),
        lambda: chat(client, [{"role": "user", "content": "问题" * 300}], stream=True),
        lambda: complete(client, [5] * 257),
    ):
        error = refusal(call)
        assert error.code == "context_length_exceeded"
        assert "256" in error.message


def test_the_end_of_the_context_is_told(client: Any) -> None:
    """An answer that reaches it has the reason `length`; it goes on where that is asked for."""
    bias = {"2": -100}
    ended = complete(client, [5] * 250, max_tokens=100, temperature=0, logit_bias=bias)
    assert ended.choices[0].finish_reason == "length"
    assert ended.usage.total_tokens == 257
    slid = complete(
        client, [5] * 250, max_tokens=40, temperature=0, logit_bias=bias, extra_body={"overflow": "slide"}
    )
    assert slid.usage.completion_tokens == 40


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools", "unsupported_parameter"),
    ({"store": True}, "store", "unsupported_parameter"),
    ({"response_format": {"type": "xml"}}, "response_format", "unsupported_parameter"),
    ({"extra_body": {"best_of": 3}}, "best_of", "unsupported_parameter"),
    ({"extra_body": {"temprature": 1}}, "temprature", "unknown_parameter"),
    ({"temperature": -1}, "temperature", "invalid_request"),
    ({"temperature": "hot"}, "temperature", "invalid_request"),
    ({"top_p": 0}, "top_p", "invalid_request"),
    ({"seed": -4}, "seed", "invalid_request"),
    ({"n": 0}, "n", "invalid_request"),
    ({"n": 1000}, "n", "invalid_request"),
    ({"max_tokens": 0}, "max_tokens", "invalid_request"),
    ({"max_tokens": 4, "max_completion_tokens": 5}, "max_tokens", "invalid_request"),
    ({"top_logprobs": 3}, "top_logprobs", "invalid_request"),
    ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "invalid_request"),
    ({"logit_bias": {"a": 1}}, "logit_bias", "invalid_request"),
    ({"logit_bias": {"99999999": 1}}, "logit_bias", "invalid_request"),
    ({"stop": [""]}, "stop", "invalid_request"),
    ({"stream_options": {"include_usage": True}}, "stream_options", "invalid_request"),
    ({"extra_body": {"overflow": "cut"}}, "overflow", "invalid_request"),
    ({"extra_body": {"overflow": "slide"}}, "max_tokens", "invalid_request"),
    ({"messages": []}, "messages", "invalid_request"),
    ({"messages": [{"role": "tool", "content": "x", "tool_call_id": "1"}]}, "messages", "invalid_request"),
    ({"messages": [{"role": "assistant", "content": "x"}]}, "", "invalid_request"),
    (
        {
            "messages": [
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc"}}]}
            ]
        },
        "messages",
        "unsupported_content",
    ),
]


@pytest.mark.parametrize(("options", "param", "code"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_is_refused_is_named(client: Any, options: dict[str, Any], param: str, code: str) -> None:
    error = refusal(lambda: chat(client, **{"messages": MESSAGES, **options}))
    assert (error.param or "", error.code) == (param, code)
    assert param in error.message


def test_what_asks_for_nothing_is_accepted(client: Any) -> None:
    answer = chat(
        client,
        user="me",
        metadata={"a": "b"},
        store=False,
        tools=[],
        tool_choice="none",
        response_format={"type": "text"},
        service_tier="auto",
        modalities=["text"],
        temperature=0,
    )
    assert answer.choices[0].message.content


def test_completions_refuse_by_name(client: Any) -> None:
    for options, param in (
        ({"suffix": "end"}, "suffix"),
        ({"best_of": 2}, "best_of"),
        ({"logprobs": 21}, "logprobs"),
    ):
        assert refusal(lambda options=options: complete(client, "a", **options)).param == param
    assert refusal(lambda: complete(client, [])).param == "prompt"
    assert "vocabulary" in refusal(lambda: complete(client, [10**6])).message


def test_a_model_without_a_template(client: Any) -> None:
    error = refusal(lambda: client.chat.completions.create(model="stories", messages=MESSAGES))
    assert error.code == "no_chat_template"
    assert complete(client, "Once upon", model="stories", max_tokens=3).choices[0].text


def test_unknown_models_and_interfaces(client: Any) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        client.chat.completions.create(model="gpt-5", messages=MESSAGES)
    assert raised.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError, match="not offered"):
        client.embeddings.create(model="demo", input="x")


async def _async_texts(address: str) -> list[str]:
    import asyncio

    async with openai.AsyncOpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0) as client:

        async def one(seed: int) -> str:
            stream = await client.chat.completions.create(
                model="demo", messages=MESSAGES, seed=seed, stream=True, **VARIED
            )
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

        return await asyncio.gather(*(one(seed) for seed in range(12)))


def test_many_at_once(server: ServerProcess, demo: Belle) -> None:
    import asyncio

    texts = asyncio.run(_async_texts(server.address))
    assert len(set(texts)) > 3
    assert texts == [demo.chat(MESSAGES, seed=seed, **VARIED).text for seed in range(12)]


def test_the_answer_is_json_that_everybody_reads(client: Any) -> None:
    raw = client.chat.completions.with_raw_response.create(model="demo", messages=MESSAGES, temperature=0)
    assert raw.headers["content-type"] == "application/json"
    body = json.loads(raw.text)
    assert body["object"] == "chat.completion"
    assert math.isfinite(body["created"])
    assert "等于" not in raw.headers.__repr__()
