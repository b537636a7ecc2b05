"""A process on a real pseudo-terminal: press keys, wait for what the screen shows. POSIX only."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

PROMPT = "> "  # of the chat
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Terminal:
    """A process on a pseudo-terminal of its own."""

    def __init__(self, command: list[str], *, columns: int = 120, **environment: str) -> None:
        self.master, slave = pty.openpty()
        self.modes = termios.tcgetattr(slave)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 40, columns, 0, 0))
        inherited = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={**inherited, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "NO_COLOR": "", **environment},
        )
        self.slave = slave
        self.output = ""
        self._bytes = b""

    def press(self, keys: str | bytes) -> None:
        os.write(self.master, keys.encode() if isinstance(keys, str) else keys)

    def wait_for(self, text: str, *, seconds: float = 60) -> str:
        """What came since the last call, up to `text` (without escape sequences)."""
        deadline = time.monotonic() + seconds
        while True:
            plain = (
                ESCAPES.sub("", self._bytes.decode("utf-8", "replace")).replace("\x01", "").replace("\r", "")
            )
            found = plain.find(text)
            if found >= 0:
                self._bytes = plain[found + len(text) :].encode()
                return plain[:found]
            remaining = deadline - time.monotonic()
            assert remaining > 0, f"{text!r} did not come; the screen has {plain!r}"
            if select.select([self.master], [], [], min(remaining, 1))[0]:
                try:
                    new = os.read(self.master, 4096)
                except OSError:
                    new = b""
                self._bytes += new
                self.output += new.decode("utf-8", "replace")

    def ask(self, text: str) -> str:
        """Type a line at the prompt; what is shown until the next prompt."""
        self.press(text + "\r")
        self.wait_for(text.split("\n")[-1])
        return self.wait_for("\n" + PROMPT).strip()

    def exit_code(self) -> int:
        """Of the process, which must end by itself now."""
        deadline = time.monotonic() + 30
        while self.process.poll() is None:
            assert time.monotonic() < deadline, "the process does not end"
            if select.select([self.master], [], [], 0.05)[0]:
                try:
                    self.output += os.read(self.master, 4096).decode("utf-8", "replace")
                except OSError:
                    break
        return self.process.wait(timeout=180)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.slave)
        os.close(self.master)
