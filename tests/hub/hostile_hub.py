"""A hub that lies: a stand-in whose list of files, headers and bodies are replaced by hostile ones."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .stand_in import Handler, StandInHub, serve

REPO = "BelleGroup/BELLE-7B-2M"
WEIGHTS = bytes(range(256)) * 40
FILES = {"config.json": b'{"model_type": "bloom"}', "tokenizer.json": b"{}", "model.safetensors": WEIGHTS}
TOKEN = "hf_secret"

Reply = Callable[["HostileHandler"], None]


@dataclass(frozen=True)
class Attack:
    """One lie, and what the refusal says of it (a regular expression)."""

    name: str
    message: str
    listing: Callable[[dict[str, Any]], Any] | None = None  # the sound list -> what is sent as JSON
    on_list: Reply | None = None  # in place of the list
    on_small: Reply | None = None  # in place of an answer for config.json
    on_large: Reply | None = None  # in place of a redirect or the content of model.safetensors
    without_hashes: bool = False  # the list has names only: sizes and hashes come with each file
    include: tuple[str, ...] = ()
    revision: str | None = None


class HostileHandler(Handler):
    """Answers as the stand-in does, but for what `attack` replaces."""

    attack: Attack
    other: str  # address of the other host
    closing: threading.Event

    def api(self, path: str) -> None:
        if self.attack.on_list:
            self.attack.on_list(self)
        else:
            super().api(path)

    def send(self, data: bytes, headers: dict[str, str] | None = None, **options: Any) -> None:
        if self.attack.listing and self.path.startswith("/api/"):
            data = json.dumps(self.attack.listing(json.loads(data))).encode()
        super().send(data, headers, **options)

    def resolve(self, name: str) -> None:
        reply = {"config.json": self.attack.on_small, "model.safetensors": self.attack.on_large}.get(name)
        if reply is None:
            super().resolve(name)
        else:
            self.note(name)
            reply(self)

    def raw(self, head: str, *bodies: bytes) -> None:
        """An answer as it is, with the head's end unless that ends in an ellipsis; the connection ends with it."""
        self.close_connection = True
        end = "" if head.endswith("...") else "\nConnection: close\n\n"
        lines = f"HTTP/1.1 {head.removesuffix('...')}{end}"
        self.wfile.write(lines.replace("\n", "\r\n").encode("latin-1"))
        for body in bodies:
            self.wfile.write(body)

    def endless(self, head: str, piece: bytes, *, pause_s: float = 0.0) -> None:
        """The same piece again and again, until the other side has gone."""
        try:
            self.raw(head)
            while not self.closing.wait(pause_s):
                self.wfile.write(piece)
        except OSError:
            pass


@contextmanager
def serve_attack(attack: Attack) -> Iterator[tuple[StandInHub, StandInHub]]:
    """The hostile hub, and another host that it may send its visitors to."""
    closing = threading.Event()
    with serve(REPO, FILES) as other:
        extra = {"attack": attack, "other": other.url, "closing": closing}
        with serve(REPO, FILES, handler=type("Hostile", (HostileHandler,), extra)) as hub:
            hub.without_hashes = attack.without_hashes
            try:
                yield hub, other
            finally:
                closing.set()
