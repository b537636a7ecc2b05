"""What a call says of the answers that it wants, as one object; users write it as keyword settings."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from ..sampling import SamplingParams, SamplingSettings, resolve
from ..text.chat_format import ChatFormat
from .answer import Overflow
from .constraint import NAMES, Constraint

Progress = Callable[[int, int], None]  # (answers finished, answers in all)
Options = TypeVar("Options", "AnswerOptions", "BatchOptions")
Function = TypeVar("Function", bound=Callable[..., Any])


class TurnSettings(SamplingSettings, total=False):
    """What an answer of a conversation may have of its own, for type checkers and editors."""

    schema: Mapping[str, Any] | str | type[Any] | None
    grammar: str | None
    regex: str | None
    choice: Sequence[str] | None


class AnswerSettings(SamplingSettings, total=False):
    """`AnswerOptions` as keyword arguments, for type checkers and editors."""

    max_tokens: int | None
    params: SamplingParams | None
    overflow: Overflow
    n_keep: int | None
    schema: Mapping[str, Any] | str | type[Any] | None
    grammar: str | None
    regex: str | None
    choice: Sequence[str] | None


class BatchSettings(SamplingSettings, total=False):
    """`BatchOptions` as keyword arguments, for type checkers and editors."""

    max_tokens: int | None
    raw: bool
    params: SamplingParams | Iterable[SamplingParams] | None
    max_batch: int
    on_progress: Progress | None
    schema: Mapping[str, Any] | str | type[Any] | None
    grammar: str | None
    regex: str | None
    choice: Sequence[str] | None


@dataclass(frozen=True)
class AnswerOptions:
    """Of one answer; see `Belle.generate`. Checked where they meet the model's context and preset."""

    max_tokens: int | None = 256  # None: up to the end of the context
    params: SamplingParams | None = None
    overflow: Overflow = "error"
    n_keep: int | None = None
    schema: Any = None
    grammar: str | None = None
    regex: str | None = None
    choice: Sequence[str] | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)  # single settings, over params or the preset


@dataclass(frozen=True)
class BatchOptions:
    """Of many answers; see `Belle.generate_batch`."""

    max_tokens: int | None = 256
    raw: bool = False
    params: SamplingParams | Iterable[SamplingParams] | None = None
    max_batch: int = 16
    on_progress: Progress | None = None
    schema: Any = None
    grammar: str | None = None
    regex: str | None = None
    choice: Sequence[str] | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)


PROMPT = AnswerOptions()  # of a single prompt
CHAT = AnswerOptions(max_tokens=512)  # of a message in a dialogue
BATCH = BatchOptions()


def read_options(defaults: Options, named: Mapping[str, Any]) -> Options:
    """`defaults` with what a call names. A name that is no option of theirs counts as a sampling setting, which
    are checked, names included, where they are resolved."""
    own = _names(defaults)
    given = {name: value for name, value in named.items() if name in own}
    return replace(defaults, **given, sampling={name: named[name] for name in named if name not in own})


def lists_options(defaults: AnswerOptions | BatchOptions) -> Callable[[Function], Function]:
    """For a function that takes the options of `defaults` as its **keywords: `help` lists them one by one."""

    def decorate(function: Function) -> Function:
        signature = inspect.signature(function)
        *own, _ = signature.parameters.values()
        kinds = inspect.Parameter
        listed = [
            kinds(
                entry.name, kinds.KEYWORD_ONLY, default=getattr(defaults, entry.name), annotation=entry.type
            )
            for entry in fields(defaults)
            if entry.name in _names(defaults)
        ]
        rest = kinds("sampling", kinds.VAR_KEYWORD, annotation="Unpack[SamplingSettings]")
        shown = signature.replace(parameters=[*own, *listed, rest])
        function.__signature__ = shown  # type: ignore[attr-defined]
        return function

    return decorate


def constraint_of(options: AnswerOptions | BatchOptions | Mapping[str, Any]) -> Constraint | None:
    """What the answers have to be shaped like; other settings are left alone. ValueError as `Constraint.of`."""
    given = options if isinstance(options, Mapping) else vars(options)
    return Constraint.of(**{name: given.get(name) for name in NAMES})


def params_of_call(
    chat_format: ChatFormat,
    *,
    raw: bool,
    params: SamplingParams | None,
    sampling: Mapping[str, Any],
    constrained: bool = False,
) -> SamplingParams:
    """The settings that a call uses: unless raw, with preset and stop strings of the file. ValueError as `resolve`.

    constrained: the answer has a constraint, which says where it ends: the stop strings are the call's own alone.
    """
    if raw:
        return resolve({}, params, sampling)
    chosen = resolve(chat_format.preset, params, sampling)
    if constrained:
        return chosen
    return chosen.merged(stop=(*chat_format.stop_strings, *chosen.stop))


def _names(options: AnswerOptions | BatchOptions) -> set[str]:
    return {entry.name for entry in fields(options)} - {"sampling"}
