"""The lines of `generate --lines` and `--jsonl`: prompts with an id and settings of their own, or what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from ..generation.item_settings import SETTINGS
from ..strict_json import JsonError, parse
from ..text.encodings import marked_encoding
from .foreign_names import OPTIONS
from .text_input import BOM, decoded

_ADVICE = {  # names that mean something elsewhere: ignoring them would answer another question
    "messages": 'one prompt per line: give its text under "prompt"',
    "system": "belle-edge chat takes --system",
    "logprobs": "--logprobs is for all lines",
    "top_logprobs": "--logprobs is for all lines",
    "stream": "the answers of a batch are whole",
    "n": "one answer per line: repeat the line, with another seed",
    "num_beams": "not offered: temperature 0 takes the most probable token",
    "do_sample": "temperature 0 takes the most probable token",
    "logit_bias": "not offered here, but in Python",
    "banned": "not offered here, but in Python",
    **dict.fromkeys(("response_format", "json_schema", "guided_json"), 'a schema stands under "schema"'),
    "overflow": "a line's answer ends with the context",
    "n_keep": "a line's answer ends with the context",
}
_RECORD = {  # fields of an answer
    "line", "error", "text", "token_ids", "finish_reason", "prompt_tokens", "completion_tokens",
    "prefill_s", "decode_s", "tokens_per_s", "isa", "threads",
}  # fmt: skip


@dataclass(frozen=True)
class PromptLine:
    """One line that is not empty."""

    number: int  # from 1, empty lines counted
    prompt: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)  # of this line alone
    kept: Mapping[str, Any] = field(default_factory=dict)  # what comes back with its answer
    error: str | None = None


def prompt_lines(content: bytes, *, jsonl: bool, encoding: str | None, where: str) -> Iterator[PromptLine]:
    """The lines of an input; empty ones are left out. ValueError where it cannot be cut into lines.

    Each line is decoded by itself, so that one in another encoding is an error of its own.
    """
    encoding = encoding or marked_encoding(content)
    if encoding is not None and encoding.startswith(("utf-16", "utf-32")):
        content, encoding = decoded(content, encoding=encoding, where=where).encode(), None
    content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    for number, raw in enumerate(content.split(b"\n"), start=1):
        try:
            text = decoded(raw, encoding=encoding, where="the line")
            if text.strip():
                yield _json_line(number, text) if jsonl else PromptLine(number, text)
        except ValueError as error:
            yield PromptLine(number, error=str(error))


def _json_line(number: int, text: str) -> PromptLine:
    try:
        value = parse(text.strip().lstrip(BOM))
    except JsonError as error:
        return PromptLine(number, error=f"not JSON: {error}")
    fields = {"prompt": value} if isinstance(value, str) else value
    if not isinstance(fields, dict) or not isinstance(fields.get("prompt"), str):
        kept = {"id": value["id"]} if isinstance(value, dict) and "id" in value else {}
        advice = f" ({_ADVICE['messages']})" if isinstance(value, dict) and "messages" in value else ""
        return PromptLine(
            number, kept=kept, error=f'expected a text, or an object with a text under "prompt"{advice}'
        )
    settings = {name: fields[name] for name in SETTINGS if fields.get(name) is not None}
    others = {name: field for name, field in fields.items() if name not in (*SETTINGS, "prompt")}
    problems = [problem for name in others if (problem := _refusal(name)) is not None]
    kept = {name: field for name, field in others.items() if _refusal(name) is None}
    if isinstance(settings.get("stop"), str):
        settings["stop"] = [settings["stop"]]
    if not isinstance(settings.get("raw", False), bool):
        problems.append(f"raw: expected true or false, got {fields['raw']!r}")
    return PromptLine(number, fields["prompt"], settings, kept, problems[0] if problems else None)


def _refusal(name: str) -> str | None:
    """Why a field is no more than that: a setting that there is not, or that has another name. None: it is kept."""
    if name == "id":
        return None
    key = name.lower().replace("-", "_")
    if key in _ADVICE:
        return f'"{name}": {_ADVICE[key]}'
    if name in _RECORD:
        return f'"{name}" is a field of the answer: rename it'
    ours = (option.removeprefix("--").replace("-", "_") for option in OPTIONS.get(key.replace("_", "-"), ()))
    meant = next((option for option in ours if option in SETTINGS), None)
    if meant is None and len(key) > 3:
        meant = next(iter(get_close_matches(key, SETTINGS, n=1, cutoff=0.8)), None)
    return f'"{name}" is no setting of a line: did you mean "{meant}"?' if meant is not None else None
