"""What a client of OpenAI's interface may send, and what it means to this engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from ...settings import integer
from ..constraints import constraint_settings
from ..dialogue import NO_TOOLS, DialogueMessage
from ..durations import seconds_of
from ..request_fields import Refused, RequestFields
from ..server_errors import bad_request

MAX_CHOICES = 128
MAX_TOP_LOGPROBS = 20
_SAMPLING = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "repetition_penalty",
    "presence_penalty",
    "frequency_penalty",
    "penalty_scope",
    "seed",
    "stop",
)


class StreamOptions(RequestFields):
    """Of a stream."""

    ignored: ClassVar[frozenset[str]] = frozenset({"include_obfuscation"})
    include_usage: bool | None = None


class CompletionFields(RequestFields):
    """What both ways of asking have."""

    ignored: ClassVar[frozenset[str]] = frozenset(
        {
            "user",
            "metadata",
            "safety_identifier",
            "service_tier",
            "prompt_cache_key",
            "prompt_cache_retention",
            "prompt_cache_options",
        }
    )
    refused: ClassVar[Mapping[str, Refused]] = {
        "store": Refused("nothing is stored here", (False,)),
        "best_of": Refused("answers are not ranked here: ask for n, with logprobs", (1,)),
        **dict.fromkeys(
            ("tools", "functions", "function_call", "tool_choice", "parallel_tool_calls"),
            Refused(NO_TOOLS.advice, ("none", "auto", True, False)),
        ),
        "modalities": Refused("only text is offered", (["text"],)),
        "audio": Refused("only text is offered"),
        "prediction": Refused("predicted outputs are not offered"),
        "web_search_options": Refused("nothing is fetched from outside"),
        "moderation": Refused("there is no moderation here"),
        "reasoning_effort": Refused("these models do not reason apart from their answer", ("none",)),
        "verbosity": Refused("these models have no such setting: say it in the prompt", ("medium",)),
        **dict.fromkeys(
            ("guided_json", "guided_regex", "guided_choice", "guided_grammar", "structured_outputs"),
            Refused("write response_format or grammar"),
        ),
        "max_new_tokens": Refused("write max_tokens"),
        "repeat_penalty": Refused("write repetition_penalty"),
    }
    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    penalty_scope: Literal["all", "answer"] | None = None
    seed: int | None = None
    stop: str | Annotated[list[str], Field(max_length=16)] | None = None
    logit_bias: dict[str, float] | None = None
    overflow: Literal["error", "slide"] | None = None
    n_keep: int | None = None
    keep_alive: str | float | None = None
    response_format: dict[str, Any] | None = None
    grammar: str | None = None

    @property
    def n_answers(self) -> int:
        """Of each prompt."""
        return self.n or 1

    @property
    def wants_usage(self) -> bool:
        """Whether a stream ends with the counts of tokens."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)

    def keep_alive_s(self) -> float | None:
        """None: as the server was told."""
        return None if self.keep_alive is None else seconds_of("keep_alive", self.keep_alive)

    def settings(self) -> dict[str, Any]:
        """Keyword settings of `Belle.stream`, without its length. ApiError and ValueError for what is not offered."""
        shape = constraint_settings(response_format=self.response_format, grammar=self.grammar)
        if self.stream_options is not None and not self.stream:
            raise bad_request("stream_options: it goes with stream: true only", param="stream_options")
        settings = {**self.given(*_SAMPLING, "overflow", "n_keep"), **shape}
        if self.logit_bias:
            settings["logit_bias"] = {_token_id(key): value for key, value in self.logit_bias.items()}
        return settings


class ChatCompletionRequest(CompletionFields):
    """The body of /v1/chat/completions."""

    messages: Annotated[list[DialogueMessage], Field(min_length=1)]
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS)] | None = None

    def settings(self) -> dict[str, Any]:
        settings = super().settings()
        if self.top_logprobs and not self.logprobs:
            raise bad_request("top_logprobs: it goes with logprobs: true only", param="top_logprobs")
        if self.logprobs:
            settings["top_logprobs"] = self.top_logprobs or 0
        return settings

    def length(self) -> int | None:
        """Tokens of an answer at most, None: up to the end of the context. ApiError for two that differ."""
        if self.max_tokens is not None and self.max_completion_tokens not in (None, self.max_tokens):
            raise bad_request("max_tokens and max_completion_tokens say different things", param="max_tokens")
        return self.max_completion_tokens if self.max_tokens is None else self.max_tokens


class CompletionRequest(CompletionFields):
    """The body of /v1/completions."""

    refused: ClassVar[Mapping[str, Refused]] = {
        **CompletionFields.refused,
        "suffix": Refused("filling in a gap is not offered: these models were not trained for it", ("",)),
    }
    prompt: (
        str
        | Annotated[list[str], Field(max_length=MAX_CHOICES)]
        | list[int]
        | Annotated[list[list[int]], Field(max_length=MAX_CHOICES)]
    )
    max_tokens: Annotated[int, Field(ge=0)] | None = None
    echo: bool | None = None
    logprobs: Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS)] | None = None

    def settings(self) -> dict[str, Any]:
        settings = super().settings()
        if self.logprobs is not None:
            settings["top_logprobs"] = self.logprobs
        return settings

    def prompts(self) -> list[str | list[int]]:
        """Each a text, or ids. ApiError for none, and for too many answers."""
        given: list[Any] = self.prompt if isinstance(self.prompt, list) else [self.prompt]
        prompts = [given] if given and isinstance(given[0], int) else given
        if not prompts:
            raise bad_request(
                "prompt: expected a text, token ids, or a list of them, got none", param="prompt"
            )
        if len(prompts) * self.n_answers > MAX_CHOICES:
            raise bad_request(
                f"prompt: expected at most {MAX_CHOICES} answers in one request", param="prompt"
            )
        return prompts


def _token_id(text: str) -> int:
    """A key of logit_bias. ApiError for what is no token id."""
    if not text.isdecimal() or len(text) > 10:
        raise bad_request(f"logit_bias: expected token ids as keys, got {text[:40]!r}", param="logit_bias")
    return integer("[sampling] logit_bias id", int(text), low=0)
