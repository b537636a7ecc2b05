"""A model of lm-eval whose answers are written down as they come, and never asked for twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lm_eval.api.model import LM

from .answer_journal import GENERATED, AnswerJournal, request_key

Counter = Callable[[int, int], None]  # (answers so far, of how many)


class JournalledModel(LM):  # type: ignore[misc]
    """Stands before another model. That one has to report each answer to its cache hook, as lm-eval wants it."""

    def __init__(self, model: Any, journal: AnswerJournal, *, count: Counter | None = None) -> None:
        """count: called at the begin of each kind of requests, and after every answer."""
        super().__init__()
        self._model = model
        self._journal = journal
        self._count = count
        self.n_cut = 0  # prompts whose beginning did not fit

    @property
    def tokenizer_name(self) -> str:
        """As the other's."""
        return str(self._model.tokenizer_name)

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """As the other's."""
        return str(self._model.apply_chat_template(chat_history, add_generation_prompt=add_generation_prompt))

    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
        """As the other's."""
        return self._answers("loglikelihood", requests)

    def loglikelihood_rolling(self, requests: Sequence[Any]) -> list[float]:
        """As the other's."""
        return self._answers("loglikelihood_rolling", requests)

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """As the other's."""
        self.n_cut += sum(self._is_cut(*request.args) for request in requests)
        return self._answers(GENERATED, requests)

    def _answers(self, kind: str, requests: Sequence[Any]) -> list[Any]:
        answers = [self._journal.take(kind, request.args) for request in requests]
        waiting = [place for place, answer in enumerate(answers) if answer is None]
        hook = _Hook(
            kind, [requests[place].args for place in waiting], self._journal, self._counting(answers)
        )
        self._model.set_cache_hook(hook)
        if waiting:
            new = getattr(self._model, kind)([requests[place] for place in waiting])
            for place, answer in zip(waiting, new, strict=True):
                answers[place] = answer
                hook.add_rest(requests[place].args, answer)
        return answers

    def _counting(self, answers: Sequence[Any]) -> Callable[[], None]:
        n_done, total = sum(answer is not None for answer in answers), len(answers)

        def one_more() -> None:
            nonlocal n_done
            n_done += 1
            if self._count is not None:
                self._count(n_done, total)

        if self._count is not None:
            self._count(n_done, total)
        return one_more

    def _is_cut(self, prompt: str, settings: dict[str, Any]) -> bool:
        room = self._model.max_length - settings.get("max_gen_toks", self._model.max_gen_toks)
        return bool(len(self._model.tok_encode(prompt)) > room)


class _Hook:
    """What a model tells each answer to: each is written down once."""

    def __init__(
        self,
        kind: str,
        asked: Sequence[Sequence[Any]],
        journal: AnswerJournal,
        one_more: Callable[[], None],
    ) -> None:
        self._kind, self._journal, self._one_more = kind, journal, one_more
        self._missing: dict[str, int] = {}
        for arguments in asked:
            key = request_key(kind, arguments)
            self._missing[key] = self._missing.get(key, 0) + 1

    def add_partial(self, attr: str, req: Sequence[Any], res: Any) -> None:
        """As lm-eval's models call it: the kind of request, its arguments, the answer."""
        if attr == self._kind:
            self.add_rest(req, res)

    def add_rest(self, arguments: Sequence[Any], answer: Any) -> None:
        """Write an answer down, unless every request of this text has been."""
        key = request_key(self._kind, arguments)
        if self._missing.get(key):
            self._missing[key] -= 1
            self._journal.add(self._kind, arguments, answer)
            self._one_more()
