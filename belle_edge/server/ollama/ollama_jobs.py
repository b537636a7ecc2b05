"""A checked request of Ollama's interface: which answer it wants, and how that is told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from ...generation.answer import TokenLogprob
from ...generation.streams import Generation
from ...model import Belle
from ...text.prompts import Message
from ..answering import EventWriter, Outcome, Served
from ..dialogue import check_template
from ..server_errors import ApiError
from ..streaming import LINES, line
from ..token_views import chat_logprobs
from ..writing import Begun, Choice, Ended, Event, Piece
from .ollama_requests import OllamaFields

_REASONS = {"stop": "stop", "stop_string": "stop", "length": "length"}
_NS = 1_000_000_000


@dataclass(frozen=True)
class OllamaJob:
    """An answer to a dialogue or to a prompt. With neither the model is loaded, or let go of."""

    request: OllamaFields
    name: str  # of the model
    settings: dict[str, Any]
    max_tokens: int | None
    keep_alive_s: float | None
    route: str
    messages: list[Message] | None = None
    prompt: str | None = None  # taken as it is
    media_type: str = LINES

    @property
    def model(self) -> str | None:
        return self.name

    @property
    def streams(self) -> bool:
        return self.request.stream is not False and self.wants_text

    @property
    def wants_text(self) -> bool:
        return self.messages is not None or self.prompt is not None

    def choices(self, belle: Belle) -> list[Choice]:
        self.request.chosen.check_context(belle.context)
        settings = {**self.settings, "max_tokens": self.max_tokens}
        if self.request.chosen.num_keep is not None and self.request.chosen.num_keep > 0:
            settings["n_keep"] = min(self.request.chosen.num_keep, belle.context - 1)
        if self.messages is not None:
            check_template(belle)
            return [Choice(belle.stream_chat(self.messages, **settings))]
        return [] if self.prompt is None else [Choice(belle.stream(self.prompt, raw=True, **settings))]

    def writer(self, served: Served, choices: Sequence[Choice]) -> EventWriter:
        return OllamaWriter(self, served)

    def whole(self, served: Served, choices: Sequence[Choice], outcomes: Sequence[Outcome]) -> dict[str, Any]:
        result = outcomes[0].result if outcomes else None
        if result is None:
            reason = "unload" if self.keep_alive_s == 0 else "load"
            return {**self.part(served, ""), "done": True, "done_reason": reason}
        return {
            **self.part(served, result.text),
            **self.logprobs(served, result.logprobs or ()),
            **self.closing(served, result),
        }

    def part(self, served: Served, text: str) -> dict[str, Any]:
        """A piece of the answer, under the name that its route has for it."""
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        head = {"model": self.request.model, "created_at": now}
        if self.route == "/api/generate":
            return {**head, "response": text, "done": False}
        return {**head, "message": {"role": "assistant", "content": text}, "done": False}

    def logprobs(self, served: Served, tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
        """Nothing unless they were asked for."""
        if not self.request.logprobs or not tokens:
            return {}
        with_top = bool(self.request.top_logprobs)
        return {"logprobs": chat_logprobs(tokens, served.belle.tokenizer, with_top=with_top)}

    def closing(self, served: Served, result: Generation) -> dict[str, Any]:
        """What the last line says; times in nanoseconds."""
        return {
            "done": True,
            "done_reason": _REASONS[result.finish_reason],
            "total_duration": int(served.seconds * _NS),
            "load_duration": int(served.load_s * _NS),
            "prompt_eval_count": result.prompt_tokens,
            "prompt_eval_duration": int(result.timings.prefill_s * _NS),
            "eval_count": result.completion_tokens,
            "eval_duration": int(result.timings.decode_s * _NS),
        }


class OllamaWriter:
    """The lines of an answer."""

    def __init__(self, job: OllamaJob, served: Served) -> None:
        self._job = job
        self._served = served

    def bytes_of(self, happened: Event) -> Iterable[bytes]:
        job, served = self._job, self._served
        if isinstance(happened, Begun):
            return
        if isinstance(happened, Piece):
            yield line({**job.part(served, happened.text), **job.logprobs(served, happened.tokens)})
        elif isinstance(happened, Ended):
            assert happened.result is not None
            told = job.logprobs(served, happened.tokens)
            yield line({**job.part(served, ""), **told, **job.closing(served, happened.result)})

    def last(self) -> Iterable[bytes]:
        return ()

    def failed(self, error: ApiError) -> Iterable[bytes]:
        yield line({"error": error.message})
