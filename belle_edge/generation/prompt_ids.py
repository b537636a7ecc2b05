"""The token ids of what a user asks: a text, ids that are given as they are, or a dialogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized
from typing import Any

from ..errors import excerpt
from ..settings import token_ids
from ..text.prompts import Message, check_dialogue
from .answer import check_length
from .loaded_model import LoadedModel


def prompt_ids(model: LoadedModel, prompt: str | Sequence[int], *, raw: bool) -> list[int]:
    """Ids of a prompt; a text goes through the chat template unless raw. ValueError for what is neither."""
    if not isinstance(prompt, str):
        return _checked_ids(model, prompt)
    if raw:
        return model.tokenizer.encode(prompt, add_eos=False, limit=model.context)
    messages = [{"role": "user", "content": prompt}]
    return model.chat_format.encode(model.tokenizer, messages, limit=model.context)


def dialogue_ids(model: LoadedModel, messages: Sequence[Message]) -> list[int]:
    """Ids of a dialogue in the chat template. ValueError unless it is one that can be answered."""
    if isinstance(messages, str):
        raise ValueError("[messages] expected a list of messages, got a text: generate(text) answers it")
    check_dialogue(messages)
    return model.chat_format.encode(model.tokenizer, messages, limit=model.context)


def ids_within(name: str, given: Sequence[int], context: int) -> list[int]:
    """Token ids, at most `context` of them; there may be none. ValueError for more, and for what is no ids."""
    ids = token_ids(name, given, most=context)
    if len(ids) > context:  # only the beginning was read
        check_length(given if isinstance(given, Sized) else ids, context)
    return ids


def _checked_ids(model: LoadedModel, prompt: Sequence[int]) -> list[int]:
    """Ids of the vocabulary, no more than one beyond the context."""
    _check_kind(prompt)
    ids = ids_within("[generate] prompt", prompt, model.context)
    for token_id in ids:
        if not 0 <= token_id < len(model.tokenizer):
            raise ValueError(
                f"[generate] prompt: token id {excerpt(token_id)} is outside the vocabulary of "
                f"{len(model.tokenizer)} entries"
            )
    return ids


def _check_kind(prompt: Any) -> None:
    """ValueError, with what to write, for some things that are neither a text nor token ids."""
    advice = ""
    if prompt is None:
        advice = "generate('') answers an empty prompt"
    elif isinstance(prompt, (bytes, bytearray)):
        advice = "decode bytes first: prompt.decode('utf-8')"
    elif isinstance(prompt, (list, tuple)) and prompt and all(isinstance(part, str) for part in prompt):
        advice = "generate_batch(prompts) answers several texts"
    elif isinstance(prompt, (list, tuple)) and prompt and all(isinstance(part, Mapping) for part in prompt):
        advice = "chat(messages) answers a dialogue"
    elif isinstance(prompt, Mapping):
        advice = "chat([message]) answers a message"
    if advice:
        raise ValueError(
            f"[generate] prompt: expected a text or a list of integers, got {excerpt(prompt)}: {advice}"
        )
