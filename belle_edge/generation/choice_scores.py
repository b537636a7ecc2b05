"""Which of some texts is the most probable answer: asked by likelihood, nothing is drawn.

A choice counts with the probability that the answer begins with it, and with no longer choice. So "正面。" counts for
"正面", and of "1" and "10" the answer "10" counts for the second alone. These cases exclude each other. An end token is
not scored: it would punish the choices after which the model likes to go on. Nor is a sum divided by its tokens: the
quotient is no probability.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..backends.base import SequenceState
from ..errors import ContextLengthError, excerpt
from ..text.chat_format import encode_continuation
from ..text.tokenizer import Tokenizer
from .answer import check_length
from .common_beginnings import common_length, common_prefix
from .loaded_model import LoadedModel
from .prompt_ids import dialogue_ids, prompt_ids
from .streams import Generation, Timings
from .token_scores import Scores, scores_of


@dataclass(frozen=True)
class Choice(Generation):
    """The most probable of some texts, as an answer that ends by itself; of equal ones the first."""

    probabilities: Mapping[str, float] = field(default_factory=dict)  # of each text; together they are 1
    # natural: log-probability that the answer begins with this text, and with no longer one of them
    choice_logprobs: Mapping[str, float] = field(default_factory=dict)

    @property
    def probability(self) -> float:
        """Of the chosen text."""
        return self.probabilities[self.text]

    def to_dict(self) -> dict[str, Any]:
        """As `Generation.to_dict`, with the probabilities; None stands for minus infinity."""
        finite = {
            text: value if math.isfinite(value) else None for text, value in self.choice_logprobs.items()
        }
        return {
            **super().to_dict(),
            "probability": self.probability,
            "probabilities": dict(self.probabilities),
            "choice_logprobs": finite,
        }


def checked_choices(given: Any) -> tuple[str, ...]:
    """The texts, each once. ValueError for what is no list of texts, and for an empty one."""
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Sequence):
        raise ValueError(f"[choices] choice: expected a list of texts, got {excerpt(given)}")
    for text in given:
        if not isinstance(text, str) or not text:
            raise ValueError(f"[choices] choice: expected texts that are not empty, got {excerpt(text)}")
    if not given:
        raise ValueError("[choices] choice: expected at least one text, got none")
    return tuple(dict.fromkeys(given))


@dataclass(frozen=True)
class Choices:
    """Texts with the tokens that they are as an answer, which goes on after a prompt's tokens."""

    texts: tuple[str, ...]
    ids: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, tokenizer: Tokenizer, given: Any) -> Choices:
        """ValueError as `checked_choices`, for a text without any token, and for two that are the same tokens."""
        texts = checked_choices(given)
        found: dict[tuple[int, ...], str] = {}
        for text in texts:
            ids = tuple(encode_continuation(tokenizer, text))
            if not ids:
                raise ValueError(f"[choices] choice: {excerpt(text)} has no token in this vocabulary")
            if ids in found:
                one, other = excerpt(found[ids]), excerpt(text)
                raise ValueError(
                    f"[choices] choice: {one} and {other} are the same tokens in this vocabulary"
                )
            found[ids] = text
        return cls(texts, tuple(found))

    @property
    def most_tokens(self) -> int:
        """Of the longest one."""
        return max(map(len, self.ids))

    @cached_property
    def shorter(self) -> tuple[int | None, ...]:
        """For each choice the longest other one that it begins with."""
        place = {ids: index for index, ids in enumerate(self.ids)}
        return tuple(
            next((place[ids[:n]] for n in range(len(ids) - 1, 0, -1) if ids[:n] in place), None)
            for ids in self.ids
        )

    def logprobs(self, scores: Sequence[Scores]) -> list[float]:
        """From the scores of the tokens, what each choice counts with: see the head of this file."""
        taken = [0.0] * len(scores)  # by longer choices, of what begins with a choice
        for index, shorter in enumerate(self.shorter):
            if shorter is not None:
                rest = scores[index].logprobs[len(self.ids[shorter]) :]
                taken[shorter] += math.exp(rest.sum())
        left = [math.log1p(-part) if part < 1 else -math.inf for part in taken]
        return [one.total + more for one, more in zip(scores, left, strict=True)]


