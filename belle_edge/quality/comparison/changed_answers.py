"""The prompts whose answers moved most, with what both models answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...text.chat_format import ChatFormat
from ...text.tokenizer import Tokenizer
from .passages import Passage
from .result import WorstPrompt


@dataclass(frozen=True)
class AnswerText:
    """Answers as ids to text, up to the first stop string."""

    tokenizer: Tokenizer
    chat_format: ChatFormat

    def __call__(self, ids: Sequence[int]) -> str:
        text = self.tokenizer.decode(ids)
        ends = [text.find(stop) for stop in self.chat_format.stop_strings if stop in text]
        return text[: min(ends)] if ends else text


def worst_prompt(passage: Passage, kl: float, answers: tuple[str, str] | None) -> WorstPrompt:
    """answers: the reference's and the candidate's; None: none was asked for."""
    prompt = passage.prompt or ""
    if answers is None:
        return WorstPrompt(passage.language, prompt, kl, None, None, None)
    return WorstPrompt(passage.language, prompt, kl, *answers, first_difference(*answers))


def first_difference(first: str, second: str) -> int | None:
    """Characters that both begin with; None: they are the same."""
    if first == second:
        return None
    pairs = enumerate(zip(first, second, strict=False))
    return next((place for place, pair in pairs if pair[0] != pair[1]), min(len(first), len(second)))
