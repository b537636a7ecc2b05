"""What an answer has to be shaped like: the one place that reads `response_format`, `grammar` and Ollama's `format`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from .server_errors import bad_request, refused

_ANY_OBJECT = {"type": "object"}


def constraint_settings(
    *, response_format: Mapping[str, Any] | None = None, grammar: str | None = None, format: object = None
) -> dict[str, Any]:
    """Keyword settings of `Belle.stream` that give an answer its shape: none for plain text.

    ApiError, naming the field, for a shape that is not offered. What a schema or grammar says is checked later, where
    the answer is begun.
    """
    settings: dict[str, Any] = {}
    if response_format is not None and response_format.get("type") != "text":
        settings["schema"] = _schema_of_response_format(response_format)
    if grammar:
        settings["grammar"] = grammar
    if format not in (None, ""):
        settings["schema"] = _schema_of_format(format)
    if len(settings) > 1:
        raise bad_request("grammar: it does not go with response_format", param="grammar")
    if settings and find_spec("llguidance") is None:
        field = "grammar" if grammar else "response_format" if response_format is not None else "format"
        raise refused(field, "the server lacks the package llguidance: pip install 'belle-edge[schema]'")
    return settings


def _schema_of_response_format(asked: Mapping[str, Any]) -> Any:
    kind = asked.get("type")
    if kind == "json_object":
        return _ANY_OBJECT
    if kind != "json_schema":
        raise refused(
            "response_format",
            "expected the type text, json_object or json_schema; a grammar goes into grammar",
        )
    wanted = asked.get("json_schema")
    if not isinstance(wanted, Mapping) or not isinstance(wanted.get("schema"), (Mapping, bool)):
        raise bad_request(
            "response_format: expected a JSON schema under json_schema.schema", param="response_format"
        )
    return wanted["schema"]  # kept as a whole, whether strict or not


def _schema_of_format(asked: object) -> Any:
    if asked == "json":
        return _ANY_OBJECT
    if not isinstance(asked, Mapping):
        raise refused("format", 'expected "json" or a JSON schema')
    return asked
