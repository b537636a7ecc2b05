"""Which question a record asks: a field, a template over its fields, or what its fields are called."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import excerpt
from ..generation.item_settings import SETTINGS, meant_setting
from .result_fields import PROBABILITIES, RESULT_FIELDS

_TEXT_FIELDS = ("prompt", "text", "instruction")
_PLACE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
_ELSEWHERE = {
    "system": 'a system message stands in "messages"',
    "stream": "the answers of a batch are whole",
    "logprobs": "not offered here, but in Python",
    "top_logprobs": "not offered here, but in Python",
    "logit_bias": "not offered here, but in Python",
    "response_format": 'a schema stands under "schema"',
}


@dataclass(frozen=True)
class PromptRule:
    """How a record becomes an item of `Belle.batch`.

    field: holds the text, or a list of messages; None: the first of messages, prompt, text, instruction (with input
    below it). template: a text with {field} in it, {{ and }} stand for braces. with_settings: fields named as
    settings are settings of the record; else they are data. answer_field: that the answer will stand in. more_results:
    other fields that results add.
    """

    field: str | None = None
    template: str | None = None
    with_settings: bool = True
    answer_field: str = "answer"
    more_results: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.field is not None and self.template is not None:
            raise ValueError("--template and --field: expected one of them")
        if self.template is not None and not self._names():
            raise ValueError(
                f"--template: expected a field in braces, as {{text}}, got {excerpt(self.template)}"
            )

    def item(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """prompt or messages, and settings. ValueError where the record asks nothing, or what would be ignored."""
        self._check_free(fields, (self.answer_field, *RESULT_FIELDS, *self.more_results))
        question = self._question(fields)
        if not self.with_settings:
            return question
        for name in fields:
            if name in _ELSEWHERE:
                raise ValueError(f'"{name}": {_ELSEWHERE[name]}')
            if (meant := meant_setting(name)) is not None:
                raise ValueError(f'"{name}" is no setting of a record: did you mean "{meant}"?')
        used = {self.field, *self._names()}
        own = {name: fields[name] for name in SETTINGS if name in fields and name not in used}
        if own.get("choice") is not None:
            self._check_free(fields, PROBABILITIES)
        return {**own, **question}

    def _check_free(self, fields: Mapping[str, Any], results: Iterable[str]) -> None:
        taken = next((name for name in results if name in fields), None)
        if taken is not None:
            raise ValueError(f'"{taken}" is a field of the result: rename it, or see --answer-field')

    def _question(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        if self.template is not None:
            return {"prompt": self._filled(fields)}
        if self.field is not None:
            value = _value(fields, self.field)
            return {"messages" if isinstance(value, list) else "prompt": _asked(self.field, value)}
        if fields.get("messages") is not None and (
            self.with_settings or isinstance(fields["messages"], list)
        ):
            return {"messages": fields["messages"]}
        for name in _TEXT_FIELDS:
            if fields.get(name) is not None:
                text = _text(name, fields[name])
                more = fields.get("input") if name == "instruction" else None
                return {"prompt": f"{text}\n{_text('input', more)}" if more else text}
        raise ValueError(
            f"expected one of the fields messages, {', '.join(_TEXT_FIELDS)} (or --field, --template),"
            f" got {excerpt(', '.join(fields))}"
        )

    def _names(self) -> list[str]:
        found = [] if self.template is None else list(_PLACE.finditer(self.template))
        return [match[1] for match in found if match[1] is not None]

    def _filled(self, fields: Mapping[str, Any]) -> str:
        def value(match: re.Match[str]) -> str:
            return match[0][0] if match[1] is None else _written(_value(fields, match[1]))

        assert self.template is not None
        return _PLACE.sub(value, self.template)


def _value(fields: Mapping[str, Any], name: str) -> Any:
    if fields.get(name) is None:
        raise ValueError(f'no field "{name}", but {excerpt(", ".join(fields))}')
    return fields[name]


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _asked(name: str, value: Any) -> Any:
    return value if isinstance(value, list) else _text(name, value)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f'"{name}": expected a text, got {excerpt(value)}')
    return value
