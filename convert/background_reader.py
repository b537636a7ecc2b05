"""Reading in a thread of its own: the next blocks come from the disk while the last one is converted."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

_Item = TypeVar("_Item")
_END = object()


def read_in_background(items: Iterable[_Item], *, depth: int = 2) -> Iterator[_Item]:
    """The items in order, up to `depth` of them produced before they are asked for.

    What producing them raises is raised here. Leaving early stops the thread.
    """
    ready: queue.Queue[object] = queue.Queue(maxsize=depth)
    stopped = threading.Event()

    def put(item: object) -> None:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def produce() -> None:
        try:
            for item in items:
                put(item)
                if stopped.is_set():
                    return
            put(_END)
        except BaseException as error:  # raised by the consumer, in its thread
            put(_Failure(error))

    thread = threading.Thread(target=produce, name="belle-edge-reader", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not _END:
            if isinstance(item, _Failure):
                raise item.error
            yield item  # type: ignore[misc]
    finally:
        stopped.set()
        thread.join()


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error
