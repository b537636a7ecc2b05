"""Will the next turn fit? Counted before it is sent: its tokens, those before it, what sliding would leave out."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from ...errors import ContextLengthError
from ...generation.answer import Window
from ...generation.dialogue_prompt import DialoguePrompt
from ...generation.history import History
from ...generation.stored_turns import Kind, history_of
from .header_model import HeaderModel
from .page_errors import PageError
from .stored_path import StoredPath

_RESERVE = 8  # this part of the context is wanted for an answer


@dataclass(frozen=True)
class Measure:
    """Tokens of a turn that was not sent yet."""

    tokens: int  # of the turn
    used: int  # before it
    context: int
    reserve: int  # for the answer
    fits: bool
    dropped: list[str] = field(default_factory=list)  # messages that sliding would leave out
    cut_text_at: int | None = None  # characters of the text that would fit, where it alone is too long

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def measured(
    model: HeaderModel, path: StoredPath, text: str, *, system: str | None, max_tokens: int, n_framed: int = 0
) -> Measure:
    """Of `text` behind a path. n_framed: characters at its beginning that are files. ValueError as encoding it."""
    history = history_of(path.turns, Kind.of(model.as_model(), system))
    reserve = min(max_tokens, max(1, model.context // _RESERVE))
    used, tokens = _counted(model, history, text, system)
    fits = used + tokens + reserve <= model.context
    if fits:
        return Measure(tokens, used, model.context, reserve, True)
    alone = _counted(model, History(), text, system)[1] if history.ids else tokens
    cut_at = None
    if alone + reserve > model.context:
        cut_at = max(0, _cut_at(model, text, system, model.context - reserve) - n_framed)
    dropped = _dropped(model, path, history, text, system=system, max_tokens=max_tokens)
    return Measure(tokens, used, model.context, reserve, False, dropped, cut_at)


def context_full(measure: Measure) -> PageError:
    """409: the turn and an answer do not fit; the details have what can be done."""
    n_free = max(0, measure.context - measure.used - measure.reserve)
    return PageError(
        409,
        f"the context is full: this message has {measure.tokens} tokens and there is room for {n_free}: leave out "
        "older messages, shorten it, or go on in a new chat with a summary",
        code="context_full",
        details={**measure.to_dict(), "offers": ["slide", "shorten", "summary"]},
    )


def _counted(model: HeaderModel, history: History, text: str, system: str | None) -> tuple[int, int]:
    """Tokens of the history that stay, and tokens that the turn adds."""
    unlimited = model.without_limit()
    prompt = DialoguePrompt(unlimited.as_model(), Window(unlimited.context), 1, system)
    after, begin = prompt.behind(history, text)
    return begin, len(after.ids) - begin


def _dropped(
    model: HeaderModel, path: StoredPath, history: History, text: str, *, system: str | None, max_tokens: int
) -> list[str]:
    """Ids of the messages that a sliding window would leave out."""
    window = Window(model.context, "slide", model.context // 4)
    prompt = DialoguePrompt(model.as_model(), window, max_tokens, system)
    try:
        after, _ = prompt.behind(history, text)
    except ContextLengthError:
        return [id for ids in path.ids for id in ids]
    return path.dropped(history, after)


def _cut_at(model: HeaderModel, text: str, system: str | None, most: int) -> int:
    """Characters of the text that make at most so many tokens by themselves."""
    low, high = 0, min(len(text), most * 16)
    while high - low > 8:
        middle = (low + high + 1) // 2
        fits = _counted(model, History(), text[:middle], system)[1] <= most
        low, high = (middle, high) if fits else (low, middle - 1)
    return low
