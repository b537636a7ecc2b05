"""Clients that the test environment does not have, against a server: LangChain, LlamaIndex, llm, curl, Schemathesis.

    belle-edge demo --keep . && belle-edge serve belle-demo-q4_0.gguf --port 8080
    python -m venv clients && clients/bin/pip install langchain-openai llama-index-llms-openai-like llm schemathesis
    clients/bin/python tests/server/other_clients.py http://127.0.0.1:8080

Prints a line per check and ends with code 1 where one fails.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

QUESTION = "12加30等于多少？"
BIN = Path(sys.executable).parent
CHECKS: dict[str, Callable[[str, str], str]] = {}


def check(function: Callable[[str, str], str]) -> Callable[[str, str], str]:
    """A check takes the server's address and the name of a model; it returns what it saw."""
    CHECKS[function.__name__] = function
    return function


def langchain(url: str, model: str, **options: Any) -> Any:
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(
        model=model, base_url=f"{url}/v1", api_key="any", max_retries=0, temperature=0, **options
    )


@check
def langchain_chat(url: str, model: str) -> str:
    answer = langchain(url, model).invoke([("system", "请简短回答。"), ("human", QUESTION)])
    assert answer.content
    assert answer.usage_metadata["output_tokens"] > 0
    return f"{answer.content!r}, {answer.usage_metadata['total_tokens']} tokens"


@check
def langchain_stream(url: str, model: str) -> str:
    pieces = [chunk.content for chunk in langchain(url, model).stream(QUESTION)]
    whole = langchain(url, model).invoke(QUESTION).content
    assert "".join(pieces) == whole
    assert sum(map(bool, pieces)) > 1
    return f"{sum(map(bool, pieces))} pieces"


@check
def langchain_stop_and_logprobs(url: str, model: str) -> str:
    whole = langchain(url, model).invoke(QUESTION).content
    assert langchain(url, model).invoke(QUESTION, stop=[whole[3]]).content == whole[: whole.index(whole[3])]
    answer = langchain(url, model, logprobs=True, top_logprobs=2).invoke(QUESTION)
    tokens = answer.response_metadata["logprobs"]["content"]
    assert len(tokens[0]["top_logprobs"]) == 2
    return f"{len(tokens)} log-probabilities"


@check
def langchain_batch(url: str, model: str) -> str:
    answers = langchain(url, model).batch([QUESTION] * 6)
    assert len({answer.content for answer in answers}) == 1
    return f"{len(answers)} answers at once"


@check
def langchain_errors(url: str, model: str) -> str:
    import openai

    for options, expected in (
        ({"model": "gpt-5"}, openai.NotFoundError),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, openai.BadRequestError),
    ):
        try:
            langchain(url, model).invoke(QUESTION, **options)
        except expected:
            continue
        raise AssertionError(f"{options} was accepted")
    try:
        langchain(url, model).invoke("问题" * 100_000)
    except openai.BadRequestError as error:
        assert error.code == "context_length_exceeded"  # noqa: PT017
        return "404, 400, and context_length_exceeded"
    raise AssertionError("a prompt beyond the context was accepted")


@check
def llama_index(url: str, model: str) -> str:
    from llama_index.core.llms import ChatMessage
    from llama_index.llms.openai_like import OpenAILike

    llm = OpenAILike(
        model=model,
        api_base=f"{url}/v1",
        api_key="any",
        is_chat_model=True,
        context_window=256,
        temperature=0,
    )
    whole = llm.complete(QUESTION).text
    assert whole
    assert "".join(piece.delta for piece in llm.stream_complete(QUESTION)) == whole
    assert llm.chat([ChatMessage(role="user", content=QUESTION)]).message.content == whole
    return repr(whole)


@check
def llm_prompts(url: str, model: str) -> str:
    """The command `llm`, with a model of its extra-openai-models.yaml."""
    with tempfile.TemporaryDirectory() as folder:
        entry = [{"model_id": "belle", "model_name": model, "api_base": f"{url}/v1", "api_key_name": "belle"}]
        Path(folder, "extra-openai-models.yaml").write_text(json.dumps(entry), encoding="utf-8")
        Path(folder, "keys.json").write_text('{"belle": "any"}', encoding="utf-8")
        outputs = []
        for words in (
            ["-m", "belle", "-o", "temperature", "0", QUESTION],
            ["-m", "belle", "-o", "temperature", "0", "--no-stream", QUESTION],
            ["-m", "belle", "-s", "请简短回答。", "-o", "max_tokens", "5", QUESTION],
        ):
            done = subprocess.run(
                [str(BIN / "llm"), *words],
                capture_output=True,
                text=True,
                env={**os.environ, "LLM_USER_PATH": folder},
            )
            assert done.returncode == 0, done.stderr
            outputs.append(done.stdout.strip())
    assert outputs[0] == outputs[1] != ""
    return repr(outputs[0])


@check
def curl(url: str, model: str) -> str:
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": QUESTION}], "temperature": 0})
    done = subprocess.run(
        ["curl", "-sS", "--fail-with-body", f"{url}/v1/chat/completions", "-d", body],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    whole = json.loads(done.stdout)["choices"][0]["message"]["content"]
    body = json.dumps({**json.loads(body), "stream": True})
    lines = subprocess.run(
        ["curl", "-sSN", f"{url}/v1/chat/completions", "-d", body], capture_output=True, text=True
    ).stdout.splitlines()
    events = [line[6:] for line in lines if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    text = "".join(json.loads(event)["choices"][0]["delta"].get("content") or "" for event in events[:-1])
    assert text == whole
    refused = subprocess.run(
        [
            "curl",
            "-sS",
            "-o",
            os.devnull,
            "-w",
            "%{http_code}",
            f"{url}/v1/models",
            "-H",
            "Host: evil.example",
        ],
        capture_output=True,
        text=True,
    )
    assert refused.stdout == "403"
    return f"{len(events)} events, 403 for a foreign Host"


@check
def schemathesis(url: str, model: str) -> str:
    """Requests made from /openapi.json, sound and broken ones: none may end in a 500."""
    done = subprocess.run(
        [
            str(BIN / "schemathesis"),
            "run",
            f"{url}/openapi.json",
            "--checks=not_a_server_error",
            "--max-examples=60",
            "--mode=all",
            "--seed=1",
            "--no-color",
            "--generation-deterministic",
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    summary = [
        line.strip() for line in done.stdout.splitlines() if "generated" in line or "Operations" in line
    ]
    return "; ".join(summary)


def main() -> int:
    url = sys.argv[1].rstrip("/")
    wanted = sys.argv[2:] or list(CHECKS)
    done = subprocess.run(["curl", "-sS", f"{url}/v1/models"], capture_output=True, text=True, check=True)
    model = json.loads(done.stdout)["data"][0]["id"]
    failed = 0
    for name in wanted:
        try:
            print(f"{name}: {CHECKS[name](url, model)}", flush=True)
        except Exception as error:
            failed += 1
            print(f"{name}: FAILED: {type(error).__name__}: {error}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
