"""A checked request for completions: raw prompts, their own log-probabilities, texts as they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ...generation.answer import TokenLogprob
from ...generation.prompt_ids import prompt_ids
from ...model import Belle
from ..answering import EventWriter, Outcome, Served
from ..server_errors import ApiError
from ..streaming import DONE, event
from ..token_views import CompletionLogprobs, joined
from ..writing import Choice, Ended, Event, Piece, PromptScoring, Scored
from .openai_jobs import FINGERPRINT, FINISH_REASONS, OpenAiJob, new_id, several, usage
from .openai_requests import CompletionRequest


@dataclass(frozen=True)
class CompletionJob(OpenAiJob):
    """A completion. Prompts stand in the order of the request, each with its n answers."""

    request: CompletionRequest
    prompts: list[str | list[int]]
    route: ClassVar[str] = "/v1/completions"

    def choices(self, belle: Belle) -> list[Choice]:
        made = []
        for prompt in self.prompts:
            ids = prompt_ids(belle, prompt, raw=True)
            echo = ""
            if self.request.echo:
                echo = prompt if isinstance(prompt, str) else belle.detokenize(ids)
            for settings in several(self.settings, self.request.n_answers):
                made.append(self._choice(belle, ids, settings, echo))
        return made

    def _choice(self, belle: Belle, ids: list[int], settings: dict[str, Any], echo: str) -> Choice:
        max_tokens = 1 if self.max_tokens == 0 else self.max_tokens  # checked all the same
        stream = belle.stream(ids, raw=True, max_tokens=max_tokens, **settings)
        scoring = None
        if self.request.echo and self.request.logprobs is not None:
            scoring = PromptScoring(belle, ids, self.request.logprobs)
        return Choice(None if self.max_tokens == 0 else stream, scoring, len(ids), echo)

    def writer(self, served: Served, choices: Sequence[Choice]) -> EventWriter:
        return CompletionWriter(self, served, choices)

    def whole(self, served: Served, choices: Sequence[Choice], outcomes: Sequence[Outcome]) -> dict[str, Any]:
        return {
            "id": new_id("cmpl"),
            "object": "text_completion",
            "created": served.created,
            "model": served.model,
            "system_fingerprint": FINGERPRINT,
            "choices": [
                self._told(served, index, choice, outcome)
                for index, (choice, outcome) in enumerate(zip(choices, outcomes, strict=True))
            ],
            "usage": usage(choices, outcomes, per_prompt=self.request.n_answers),
        }

    def _told(self, served: Served, index: int, choice: Choice, outcome: Outcome) -> dict[str, Any]:
        result = outcome.result
        parts = []
        if (view := self.view(served)) is not None:
            if choice.scoring is not None:
                parts += [view.first(choice.scoring.ids[0]), view.of(outcome.scored)]
            if result is not None:
                parts.append(view.of(result.logprobs or ()))
        return {
            "index": index,
            "text": choice.echo + (result.text if result is not None else ""),
            "logprobs": None if view is None else joined(parts),
            "finish_reason": "length" if result is None else FINISH_REASONS[result.finish_reason],
        }

    def view(self, served: Served) -> CompletionLogprobs | None:
        """None unless log-probabilities were asked for."""
        if self.request.logprobs is None:
            return None
        return CompletionLogprobs(served.belle.tokenizer, at_start=bool(self.request.echo))


class CompletionWriter:
    """The chunks of a completion."""

    def __init__(self, job: CompletionJob, served: Served, choices: Sequence[Choice]) -> None:
        self._job = job
        self._served = served
        self._choices = choices
        self._outcomes = [Outcome() for _ in choices]
        self._views = [job.view(served) for _ in choices]
        self._id = new_id("cmpl")

    def bytes_of(self, happened: Event) -> Iterable[bytes]:
        index = happened.index
        choice, view = self._choices[index], self._views[index]
        if isinstance(happened, Scored):
            assert view is not None
            assert choice.scoring is not None
            parts = [view.first(choice.scoring.ids[0]), view.of(happened.tokens)]
            yield self._chunk(index, choice.echo, joined(parts))
        elif isinstance(happened, Piece):
            yield self._chunk(index, happened.text, self._logprobs(index, happened.tokens))
        elif isinstance(happened, Ended):
            self._outcomes[index].result = happened.result
            reason = "length" if happened.result is None else FINISH_REASONS[happened.result.finish_reason]
            yield self._chunk(index, "", self._logprobs(index, happened.tokens), reason=reason)
        elif choice.echo and choice.scoring is None:
            yield self._chunk(index, choice.echo, None)

    def last(self) -> Iterable[bytes]:
        if self._job.request.wants_usage:
            counts = usage(self._choices, self._outcomes, per_prompt=self._job.request.n_answers)
            yield event({**self._head(), "choices": [], "usage": counts})
        yield DONE

    def failed(self, error: ApiError) -> Iterable[bytes]:
        yield event(error.body())
        yield DONE

    def _logprobs(self, index: int, tokens: Sequence[TokenLogprob]) -> dict[str, Any] | None:
        view = self._views[index]
        return view.of(tokens) if view is not None and tokens else None

    def _chunk(
        self, index: int, text: str, logprobs: dict[str, Any] | None, *, reason: str | None = None
    ) -> bytes:
        choice = {"index": index, "text": text, "logprobs": logprobs, "finish_reason": reason}
        counts = {"usage": None} if self._job.request.wants_usage else {}
        return event({**self._head(), "choices": [choice], **counts})

    def _head(self) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": "text_completion",
            "created": self._served.created,
            "model": self._served.model,
            "system_fingerprint": FINGERPRINT,
        }
