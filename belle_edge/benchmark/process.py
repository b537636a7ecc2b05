"""A measured process: started, asked, and ended; what goes wrong in it becomes an error that says what to do."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

from ..backends.llama_library import INSTALL
from ..backends.llama_probe import REBUILD
from ..errors import BackendError, BackendMissingError, BelleError

_WINDOWS_CRASH = 0xC0000000  # exit codes from here on are exceptions such as "illegal instruction"
_LAST_LINES = 3


class MeasuringError(BelleError):
    """A measured process failed; the message is what it said."""


class Child:
    """One process; a context manager that ends it."""

    def __init__(self, command: list[str], *, own_packages: bool) -> None:
        """own_packages: it shall find the packages that this process finds."""
        environment = dict(os.environ)
        if own_packages:
            environment["PYTHONPATH"] = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
        self._messages = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._messages,
                env=environment,
                encoding="utf-8",
                start_new_session=True,  # Ctrl-C is for the parent, which ends it
            )
        except BaseException:
            self._messages.close()
            raise

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        """The answer to a request. Raises MeasuringError, also where the process has died."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        line = ""
        with contextlib.suppress(BrokenPipeError):
            stdin.write(json.dumps({"do": do, **request}) + "\n")
            stdin.flush()
            line = stdout.readline()
        if not line:
            raise MeasuringError(self._last_words())
        try:
            answer: dict[str, Any] = json.loads(line)
        except ValueError:
            raise MeasuringError(f"the process answered with {line.strip()[:80]!r}") from None
        if "error" in answer:
            raise MeasuringError(str(answer["error"]))
        return answer

    @property
    def signal(self) -> int | None:
        """The signal that ended it (Windows: the exception's code); None while it runs, or if it ended by itself."""
        code = self._process.poll()
        if code is None or 0 <= code < _WINDOWS_CRASH:
            return None
        return abs(code)

    def close(self) -> None:
        """End it. Calling it twice is fine."""
        if self._messages.closed:
            return
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
        self._messages.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _last_words(self) -> str:
        code = self._process.wait()
        self._messages.seek(0)
        lines = self._messages.read().decode("utf-8", "replace").strip().splitlines()
        if code < 0:
            reason = f"signal {-code} ({signal.strsignal(-code)})"
        else:
            reason = f"exception 0x{code:X}" if code >= _WINDOWS_CRASH else f"exit code {code}"
        words = " / ".join(line.strip() for line in lines[-_LAST_LINES:])
        return f"the process ended with {reason}{': ' if words else ''}{words}"


def native_child() -> Child:
    """The engine of this package."""
    return Child([sys.executable, "-m", "belle_edge.benchmark.children.measured_native"], own_packages=True)


def llama_child(python: str | None) -> Child:
    """llama.cpp of this Python, or of the one named. Raises BackendMissingError or BackendError if that cannot run."""
    folder = str(Path(__file__).parent)
    program = f"import sys; sys.path.append({folder!r}); from children.measured_llama import main; main()"
    found = sys.executable if python is None else shutil.which(python)
    if found is None:
        raise BackendMissingError(f"[llama.cpp] {python} is no Python that can be run")
    try:
        return Child([found, "-c", program], own_packages=python is None)
    except OSError as error:
        raise BackendError(f"[llama.cpp] {python} does not start: {error.strerror}") from error


def peer_error(error: MeasuringError, child: Child | None, python: str | None) -> BelleError:
    """The same error, with what to do about it."""
    where = "this Python" if python is None else python
    missing = re.search(r"No module named '(\w+)'", str(error))
    if missing is not None:
        install = INSTALL if python is None else f"{python} -m pip install llama-cpp-python numpy"
        return BackendMissingError(f"[llama.cpp] {where} has no {missing[1]}: {install}")
    ended_by = None if child is None else child.signal
    if ended_by == getattr(signal, "SIGKILL", -1):
        return BackendError(f"[llama.cpp] {error}, perhaps for want of memory: try a smaller model or prompt")
    if ended_by is not None:
        return BackendError(f"[llama.cpp] {error}; a build that runs on this CPU: {REBUILD}")
    return BackendError(f"[llama.cpp] {error}")
