"""Between LangChain's messages and ours: dialogues one way, answers with their counts of tokens the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ChatMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from ..errors import excerpt
from ..generation.streams import Generation
from ..text.prompts import Message
from .dialogue_turns import joined_turns

_ROLES = {"human": "user", "ai": "assistant", "system": "system"}
NO_TOOLS = "these models were not trained for tools"


def dialogue_of(messages: Sequence[BaseMessage]) -> list[Message]:
    """As `Belle.chat` takes them; several of one kind in a row are joined. ValueError for what is no text."""
    return joined_turns((_role(message), _text(message)) for message in messages)


def result_of_generation(generation: Generation, model_name: str) -> ChatResult:
    """A whole answer."""
    message = AIMessage(
        content=generation.text,
        usage_metadata=_usage(generation),
        response_metadata=_facts(generation, model_name),
    )
    return ChatResult(generations=[ChatGeneration(message=message)])


def piece_chunk(piece: str) -> ChatGenerationChunk:
    """A piece of an answer."""
    return ChatGenerationChunk(message=AIMessageChunk(content=piece))


def final_chunk(generation: Generation, model_name: str) -> ChatGenerationChunk:
    """The end of an answer: no text, but its counts of tokens and why it ended."""
    message = AIMessageChunk(
        content="",
        usage_metadata=_usage(generation),
        response_metadata=_facts(generation, model_name),
        chunk_position="last",
    )
    return ChatGenerationChunk(message=message)


def _role(message: BaseMessage) -> str:
    kind = message.role if isinstance(message, ChatMessage) else message.type.removesuffix("MessageChunk")
    if kind in _ROLES.values():
        return kind
    if kind.lower() in _ROLES:
        return _ROLES[kind.lower()]
    advice = f": {NO_TOOLS}" if kind in ("tool", "function") else ""
    raise ValueError(f"[langchain] expected a system, human or AI message, got one of type {kind!r}{advice}")


def _text(message: BaseMessage) -> str:
    if getattr(message, "tool_calls", None):
        raise ValueError(f"[langchain] an AI message has tool calls: {NO_TOOLS}")
    parts = [message.content] if isinstance(message.content, str) else message.content
    return "".join(part if isinstance(part, str) else _text_of_block(part) for part in parts)


def _text_of_block(block: dict[str, Any]) -> str:
    text = block.get("text")
    if block.get("type") != "text" or not isinstance(text, str):
        raise ValueError(
            f"[langchain] expected content of type text, got {excerpt(block.get('type'))}: these models read text"
        )
    return text


def _usage(generation: Generation) -> UsageMetadata:
    n_prompt, n_answer = generation.prompt_tokens, generation.completion_tokens
    counts = {"input_tokens": n_prompt, "output_tokens": n_answer, "total_tokens": n_prompt + n_answer}
    cached = {"cache_read": n_prompt - generation.prefilled_tokens}
    return cast("UsageMetadata", {**counts, "input_token_details": cached})


def _facts(generation: Generation, model_name: str) -> dict[str, Any]:
    """What `response_metadata` tells."""
    reason = "length" if generation.finish_reason == "length" else "stop"
    facts: dict[str, Any] = {
        "model_name": model_name,
        "model_provider": "belle-edge",
        "finish_reason": reason,
    }
    if generation.logprobs is not None:
        facts["logprobs"] = generation.to_dict()["logprobs"]
    return facts
