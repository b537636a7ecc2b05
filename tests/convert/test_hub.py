"""Hub ids, against a local stand-in for the hub."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import gguf
import pytest

pytest.importorskip("huggingface_hub")

REPO = "BelleGroup/BELLE-7B-2M"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def stand_in_hub(folder: Path, requested: list[str]) -> Iterator[str]:
    """Serves `folder` as REPO as far as downloading a snapshot needs; notes the files that were fetched."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, *, body: bool) -> None:
            path = self.path.split("?")[0]
            files = [item for item in sorted(folder.iterdir()) if item.is_file()]
            if path.startswith(f"/api/models/{REPO}/tree/"):
                entries = [
                    {"type": "file", "path": item.name, "size": item.stat().st_size, "oid": oid(item)}
                    for item in files
                ]
                self.send(json.dumps(entries).encode(), body=body)
            elif path in (
                f"/api/models/{REPO}",
                *(f"/api/models/{REPO}/revision/{r}" for r in ("main", COMMIT)),
            ):
                siblings = [{"rfilename": item.name} for item in files]
                self.send(json.dumps({"id": REPO, "sha": COMMIT, "siblings": siblings}).encode(), body=body)
            elif path.startswith(f"/{REPO}/resolve/") and (folder / path.split("/")[-1]).is_file():
                item = folder / path.split("/")[-1]
                if body:
                    requested.append(item.name)
                self.send(item.read_bytes(), body=body, etag=oid(item))
            else:
                self.send(b"{}", body=body, status=404, error="RepoNotFound")

        def send(
            self, data: bytes, *, body: bool, status: int = 200, etag: str = "", error: str = ""
        ) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("X-Repo-Commit", COMMIT)
            if etag:
                self.send_header("ETag", f'"{etag}"')
            if error:
                self.send_header("X-Error-Code", error)
            self.end_headers()
            if body:
                self.wfile.write(data)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def oid(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest()


def run(
    source: str, out: Path, *, endpoint: str, cache: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    code = "import sys; from belle_edge.cli.main import main; sys.exit(main(['convert', *sys.argv[1:]]))"
    settings = {"HF_ENDPOINT": endpoint, "HF_HOME": str(cache), "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "*"}
    return subprocess.run(
        [sys.executable, "-c", code, source, "-o", str(out), "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **settings, **environment},
    )


def test_hub_id(make_bloom: Any, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    folder, cache = make_bloom(), tmp_path / "cache"
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    requested: list[str] = []
    with stand_in_hub(folder, requested) as endpoint:
        done = run(REPO, tmp_path / "out.gguf", endpoint=endpoint, cache=cache)
        assert done.returncode == 0, done.stderr
        unknown = run("BelleGroup/nothing", tmp_path / "no.gguf", endpoint=endpoint, cache=cache)
    assert "model.safetensors" in requested
    assert "pytorch_model.bin" not in requested
    assert json.loads(done.stdout)["family"] == "belle"
    reader = gguf.GGUFReader(tmp_path / "out.gguf")
    found = {key: field.contents() for key, field in reader.fields.items()}
    assert found["general.name"] == "BELLE-7B-2M"
    assert found["general.source.huggingface.repository"] == REPO
    assert found["belle.source.revision"] == COMMIT
    assert unknown.returncode == 1
    assert unknown.stderr.startswith(
        "belle-edge: error: [BelleGroup/nothing] no such folder here, and no such model"
    )

    offline = run(REPO, tmp_path / "two.gguf", endpoint=endpoint, cache=cache)  # the server is gone by now
    assert offline.returncode == 0, offline.stderr
    assert (tmp_path / "two.gguf").read_bytes() == (tmp_path / "out.gguf").read_bytes()
    nothing = run(REPO, tmp_path / "no.gguf", endpoint=endpoint, cache=tmp_path / "other")
    assert nothing.returncode == 1
    assert nothing.stderr.count("\n") == 1
    assert "the hub cannot be reached" in nothing.stderr
