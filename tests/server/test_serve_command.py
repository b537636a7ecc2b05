"""The command itself: its options, its errors, what it needs of the system."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from belle_edge import _core
from belle_edge.cli.main import main

from .conftest import Start
from .server_process import COMMAND, ServerProcess, read_all, request, status_of


def test_what_it_refuses(
    demo_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BELLE_API_KEY", raising=False)
    empty = tmp_path / "empty"
    empty.mkdir()
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(demo_file.read_bytes()[:5000])
    for arguments, message in (
        ([tmp_path / "none.gguf"], "no such file or folder"),
        ([empty], "no .gguf file in the folder"),
        ([damaged], "damaged.gguf"),
        ([demo_file, "--timeout", "soon"], "--timeout: expected a time"),
        ([demo_file, "--port", "70000"], "--port: expected an integer from 0 to 65535"),
        ([demo_file, "--max-running", "0"], "--max-running: expected an integer"),
        ([demo_file, "--host", "0.0.0.0"], "--host: '0.0.0.0' can be reached from other computers"),
        ([demo_file, "--host", "no.such.name.invalid", "--api-key", "k"], "no address of the name"),
        (
            [demo_file, "--api-key", "a", "--api-key-file", demo_file],
            "--api-key does not go with --api-key-file",
        ),
        ([demo_file, "--api-key", "a b"], "--api-key: expected"),
        ([demo_file, "--context", "100000"], "--context: expected 1 to 256"),
    ):
        assert main(["serve", "--port", "0", *map(str, arguments)]) == 1
        said = capsys.readouterr()
        assert message in said.err
        assert said.out == ""


def test_without_the_extra(demo_file: Path) -> None:
    hidden = (
        "import sys; sys.modules['uvicorn'] = None; from belle_edge.cli.main import main; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", hidden, "serve", str(demo_file)],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr == "belle-edge: error: serve needs uvicorn: pip install 'belle-edge[server]'\n"


@pytest.mark.skipif(sys.platform == "win32", reason="has no nice")
def test_polite(start: Start, demo_file: Path) -> None:
    n_threads = _core.cpu_info()["usable_threads"]
    server = start(demo_file, "--polite", "--verbose")
    pid = server.process.pid
    assert os.getpriority(os.PRIO_PROCESS, pid) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10)
    found = re.search(r"loaded demo: .*\bthreads (\d+)", server.output)
    assert found is not None
    assert int(found[1]) == max(1, n_threads - 1)


def test_a_system_message_is_computed_once(start: Start, demo_file: Path, tmp_path: Path) -> None:
    """Also after the server was started anew."""
    messages = [
        {"role": "system", "content": "请简短回答，不要解释。" * 16},
        {"role": "user", "content": "12"},
    ]

    def cached(server: ServerProcess, question: str) -> tuple[int, int]:
        messages[-1]["content"] = question
        body = json.dumps({"messages": messages, "max_tokens": 2, "temperature": 0}).encode()
        response = server.send(request("/v1/chat/completions", method="POST", body=body))
        usage = json.loads(response.partition(b"\r\n\r\n")[2])["usage"]
        return usage["prompt_tokens_details"]["cached_tokens"], usage["prompt_tokens"]

    server = start(demo_file, "--prefix-folder", tmp_path)
    first, n_tokens = cached(server, "1加1等于几？")
    assert n_tokens > 90
    assert first == 0
    again, n_tokens = cached(server, "你好")
    assert again > 80
    assert n_tokens - again < 12
    assert server.stop() == 0
    assert cached(start(demo_file, "--prefix-folder", tmp_path), "再见")[0] >= 64


def can_leave_the_network() -> bool:
    """Whether this system lets a process give up its network."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode == 0


@pytest.mark.slow
def test_it_needs_no_network(demo_file: Path, tmp_path: Path) -> None:
    """In a network namespace without any route or device it starts, answers, and shows its description."""
    import socket

    if not can_leave_the_network():
        pytest.skip("needs unshare, and the right to use it")
    path = Path(f"/tmp/belle-alone-{os.getpid()}.sock")
    process = subprocess.Popen(
        ["unshare", "-rn", *COMMAND, str(demo_file), "--socket", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == f"listening on unix:{path}\n"
        body = b'{"messages": [{"role": "user", "content": "12"}], "max_tokens": 4}'
        for raw in (
            request("/v1/chat/completions", method="POST", body=body),
            request("/api/show", method="POST", body=b'{"model": "demo"}'),
            request("/openapi.json"),
            request("/metrics"),
        ):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(path))
                connection.sendall(raw)
                assert status_of(read_all(connection)) == 200
    finally:
        process.terminate()
        output, _ = process.communicate(timeout=30)
        path.unlink(missing_ok=True)
    assert process.returncode == 0
    assert output == ""


def test_without_models(start: Start, demo_file: Path, tmp_path: Path) -> None:
    """It starts; with files in the models folder these are served."""
    none = start(BELLE_DATA=str(tmp_path))
    assert b'"data":[]' in none.send(request("/v1/models"))
    body = b'{"messages": [{"role": "user", "content": "12"}]}'
    answer = none.send(request("/v1/chat/completions", method="POST", body=body))
    assert status_of(answer) == 503
    assert b'"no_model"' in answer
    for path in ("/page/v1/window", "/page/v1/quit"):
        assert status_of(none.send(request(path, method="POST"))) == 404
    (tmp_path / "models").mkdir()
    shutil.copy(demo_file, tmp_path / "models" / "found.gguf")
    found = start(BELLE_DATA=str(tmp_path))
    assert b'"id":"found"' in found.send(request("/v1/models"))
