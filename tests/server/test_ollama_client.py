"""Ollama's own client against our server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from belle_edge import Belle, __version__

from .conftest import Start
from .server_process import ServerProcess, request, status_of, wait_until

ollama = pytest.importorskip("ollama")
QUESTION = "12加30等于多少？"
MESSAGES = [{"role": "user", "content": QUESTION}]
EXACT = {"temperature": 0}


@pytest.fixture(scope="module")
def server(start: Start, demo_file: Path, stories_file: Path) -> ServerProcess:
    return start(demo_file.parent, stories_file)


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> Any:
    return ollama.Client(host=server.address)


def refusal(call: Any) -> str:
    with pytest.raises(ollama.ResponseError) as raised:
        call()
    assert raised.value.status_code == 400
    return str(raised.value.error)


def test_what_is_there(client: Any, server: ServerProcess, demo_file: Path) -> None:
    models = {model.model: model for model in client.list().models}
    assert set(models) == {"demo", "stories"}
    assert models["demo"].size == demo_file.stat().st_size
    assert models["demo"].details.family == "bloom"
    assert models["demo"].details.quantization_level == "Q4_0"
    shown = client.show("demo:latest")
    assert "Human: " in shown.template
    assert shown.modelinfo["general.architecture"] == "bloom"
    assert 'stop "\\nHuman:"' in shown.parameters
    assert str(demo_file.parent) not in repr(shown)
    assert f'"{__version__}"'.encode() in server.send(request("/api/version"))
    for method in ("GET", "HEAD"):
        assert status_of(server.send(request("/", method=method))) == 200


def test_chat(client: Any, demo: Belle) -> None:
    expected = demo.chat(MESSAGES, **EXACT)
    answer = client.chat("demo", MESSAGES, options=EXACT)
    assert answer.message.content == expected.text
    assert answer.message.role == "assistant"
    assert (answer.done, answer.done_reason) == (True, "stop")
    assert answer.prompt_eval_count == expected.prompt_tokens
    assert answer.eval_count == expected.completion_tokens
    assert answer.total_duration >= answer.prompt_eval_duration + answer.eval_duration > 1000
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", answer.created_at)


def test_chat_line_by_line(client: Any, demo: Belle) -> None:
    lines = list(client.chat("demo:latest", MESSAGES, options=EXACT, stream=True))
    assert "".join(line.message.content for line in lines) == demo.chat(MESSAGES, **EXACT).text
    assert [line.done for line in lines] == [False] * (len(lines) - 1) + [True]
    assert len(lines) > 2
    assert lines[-1].eval_count > 0


def test_generate(client: Any, demo: Belle) -> None:
    answer = client.generate("demo", QUESTION, options=EXACT)
    assert answer.response == demo.generate(QUESTION, **EXACT).text
    pieces = [line.response for line in client.generate("demo", QUESTION, options=EXACT, stream=True)]
    assert "".join(pieces) == answer.response
    system = client.generate("demo", QUESTION, system="请简短回答。", options=EXACT).response
    messages = [{"role": "system", "content": "请简短回答。"}, *MESSAGES]
    assert system == demo.chat(messages, **EXACT).text
    raw = client.generate("demo", "Human: 你好\n\nAssistant:", raw=True, options={**EXACT, "num_predict": 8})
    assert raw.response == demo.generate("Human: 你好\n\nAssistant:", raw=True, max_tokens=8, **EXACT).text


def test_options(client: Any, demo: Belle) -> None:
    options = {
        "temperature": 0.9,
        "top_k": 20,
        "top_p": 0.9,
        "min_p": 0.02,
        "seed": 3,
        "num_predict": 9,
        "repeat_penalty": 1.1,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "stop": ["。"],
        "num_ctx": 256,
        "num_gpu": 0,
        "num_thread": 2,
        "mirostat": 0,
    }
    expected = demo.chat(
        MESSAGES,
        temperature=0.9,
        top_k=20,
        top_p=0.9,
        min_p=0.02,
        seed=3,
        max_tokens=9,
        repetition_penalty=1.1,
        presence_penalty=0.1,
        frequency_penalty=0.2,
        stop=["。"],
    )
    answer = client.chat("demo", MESSAGES, options=options)
    assert answer.message.content == expected.text
    assert answer.done_reason == ("length" if expected.finish_reason == "length" else "stop")


def test_logprobs(client: Any, demo: Belle) -> None:
    expected = demo.chat(MESSAGES, temperature=0, top_logprobs=2).logprobs
    assert expected is not None
    answer = client.chat("demo", MESSAGES, options=EXACT, logprobs=True, top_logprobs=2)
    assert [entry.logprob for entry in answer.logprobs] == [token.logprob for token in expected]
    assert [len(entry.top_logprobs) for entry in answer.logprobs] == [2] * len(expected)


def test_loading_and_letting_go(client: Any) -> None:
    """Without a prompt a model is loaded; with keep_alive 0 it goes, with -1 it stays."""

    def loaded() -> set[str]:
        return {model.model for model in client.ps().models}

    assert client.generate("stories", keep_alive=-1).done_reason == "load"
    assert "stories" in loaded()
    assert next(m for m in client.ps().models if m.model == "stories").expires_at.year == 9999
    assert client.chat("stories", keep_alive=0).done_reason == "unload"
    assert wait_until(lambda: "stories" not in loaded())
    assert client.generate("stories", "Once", raw=True, options={"num_predict": 2}).response
    assert "stories" in loaded()
    client.generate("stories", "Once", raw=True, options={"num_predict": 2}, keep_alive="100ms")
    assert wait_until(lambda: "stories" not in loaded())


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"think": True}, "think"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"options": {"mirostat": 2}}, "mirostat"),
        ({"options": {"repeat_last_n": 8}}, "repeat_last_n"),
        ({"options": {"num_ctx": 4096}}, "num_ctx"),
        ({"options": {"tempreature": 1}}, "tempreature"),
        ({"options": {"top_p": 7}}, "top_p"),
        ({"keep_alive": "soon"}, "keep_alive"),
        ({"messages": [{"role": "user", "content": "问题" * 300}]}, "context"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_refused_is_named(client: Any, options: dict[str, Any], name: str) -> None:
    assert name in refusal(lambda: client.chat("demo", **{"messages": MESSAGES, **options}))


def test_refusals_of_generate(client: Any) -> None:
    assert "suffix" in refusal(lambda: client.generate("demo", "a", suffix="b"))
    assert "context" in refusal(lambda: client.generate("demo", "a", context=[1, 2]))
    assert "template" in refusal(lambda: client.generate("demo", "a", template="{{ .Prompt }}"))
    assert "no chat template" in refusal(lambda: client.generate("stories", "a"))
    for call in (lambda: client.embed("demo", "a"), lambda: client.pull("x"), lambda: client.delete("demo")):
        with pytest.raises(ollama.ResponseError) as raised:
            call()
        assert raised.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match="expected one of demo, stories"):
        client.chat("llama3", MESSAGES)


def test_curl_as_it_is_documented(server: ServerProcess) -> None:
    """`curl -d` says that its JSON is a form."""
    body = b'{"model": "demo", "prompt": "1", "stream": false, "options": {"num_predict": 1}}'
    form = "Content-Type: application/x-www-form-urlencoded"
    assert status_of(server.send(request("/api/generate", form, method="POST", body=body))) == 200
