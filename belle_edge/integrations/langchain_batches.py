"""Calls of one model in several threads, whose answers share the engine's passes; what ends one ends them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from threading import Event
from typing import TypeVar

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import get_config_list, get_executor_for_config

from ..generation.streams import Stream

Input = TypeVar("Input")
Output = TypeVar("Output")
_TOGETHER = 16  # answers that are written at once, unless `max_concurrency` says otherwise


class _Begun:
    """The streams of one batch."""

    def __init__(self) -> None:
        self._streams: list[Stream] = []
        self.ended = Event()

    def note(self, stream: Stream) -> None:
        """By the thread that is to read it."""
        self._streams.append(stream)
        if self.ended.is_set():  # between the two lines of `end`, or after them
            stream.abandon()

    def end(self) -> None:
        """No stream gives another piece."""
        self.ended.set()
        for stream in list(self._streams):
            stream.abandon()


_BEGUN: ContextVar[_Begun | None] = ContextVar("belle_edge_langchain_batch", default=None)


def noted(stream: Stream) -> Stream:
    """The same stream; where a batch asked for it, it ends with that batch."""
    batch = _BEGUN.get()
    if batch is not None:
        batch.note(stream)
    return stream


def run_together(
    ask: Callable[[Input, RunnableConfig], Output],
    inputs: Sequence[Input],
    config: RunnableConfig | list[RunnableConfig] | None,
) -> list[Output]:
    """What `ask` gives for each input, in their order.

    Ctrl-C, or the first error of `ask` in that order, ends the other answers within a token.
    """
    configs = [_together(one) for one in get_config_list(config, len(inputs))]
    if len(inputs) < 2:
        return [ask(one, own) for one, own in zip(inputs, configs, strict=True)]
    begun = _Begun()
    before = _BEGUN.set(begun)  # the executor's threads see it: they run in copies of this context
    try:
        with get_executor_for_config(configs[0]) as executor:
            try:
                return list(executor.map(ask, inputs, configs))
            except BaseException:
                begun.end()
                raise
    finally:
        _BEGUN.reset(before)


def _together(config: RunnableConfig) -> RunnableConfig:
    return {"max_concurrency": _TOGETHER, **config}
