"""Chat histories of lm-eval to the text of a prompt, by the model's template."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ...text.chat_format import ChatFormat
from ...text.prompts import Message, render
from ...text.tokenizer import Tokenizer

_LOG = logging.getLogger("lm_eval")  # where the harness reports


def rendered(
    chat_format: ChatFormat,
    tokenizer: Tokenizer,
    history: Sequence[Message],
    *,
    add_generation_prompt: bool = True,
) -> str:
    """The text of `history`. add_generation_prompt False: its last message is the beginning of what comes next, and the
    text ends with it.

    A template that rejects a system message gets the history without it, with a warning. ValueError without a
    template, for one that is broken, or does not repeat the last message.
    """
    if chat_format.template is None:
        raise ValueError(
            "[harness] this file has no chat template: give family=… or chat_template=… among the model's arguments, "
            "or leave out --apply_chat_template"
        )
    try:
        text = _render(chat_format, tokenizer, history, add_generation_prompt)
    except ValueError as error:
        others = [message for message in history if message.get("role") != "system"]
        if len(others) == len(history):
            raise
        _LOG.warning("The chat template failed with a system message, which is left out: %s", error)
        history, text = others, _render(chat_format, tokenizer, others, add_generation_prompt)
    return text if add_generation_prompt else _up_to(text, history[-1]["content"])


def _render(
    chat_format: ChatFormat, tokenizer: Tokenizer, history: Sequence[Message], add_generation_prompt: bool
) -> str:
    return render(
        chat_format.template or "",
        history,
        bos_token=tokenizer.bos_token,
        eos_token=tokenizer.eos_token,
        add_generation_prompt=add_generation_prompt,
    )


def _up_to(text: str, content: str) -> str:
    """`text` without what a template puts behind its last message; templates may strip a message."""
    stripped = content.strip()
    begin = text.rfind(stripped)
    if begin < 0:
        raise ValueError(
            "[harness] the chat template does not repeat the last message: it cannot be continued"
        )
    for wanted in (content.lstrip(), stripped):
        if text.startswith(wanted, begin):
            return text[: begin + len(wanted)]
    raise AssertionError("a text begins with what was found in it")
