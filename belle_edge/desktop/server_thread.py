"""The server of a desktop, in a thread: the main thread belongs to the window."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

from ..server.listening import Serving
from ..server.service import Service


class ServerThread:
    """One server, from `start` to `stop`."""

    def __init__(self, service: Service, listener: socket.socket, *, ended: Callable[[], None]) -> None:
        """ended: called, in the thread, when the server ends for whatever reason."""
        self._answers = threading.Event()
        self._serving = Serving(service, listener, ready=self._answers.set)
        self._ended = ended
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="belle-server", daemon=True)

    def start(self) -> None:
        """Returns once it answers. Raises what kept it from that."""
        self._thread.start()
        self._answers.wait()
        self._raise()

    def stop(self) -> None:
        """Let running answers have their grace, and wait for the end. Raises what went wrong."""
        self._serving.stop()
        self._thread.join()
        self._raise()

    def _run(self) -> None:
        try:
            self._serving.run()
        except BaseException as error:
            self._error = error
        finally:
            self._answers.set()
            self._ended()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error
