"""A checked request of OpenAI's interface: which answers it wants, and how they are told."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ..._version import __version__
from ...generation.answer import TokenLogprob
from ...generation.prompt_ids import dialogue_ids
from ...generation.streams import Generation
from ...model import Belle
from ...text.prompts import Message
from ..answering import EventWriter, Outcome, Served
from ..dialogue import check_template
from ..server_errors import ApiError
from ..streaming import DONE, EVENTS, event
from ..token_views import chat_logprobs
from ..writing import Begun, Choice, Ended, Event, Piece
from .openai_requests import ChatCompletionRequest, CompletionFields

FINISH_REASONS = {"stop": "stop", "stop_string": "stop", "length": "length"}
FINGERPRINT = f"belle-edge-{__version__}"


def new_id(prefix: str) -> str:
    """A name of an answer, as OpenAI's look."""
    return f"{prefix}-{os.urandom(12).hex()}"


def usage(choices: Sequence[Choice], outcomes: Sequence[Outcome], *, per_prompt: int) -> dict[str, Any]:
    """Counts of tokens. A prompt counts once, however many answers it gets (`per_prompt`)."""
    firsts = range(0, len(choices), per_prompt)
    results = [outcome.result for outcome in outcomes]
    prompt = sum(_prompt_tokens(choices[at], results[at]) for at in firsts)
    cached = sum(r.prompt_tokens - r.prefilled_tokens for at in firsts if (r := results[at]) is not None)
    answer = sum(result.completion_tokens for result in results if result is not None)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": answer,
        "total_tokens": prompt + answer,
        "prompt_tokens_details": {"cached_tokens": max(0, cached)},
    }


def _prompt_tokens(choice: Choice, result: Generation | None) -> int:
    return choice.n_prompt if result is None else result.prompt_tokens


def several(settings: dict[str, Any], n: int) -> list[dict[str, Any]]:
    """The settings of n answers to one prompt: a seed counts up, so that they differ."""
    seed = settings.get("seed")
    if seed is None or seed < 0:  # the engine refuses the latter
        return [settings] * n
    return [{**settings, "seed": (seed + index) % 2**64} for index in range(n)]


@dataclass(frozen=True)
class OpenAiJob:
    """What both kinds of requests have: settings as `Belle.stream` takes them."""

    request: CompletionFields
    settings: dict[str, Any]
    max_tokens: int | None
    keep_alive_s: float | None
    media_type: ClassVar[str] = EVENTS

    @property
    def model(self) -> str | None:
        return self.request.model

    @property
    def streams(self) -> bool:
        return bool(self.request.stream)


@dataclass(frozen=True)
class ChatJob(OpenAiJob):
    """A chat completion."""

    request: ChatCompletionRequest
    messages: list[Message]
    route: ClassVar[str] = "/v1/chat/completions"

    def choices(self, belle: Belle) -> list[Choice]:
        check_template(belle)
        ids = dialogue_ids(belle, self.messages)
        return [
            Choice(belle.stream(ids, max_tokens=self.max_tokens, **settings))
            for settings in several(self.settings, self.request.n_answers)
        ]

    def writer(self, served: Served, choices: Sequence[Choice]) -> EventWriter:
        return ChatWriter(self, served, choices)

    def whole(self, served: Served, choices: Sequence[Choice], outcomes: Sequence[Outcome]) -> dict[str, Any]:
        return {
            "id": new_id("chatcmpl"),
            "object": "chat.completion",
            "created": served.created,
            "model": served.model,
            "system_fingerprint": FINGERPRINT,
            "choices": [
                self._choice(served, index, outcome.result)
                for index, outcome in enumerate(outcomes)
                if outcome.result is not None
            ],
            "usage": usage(choices, outcomes, per_prompt=self.request.n_answers),
        }

    def _choice(self, served: Served, index: int, result: Generation) -> dict[str, Any]:
        return {
            "index": index,
            "message": {"role": "assistant", "content": result.text, "refusal": None},
            "logprobs": self.logprobs(served, result.logprobs),
            "finish_reason": FINISH_REASONS[result.finish_reason],
        }

    def logprobs(self, served: Served, tokens: Iterable[TokenLogprob] | None) -> dict[str, Any] | None:
        """None unless they were asked for."""
        if not self.request.logprobs or tokens is None:
            return None
        return {"content": chat_logprobs(tokens, served.belle.tokenizer), "refusal": None}


class ChatWriter:
    """The chunks of a chat completion."""

    def __init__(self, job: ChatJob, served: Served, choices: Sequence[Choice]) -> None:
        self._job = job
        self._served = served
        self._choices = choices
        self._outcomes = [Outcome() for _ in choices]
        self._id = new_id("chatcmpl")

    def bytes_of(self, happened: Event) -> Iterable[bytes]:
        if isinstance(happened, Begun):
            yield self._chunk(happened.index, {"role": "assistant", "content": ""})
        elif isinstance(happened, Piece):
            yield self._chunk(happened.index, {"content": happened.text}, happened.tokens)
        elif isinstance(happened, Ended):
            self._outcomes[happened.index].result = happened.result
            assert happened.result is not None
            reason = FINISH_REASONS[happened.result.finish_reason]
            yield self._chunk(happened.index, {}, happened.tokens or None, reason=reason)

    def last(self) -> Iterable[bytes]:
        if self._job.request.wants_usage:
            counts = usage(self._choices, self._outcomes, per_prompt=self._job.request.n_answers)
            yield event({**self._head(), "choices": [], "usage": counts})
        yield DONE

    def failed(self, error: ApiError) -> Iterable[bytes]:
        yield event(error.body())
        yield DONE

    def _chunk(
        self,
        index: int,
        delta: dict[str, Any],
        tokens: Sequence[TokenLogprob] | None = None,
        *,
        reason: str | None = None,
    ) -> bytes:
        choice = {
            "index": index,
            "delta": delta,
            "logprobs": self._job.logprobs(self._served, tokens),
            "finish_reason": reason,
        }
        counts = {"usage": None} if self._job.request.wants_usage else {}
        return event({**self._head(), "choices": [choice], **counts})

    def _head(self) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._served.created,
            "model": self._served.model,
            "system_fingerprint": FINGERPRINT,
        }
