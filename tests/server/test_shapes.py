"""Answers of a given shape, as the clients of both interfaces ask for them."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest

pytest.importorskip("llguidance")

from belle_edge import Belle

from .conftest import Start
from .server_process import ServerProcess

openai = pytest.importorskip("openai")
ollama = pytest.importorskip("ollama")
pydantic = pytest.importorskip("pydantic")
MESSAGES = [{"role": "user", "content": "推荐一个城市"}]
CITY = {
    "type": "object",
    "properties": {
        "城市": {"enum": ["北京", "上海"]},
        "stars": {"type": "integer", "minimum": 1, "maximum": 5},
    },
    "required": ["城市", "stars"],
    "additionalProperties": False,
}
City = pydantic.create_model("City", 城市=(Literal["北京", "上海"], ...), stars=(Literal[1, 2, 3], ...))


@pytest.fixture(scope="module")
def server(start: Start, demo_file: Any) -> ServerProcess:
    return start(demo_file)


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> Any:
    return openai.OpenAI(base_url=f"{server.address}/v1", api_key="any", max_retries=0)


@pytest.fixture(scope="module")
def ollama_client(server: ServerProcess) -> Any:
    return ollama.Client(host=server.address)


def wanted(schema: Any, **others: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "city", "schema": schema, **others}}


def chat(client: Any, **options: Any) -> Any:
    return client.chat.completions.create(model="demo", messages=MESSAGES, **options)


def test_a_schema(client: Any, demo: Belle) -> None:
    answer = chat(
        client, response_format=wanted(CITY, strict=True), temperature=1, seed=3, n=2, logprobs=True
    )
    for at, choice in enumerate(answer.choices):
        assert choice.finish_reason == "stop"
        text = choice.message.content
        assert text == demo.chat(MESSAGES, schema=CITY, temperature=1, seed=3 + at).text
        assert json.loads(text)["城市"] in ("北京", "上海")
        assert "".join(entry.token for entry in choice.logprobs.content if "�" not in entry.token)


def test_parse(client: Any) -> None:
    """What OpenAI's client makes of a pydantic model."""
    answer = client.chat.completions.parse(model="demo", messages=MESSAGES, response_format=City, seed=1)
    parsed = answer.choices[0].message.parsed
    assert isinstance(parsed, City)
    assert parsed.stars in (1, 2, 3)


def test_a_stream(client: Any) -> None:
    chunks = chat(client, response_format=wanted(CITY), seed=2, stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert set(json.loads(text)) == {"城市", "stars"}


def test_any_object(client: Any) -> None:
    answer = chat(client, response_format={"type": "json_object"}, max_tokens=60, temperature=1, seed=0)
    choice = answer.choices[0]
    assert choice.message.content.startswith("{")
    assert choice.finish_reason == "length" or isinstance(json.loads(choice.message.content), dict)


def test_a_grammar(client: Any) -> None:
    extra = {"grammar": 'start: "是" | "否"'}
    assert chat(client, extra_body=extra).choices[0].message.content in ("是", "否")
    completion = client.completions.create(model="demo", prompt="问", extra_body=extra, max_tokens=20)
    assert completion.choices[0].text in ("是", "否")


@pytest.mark.parametrize(
    ("options", "param", "message"),
    [
        ({"response_format": wanted({"not": {}})}, "response_format", "the keyword 'not' is not supported"),
        (
            {"response_format": wanted({"type": "array", "items": {"uniqueItems": True}})},
            "response_format",
            "items",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
            "response_format",
            "schema",
        ),
        ({"response_format": {"type": "xml"}}, "response_format", "json_object or json_schema"),
        ({"extra_body": {"grammar": "start: other"}}, "grammar", "unknown name"),
        (
            {"extra_body": {"grammar": 'start: "a"'}, "response_format": {"type": "json_object"}},
            "grammar",
            "does not go with response_format",
        ),
    ],
)
def test_what_is_refused(client: Any, options: dict[str, Any], param: str, message: str) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        chat(client, **options)
    assert raised.value.param == param
    assert message in raised.value.message


def test_ollama(ollama_client: Any) -> None:
    answer = ollama_client.chat("demo", MESSAGES, format=CITY, options={"seed": 4, "temperature": 1})
    assert (answer.done_reason, set(json.loads(answer.message.content))) == ("stop", {"城市", "stars"})
    answer = ollama_client.chat("demo", MESSAGES, format=City.model_json_schema(), options={"seed": 1})
    assert set(json.loads(answer.message.content)) >= {"城市", "stars"}
    answer = ollama_client.generate("demo", "列出", format="json", options={"num_predict": 30})
    assert answer.response.startswith("{")
    with pytest.raises(ollama.ResponseError, match="the keyword 'not' is not supported"):
        ollama_client.chat("demo", MESSAGES, format={"not": {}})
