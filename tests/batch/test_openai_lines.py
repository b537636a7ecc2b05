"""OpenAI's batch files: requests in, responses that its own package reads, refusals by name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from belle_edge.batch.input_records import InputRecord
from belle_edge.batch.openai_lines import OpenAiLines, is_request, request_item
from belle_edge.errors import ContextLengthError
from belle_edge.generation.streams import Generation, Timings

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
HI = {"role": "user", "content": "hi"}
RESULT = Generation("你好", (5, 6), "stop_string", 3, Timings(0.1, 0.2))


def request(url: str = CHAT, **body: Any) -> dict[str, Any]:
    asked = {"messages": [HI]} if url == CHAT else {}
    return {"custom_id": "a", "method": "POST", "url": url, "body": {"model": "m", **asked, **body}}


@pytest.mark.parametrize(
    ("fields", "item"),
    [
        (request(temperature=0.5, n=1, stream=False, seed=None), {"messages": [HI], "temperature": 0.5}),
        (request(max_completion_tokens=3, max_tokens=3), {"messages": [HI], "max_tokens": 3}),
        (
            request(messages=[{"role": "developer", "content": [{"type": "text", "text": "a"}]}, HI]),
            {"messages": [{"role": "system", "content": "a"}, HI]},
        ),
        (
            request(response_format={"type": "json_schema", "json_schema": {"schema": {"type": "array"}}}),
            {"messages": [HI], "schema": {"type": "array"}},
        ),
        (request(COMPLETIONS, prompt="a", echo=False), {"prompt": "a", "raw": True}),
        (request(COMPLETIONS, prompt=[4, 5]), {"prompt": [4, 5], "raw": True}),
    ],
)
def test_requests(fields: dict[str, Any], item: dict[str, Any]) -> None:
    assert is_request(fields)
    assert request_item(fields) == item


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"custom_id": "a"}, "url: expected"),
        ({**request(), "extra": 1}, "expected custom_id"),
        ({**request(), "method": "GET"}, "method: expected POST"),
        (request("/v1/embeddings"), "url: expected"),
        ({**request(), "body": []}, "body: expected an object"),
        (request(n=2), "n: not offered"),
        (request(logprobs=True), "logprobs: not offered"),
        (request(tools=[{"type": "function"}]), "tools: not offered"),
        (request(max_tokens=3, max_completion_tokens=4), "different things"),
        (request(response_format={"type": "xml"}), "response_format: expected"),
        (request(messages="hi"), "messages: expected a list"),
        (request(messages=[{"role": "user", "content": [{"type": "image_url"}]}]), "parts of type text"),
        (request(COMPLETIONS, prompt=["a", "b"]), "one text"),
    ],
)
def test_refusals(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        request_item(fields)


def test_responses_that_openai_s_package_reads() -> None:
    chat = pytest.importorskip("openai.types.chat")
    types = pytest.importorskip("openai.types")
    form = OpenAiLines("belle")
    for url, kind in ((CHAT, chat.ChatCompletion), (COMPLETIONS, types.Completion)):
        line = form.line(InputRecord(2, 3, request(url)), RESULT)
        assert line == form.line(InputRecord(2, 3, request(url)), RESULT)
        told = json.loads(line)
        assert (told["custom_id"], told["error"], told["response"]["status_code"]) == ("a", None, 200)
        completion = kind.model_validate(told["response"]["body"], strict=True)
        assert completion.model_dump(exclude_unset=True) == told["response"]["body"]
        choice = completion.choices[0]
        assert (choice.message.content if url == CHAT else choice.text) == "你好"
        assert (choice.finish_reason, completion.usage.total_tokens) == ("stop", 5)


def test_what_is_told_of_a_refused_request() -> None:
    form = OpenAiLines("belle")
    told = json.loads(form.line(InputRecord(0, 1, request()), ContextLengthError("[generate] too long")))
    assert (told["custom_id"], told["response"]["status_code"]) == ("a", 400)
    assert told["response"]["body"]["error"]["code"] == "context_length_exceeded"
    assert told["response"]["body"]["error"]["message"] == "too long"
    told = json.loads(form.line(InputRecord(1, 2, {}, "not JSON"), ValueError("not JSON")))
    assert told["response"] is None
    assert told["error"] == {"code": "invalid_request", "message": "line 2: not JSON"}
