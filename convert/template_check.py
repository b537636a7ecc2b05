"""Whether the chat template that goes into a file can be rendered here: said while there is still a choice."""

from __future__ import annotations

from typing import Any

from belle_edge.convert.gguf_tokenizer import TokenizerTables
from belle_edge.text.prompts import render

_QUESTION = {"role": "user", "content": "x"}
_ANSWER = {"role": "assistant", "content": "y"}


def template_warnings(template: Any, tables: TokenizerTables) -> list[str]:
    """What to say in the report: nothing for a template that renders a first question and a second one."""
    if not isinstance(template, str):
        return []
    bos, eos = _text(tables, tables.bos_id), _text(tables, tables.eos_id)
    for messages, asked in (
        ([_QUESTION], "only generate --raw runs"),
        ([_QUESTION, _ANSWER, _QUESTION], "a chat ends after one answer"),
    ):
        try:
            render(template, messages, bos_token=bos, eos_token=eos)
        except ValueError as error:
            reason = str(error).removesuffix("; use raw=True to send the text as it is")
            return [f"{reason}: the template is kept, but {asked}; --family writes a family's own"]
    return []


def _text(tables: TokenizerTables, token_id: int | None) -> str:
    return "" if token_id is None else tables.tokens[token_id]
