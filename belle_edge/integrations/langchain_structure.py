"""LangChain's `with_structured_output`: answers within a schema, read into what the schema was given as."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable, RunnableLambda, RunnableMap, RunnablePassthrough
from langchain_core.utils.function_calling import convert_to_json_schema

from .. import strict_json
from ..generation.schema_check import schema_of

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel, LanguageModelInput


def structured(
    chat: BaseChatModel, schema: dict[str, Any] | type, *, include_raw: bool
) -> Runnable[LanguageModelInput, Any]:
    """See `ChatBelle.with_structured_output`."""
    told = {"kwargs": {"method": "json_schema"}, "schema": schema}
    asked = chat.bind(schema=json_schema_of(schema), ls_structured_output_format=told)
    parser = RunnableLambda(partial(_parsed, schema), name="parsed")
    if not include_raw:
        return asked | parser
    read = RunnablePassthrough.assign(parsed=itemgetter("raw") | parser, parsing_error=lambda _: None)
    unread = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=asked) | read.with_fallbacks([unread], exception_key="parsing_error")


def json_schema_of(schema: dict[str, Any] | type) -> dict[str, Any]:
    """The JSON schema that a pydantic class, a TypedDict, a function of OpenAI's form, or one itself describes."""
    if isinstance(schema, Mapping):
        function = schema.get("function", schema)
        inner = function.get("parameters") if isinstance(function, Mapping) and "name" in function else None
        return dict(schema if inner is None else inner)
    if hasattr(schema, "model_json_schema"):
        return dict(schema_of(schema))
    return {"additionalProperties": False, **convert_to_json_schema(schema)}


def _parsed(schema: dict[str, Any] | type, message: AIMessage) -> Any:
    """OutputParserException for an answer that `max_tokens` cut, or that a class's own validators refuse."""
    text = str(message.text)
    if message.response_metadata.get("finish_reason") == "length":
        raise OutputParserException(
            "[langchain] the answer ended in its middle: give it a larger max_tokens, or its schema bounds",
            llm_output=text,
        )
    read = getattr(schema, "model_validate", None) or getattr(schema, "parse_obj", None)
    try:
        value = strict_json.parse(text)
        return value if read is None else read(value)
    except ValueError as error:  # pydantic's errors are such too
        raise OutputParserException(
            f"[langchain] the answer does not fit: {error}", llm_output=text
        ) from error
