"""OpenAI's batch files: a request in each line, a response in each line. No time and no chance is in them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from .._version import __version__
from ..errors import ContextLengthError, excerpt
from ..generation.streams import Generation
from ..sampling import SAMPLING_NUMBERS
from .input_records import InputRecord
from .result_fields import problem_of

_CHAT, _COMPLETIONS = "/v1/chat/completions", "/v1/completions"
_LINE_FIELDS = {"custom_id", "method", "url", "body"}
_SETTINGS = (*SAMPLING_NUMBERS, "penalty_scope", "seed", "stop")
_IGNORED = {"model", "user", "metadata", "safety_identifier", "service_tier", "prompt_cache_key"}
_NEUTRAL: Mapping[str, tuple[Any, ...]] = {  # what is not offered, with the values that ask for nothing
    "n": (1,),
    "stream": (False,),
    "logprobs": (False, 0),
    "top_logprobs": (0,),
    "store": (False,),
    "best_of": (1,),
    "echo": (False,),
    "logit_bias": ({},),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "modalities": (["text"],),
}
_REASONS = {"stop": "stop", "stop_string": "stop", "length": "length"}


def is_request(fields: Mapping[str, Any]) -> bool:
    """Whether a record is a line of such a file."""
    return {"custom_id", "url", "body"} <= fields.keys()


def request_item(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What `Belle.batch` takes. ValueError for what is not offered, and for what would be ignored."""
    foreign = sorted(fields.keys() - _LINE_FIELDS)
    if foreign or not isinstance(fields.get("custom_id"), str):
        raise ValueError(
            f"expected custom_id (a text), method, url and body, got {excerpt(', '.join(fields))}"
        )
    if fields.get("method", "POST") != "POST":
        raise ValueError(f"method: expected POST, got {excerpt(fields['method'])}")
    url, body = fields.get("url"), fields.get("body")
    if url not in (_CHAT, _COMPLETIONS):
        raise ValueError(f"url: expected {_CHAT} or {_COMPLETIONS}, got {excerpt(url)}")
    if not isinstance(body, Mapping):
        raise ValueError(f"body: expected an object, got {excerpt(body)}")
    given = {name: value for name, value in body.items() if value is not None and name not in _IGNORED}
    item = {name: given.pop(name) for name in _SETTINGS if name in given}
    item |= _question(given, chat=url == _CHAT) | _length(given) | _shape(given)
    for name, value in given.items():
        if value not in _NEUTRAL.get(name, ()):
            raise ValueError(f"{name}: not offered here, leave it out")
    return item


def _question(given: dict[str, Any], *, chat: bool) -> dict[str, Any]:
    """What is asked; it is taken out of `given`."""
    if not chat:
        prompt = given.pop("prompt", None)
        if not isinstance(prompt, str) and not _are_ids(prompt):
            raise ValueError(f"prompt: expected one text, or token ids, got {excerpt(prompt)}")
        return {"prompt": prompt, "raw": True}
    messages = given.pop("messages", None)
    if not isinstance(messages, list):
        raise ValueError(f"messages: expected a list, got {excerpt(messages)}")
    return {"messages": [_message(message) for message in messages]}


def _are_ids(value: Any) -> bool:
    return isinstance(value, list) and all(type(part) is int for part in value)


def _message(message: Any) -> dict[str, Any]:
    if (
        not isinstance(message, Mapping)
        or message.get("tool_calls")
        or message.get("role") in ("tool", "function")
    ):
        raise ValueError(f"messages: expected a role and a text, got {excerpt(message)}")
    role, content = message.get("role"), message.get("content")
    if isinstance(content, list):
        if any(not isinstance(part, Mapping) or part.get("type") != "text" for part in content):
            raise ValueError("messages: expected parts of type text: these models read text")
        content = "".join(str(part.get("text", "")) for part in content)
    return {"role": "system" if role == "developer" else role, "content": content}


def _length(given: dict[str, Any]) -> dict[str, Any]:
    lengths = [given.pop(name) for name in ("max_tokens", "max_completion_tokens") if name in given]
    if len(lengths) == 2 and lengths[0] != lengths[1]:
        raise ValueError("max_tokens and max_completion_tokens say different things")
    return {"max_tokens": lengths[0]} if lengths else {}


def _shape(given: dict[str, Any]) -> dict[str, Any]:
    asked = given.pop("response_format", None)
    kind = asked.get("type") if isinstance(asked, Mapping) else None
    if asked is None or kind == "text":
        return {}
    if kind == "json_object":
        return {"schema": {"type": "object"}}
    wanted = asked.get("json_schema") if kind == "json_schema" else None
    if not isinstance(wanted, Mapping) or not isinstance(wanted.get("schema"), (Mapping, bool)):
        raise ValueError("response_format: expected text, json_object, or a schema under json_schema.schema")
    return {"schema": wanted["schema"]}


class OpenAiLines:
    """An `OutputForm`: a response for each request, under its custom_id."""

    header = b""
    refuses_cut = False  # its finish_reason says so

    def __init__(self, model_name: str) -> None:
        """model_name: what responses say in `model`."""
        self._model_name = model_name

    def problem(self, record: InputRecord) -> str | None:
        return None

    def line(self, record: InputRecord, outcome: Generation | Exception) -> bytes:
        key = hashlib.sha256(f"{record.index} {record.digest}".encode()).hexdigest()[:24]
        line: dict[str, Any] = {
            "id": f"batch_req_{key}",
            "custom_id": record.fields.get("custom_id"),
            "response": None,
            "error": None,
        }
        if not is_request(record.fields):
            problem = problem_of(outcome) if isinstance(outcome, Exception) else ""
            line["error"] = {"code": "invalid_request", "message": f"line {record.line}: {problem}"}
        else:
            failed = isinstance(outcome, Exception)
            body = (
                _refusal(outcome)
                if isinstance(outcome, Exception)
                else self._completion(record, key, outcome)
            )
            line["response"] = {
                "status_code": 400 if failed else 200,
                "request_id": f"req_{key}",
                "body": body,
            }
        return json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n"

    def _completion(self, record: InputRecord, key: str, result: Generation) -> dict[str, Any]:
        chat = record.fields["url"] == _CHAT
        choice: dict[str, Any] = {"index": 0}
        if chat:
            choice["message"] = {"role": "assistant", "content": result.text, "refusal": None}
        else:
            choice["text"] = result.text
        choice |= {"logprobs": None, "finish_reason": _REASONS[result.finish_reason]}
        return {
            "id": f"{'chatcmpl' if chat else 'cmpl'}-{key}",
            "object": "chat.completion" if chat else "text_completion",
            "created": 0,  # a time would differ from run to run
            "model": self._model_name,
            "system_fingerprint": f"belle-edge-{__version__}",
            "choices": [choice],
            "usage": {
                "prompt_tokens": result.prompt_tokens,
                "completion_tokens": result.completion_tokens,
                "total_tokens": result.prompt_tokens + result.completion_tokens,
            },
        }


def _refusal(error: Exception) -> dict[str, Any]:
    """The body of a response with status 400."""
    code = "context_length_exceeded" if isinstance(error, ContextLengthError) else "invalid_request"
    return {
        "error": {
            "message": problem_of(error),
            "type": "invalid_request_error",
            "param": None,
            "code": code,
        }
    }
