"""A local stand-in for the hub: API, small files, large files behind a redirect, ranges, and bad days."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = (".safetensors", ".bin", ".gguf", ".model")


def git_sha1(data: bytes) -> str:
    """Git's name for a file of this content."""
    return hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()


@dataclass
class StandInHub:
    """One repository and what happened to it; the settings may be changed while it serves."""

    repo_id: str
    files: dict[str, bytes]
    url: str = ""
    drop_after: dict[str, list[int]] = field(
        default_factory=dict
    )  # file -> bytes sent before each broken reply
    wrong_content: set[str] = field(default_factory=set)
    status: int = 200  # of every answer; 401 with `error` makes the repository gated
    error: str = ""
    without_hashes: bool = False  # a mirror whose API lists names only
    requests: list[tuple[str, str, str | None, str | None]] = field(default_factory=list)

    def fetched(self) -> list[str]:
        """Names of the files that were sent, wholly or in part."""
        return [
            name for method, name, _, _ in self.requests if method == "GET" and not name.startswith("api/")
        ]

    def ranges(self, name: str) -> list[str | None]:
        """The Range header of each request for the bytes of a file."""
        return [asked for method, path, asked, _ in self.requests if method == "GET" and path == name]


@contextmanager
def serve(
    repo_id: str, files: dict[str, bytes] | Path, *, handler: type[Handler] | None = None
) -> Iterator[StandInHub]:
    """Run a stand-in that serves `files`, or those of a folder; its address is `.url`."""
    if isinstance(files, Path):
        files = {path.name: path.read_bytes() for path in sorted(files.iterdir()) if path.is_file()}
    hub = StandInHub(repo_id, files)
    serving = type("Serving", (handler or Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), serving)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: StandInHub

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        hub, path = self.hub, self.path.split("?")[0].lstrip("/")
        resolve = re.fullmatch(rf"{re.escape(hub.repo_id)}/resolve/([^/]+)/(.+)", path)
        if hub.status != 200:
            self.note(path)
            self.send(b"{}", status=hub.status, error=hub.error)
        elif path.startswith("api/"):
            self.note(path)
            self.api(path)
        elif path.startswith("large/"):
            self.note(path.removeprefix("large/"))
            self.content(path.removeprefix("large/"))
        elif resolve and resolve[1] not in ("main", COMMIT):
            self.send(b"{}", status=404, error="RevisionNotFound")
        elif resolve and resolve[2] in hub.files:
            self.resolve(resolve[2])
        else:
            self.send(b"{}", status=404, error="EntryNotFound" if resolve else "RepoNotFound")

    def note(self, name: str) -> None:
        self.hub.requests.append((self.command, name, self.headers["Range"], self.headers["Authorization"]))

    def api(self, path: str) -> None:
        hub = self.hub
        asked = re.fullmatch(rf"api/models/{re.escape(hub.repo_id)}(?:/revision/(.+))?", path)
        if asked is None:
            self.send(b"{}", status=404, error="RepoNotFound")
        elif asked[1] not in (None, "main", COMMIT):
            self.send(b"{}", status=404, error="RevisionNotFound")
        else:
            siblings = [self.sibling(name) for name in hub.files]
            self.send(json.dumps({"id": hub.repo_id, "sha": COMMIT, "siblings": siblings}).encode())

    def sibling(self, name: str) -> dict[str, Any]:
        data = self.hub.files[name]
        entry: dict[str, Any] = {"rfilename": name}
        if not self.hub.without_hashes:
            entry |= {"size": len(data), "blobId": git_sha1(data)}
            if name.endswith(LARGE):
                digest = hashlib.sha256(data).hexdigest()
                entry["lfs"] = {"sha256": digest, "size": len(data), "pointerSize": 134}
        return entry

    def resolve(self, name: str) -> None:
        """Small files come at once; large ones by a redirect to another host name."""
        data = self.hub.files[name]
        if not name.endswith(LARGE):
            self.note(name)
            self.send(data, {"ETag": f'"{git_sha1(data)}"'})
            return
        port = self.server.server_address[1]
        headers = {
            "Location": f"http://localhost:{port}/large/{name}",
            "X-Linked-Etag": f'"{hashlib.sha256(data).hexdigest()}"',
            "X-Linked-Size": str(len(data)),
        }
        self.send(b"", headers, status=302)

    def content(self, name: str) -> None:
        """The bytes of a large file, as a range if asked; perhaps damaged, perhaps cut off."""
        data = self.hub.files[name]
        if name in self.hub.wrong_content:
            data = data[:-1] + bytes([data[-1] ^ 1])
        total, start = len(data), 0
        if asked := re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or ""):
            start = int(asked[1])
        drops = self.hub.drop_after.get(name)
        n_sent = drops.pop(0) if drops and self.command == "GET" else None
        headers = {"Content-Range": f"bytes {start}-{total - 1}/{total}"} if start else {}
        self.send(data[start:], headers, status=206 if start else 200, n_sent=n_sent)

    def send(
        self,
        data: bytes,
        headers: dict[str, str] | None = None,
        *,
        status: int = 200,
        error: str = "",
        n_sent: int | None = None,
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-Repo-Commit", COMMIT)
        if error:
            self.send_header("X-Error-Code", error)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data[:n_sent])
        if n_sent is not None:
            self.wfile.flush()
            self.close_connection = True

    def log_message(self, *args: Any) -> None:
        pass
