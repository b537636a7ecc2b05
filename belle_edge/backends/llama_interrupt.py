"""llama_decode that Ctrl-C ends.

Python handles signals in the main thread, and only between two steps of Python code, so a long pass there would
hold them up. Such a pass runs in a thread of its own while the main thread waits; any exception that ends the
waiting has llama.cpp abort, and goes on when it has.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

_SHORT = 8  # tokens; such a pass is about as short as one of a single token and not worth a thread


class Interruptible:
    """Runs llama_decode for one context at a time."""

    def __init__(self, api: Any) -> None:
        self._api = api
        self._abort = False
        self._callback = api.ggml_abort_callback(
            lambda _user_data: self._abort
        )  # asked before each operation
        self._no_callback = api.ggml_abort_callback()
        self._worker: ThreadPoolExecutor | None = None

    def decode(self, context: Any, batch: Any) -> int:
        """What llama_decode returns. Any exception of a signal handler, as KeyboardInterrupt."""
        if batch.n_tokens <= _SHORT or threading.current_thread() is not threading.main_thread():
            return int(self._api.llama_decode(context, batch))
        if self._worker is None:
            self._worker = ThreadPoolExecutor(1, thread_name_prefix="belle-edge-llama")
        self._abort = False
        self._api.llama_set_abort_callback(context, self._callback, None)
        try:
            future = self._worker.submit(self._api.llama_decode, context, batch)
            try:
                return int(future.result())
            except BaseException:
                self._abort = True
                _wait(future)
                raise
        finally:
            self._api.llama_set_abort_callback(context, self._no_callback, None)

    def close(self) -> None:
        if self._worker is not None:
            self._worker.shutdown()


def _wait(future: Future[Any]) -> None:
    """Until the pass has ended, whatever signals come meanwhile: its memory is in use."""
    while not future.done():
        try:
            future.exception()
        except BaseException:  # a second Ctrl-C; the first one is on its way already
            continue
