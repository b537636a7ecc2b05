"""Messages of both interfaces as this package's own: roles, and texts that came in parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from ..model import Belle
from ..text.prompts import Message
from .request_fields import Refused, RequestFields
from .server_errors import ApiError, bad_request

NO_TOOLS = Refused(
    "function calling is not offered: these models were not trained for it", ("none", "auto", {})
)
NO_IMAGES = Refused("images are not offered: these models read text")
_ROLES = {"developer": "system"}  # OpenAI's newer name


class TextPart(RequestFields):
    """A part of a message's content."""

    type: Literal["text"]
    text: str

    @model_validator(mode="before")
    @classmethod
    def _only_text(cls, given: Any) -> Any:
        kind = given.get("type") if isinstance(given, Mapping) else None
        if isinstance(kind, str) and kind != "text":
            raise ApiError(
                400,
                f"messages: content of type {kind[:40]!r} is not offered: these models read text",
                code="unsupported_content",
                param="messages",
            )
        return given


class DialogueMessage(RequestFields):
    """One message; `name` and what clients send back of earlier answers is left out of the prompt."""

    ignored: ClassVar[frozenset[str]] = frozenset(
        {"name", "refusal", "annotations", "thinking", "reasoning_content"}
    )
    refused: ClassVar[Mapping[str, Refused]] = {
        **dict.fromkeys(("tool_calls", "function_call", "tool_call_id", "tool_name"), NO_TOOLS),
        "images": NO_IMAGES,
        "audio": Refused("sound is not offered: these models read text"),
    }
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart] = Field(default="")

    @model_validator(mode="before")
    @classmethod
    def _known_role(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and given.get("role") in ("tool", "function"):
            raise bad_request(f"messages: role {given['role']!r}: {NO_TOOLS.advice}", param="messages")
        if isinstance(given, Mapping) and given.get("content", "") is None:
            raise bad_request("messages: content: expected a text, got null", param="messages")
        return given

    def message(self) -> Message:
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return {"role": _ROLES.get(self.role, self.role), "content": text}


def check_template(belle: Belle) -> None:
    """ApiError for a model that cannot be asked in a dialogue."""
    if belle.chat_format.template is None:
        raise bad_request(
            "this model's file has no chat template: /v1/completions takes a text as it is, or start the server with "
            "--family or --chat-template",
            code="no_chat_template",
        )


def dialogue(messages: Sequence[DialogueMessage]) -> list[Message]:
    """As `Belle.chat` takes them."""
    return [message.message() for message in messages]