@dataclass(frozen=True)
class Question:
    """A prompt that is answered by one of some texts."""

    ids: list[int]
    choices: Choices

    @property
    def prompt_tokens(self) -> int:
        return len(self.ids)

    @property
    def most_tokens(self) -> int:
        return self.choices.most_tokens


def question(model: LoadedModel, ids: list[int], choices: Choices) -> Question:
    """ValueError for an empty prompt, and where prompt and choice are more than the context holds."""
    check_length(ids, model.context)
    n_fed = len(ids) + choices.most_tokens - 1
    if n_fed > model.context:
        raise ContextLengthError(
            f"[choices] the prompt has {len(ids)} tokens, a choice {choices.most_tokens}, the context holds"
            f" {model.context}: shorten the prompt"
        )
    return Question(ids, choices)


def choose(model: LoadedModel, prompt: Any, given: Any, *, raw: bool) -> Choice:
    """See `Belle.choose`."""
    choices = Choices.of(model.tokenizer, given)
    if isinstance(prompt, Sequence) and prompt and isinstance(prompt[0], Mapping):
        if raw:
            raise ValueError("[choices] raw: messages need the chat template")
        ids = dialogue_ids(model, prompt)
    else:
        ids = prompt_ids(model, prompt, raw=raw)
    return Chooser(model).answers([question(model, ids, choices)])[0]


class Chooser:
    """Answers questions, group after group. What their prompts begin with is computed once."""

    def __init__(self, model: LoadedModel) -> None:
        self._model = model
        self._kept: SequenceState | None = None  # what the last group's prompts begin with
        self._kept_ids: list[int] = []

    def answers(self, questions: Sequence[Question]) -> list[Choice]:
        """The choice of each question, in passes that they share. Errors of the engine pass through."""
        start = time.perf_counter()
        requests = [(asked.ids, ids) for asked in questions for ids in asked.choices.ids]
        scores = dict(scores_of(self._model, requests, self._beginning(questions)))
        seconds = time.perf_counter() - start
        results: list[Choice] = []
        first = 0
        for asked in questions:
            end = first + len(asked.choices.ids)
            results.append(_chosen(asked, [scores[place] for place in range(first, end)], seconds))
            first = end
        return results

    def _beginning(self, questions: Sequence[Question]) -> SequenceState:
        """A sequence with what all of the prompts begin with, from the last group's as far as that is alike.

        Of a single question no more than that: the rest of its prompt goes through one pass with the choices.
        """
        prompts = [asked.ids for asked in questions]
        n_alike = common_prefix(prompts)
        alike = prompts[0][:n_alike]
        n_kept = common_length(self._kept_ids, alike, n_alike)
        backend = self._model.backend
        sequence = backend.new_sequence() if self._kept is None else self._kept.fork()
        sequence.truncate(n_kept)
        if len(prompts) > 1:
            if n_alike > n_kept:
                backend.forward([(sequence, alike[n_kept:])], logits="none")
            self._kept, self._kept_ids = sequence, alike
        return sequence


def _chosen(asked: Question, scores: Sequence[Scores], seconds: float) -> Choice:
    logprobs = asked.choices.logprobs(scores)
    best = max(range(len(logprobs)), key=logprobs.__getitem__)
    weights = [math.exp(value - logprobs[best]) for value in logprobs]
    whole = math.fsum(weights)
    texts = asked.choices.texts
    return Choice(
        text=texts[best],
        token_ids=asked.choices.ids[best],
        finish_reason="stop",
        prompt_tokens=asked.prompt_tokens,
        timings=Timings(prefill_s=seconds, decode_s=0.0),
        prefilled_tokens=asked.prompt_tokens,
        probabilities=dict(zip(texts, (weight / whole for weight in weights), strict=True)),
        choice_logprobs=dict(zip(texts, logprobs, strict=True)),
    )
