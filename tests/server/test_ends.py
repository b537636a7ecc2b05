"""How requests end before their answer: clients leave, time runs out, the queue is full, the server stops."""

from __future__ import annotations

import json
import re
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from .conftest import Start
from .server_process import ServerProcess, read_all, request, status_of, wait_until

JSON = "Content-Type: application/json"
# Goes on until somebody stops it: the context slides, and the token that ends an answer never comes.
ENDLESS: dict[str, Any] = {
    "prompt": "你好",
    "max_tokens": 10_000_000,
    "overflow": "slide",
    "logit_bias": {"2": -100},
    "temperature": 0,
}
SHORT = {"prompt": "你好", "max_tokens": 2}


@pytest.fixture(scope="module")
def server(start: Start, demo_file: Path) -> ServerProcess:
    return start(demo_file, "--max-running", "2", "--max-waiting", "1")


def post(body: dict[str, Any], path: str = "/v1/completions", **more: Any) -> bytes:
    return request(path, JSON, method="POST", body=json.dumps({**body, **more}).encode())


def gauge(server: ServerProcess, name: str) -> float:
    found = re.search(rf"^{name} (\S+)$", server.send(request("/metrics")).decode(), re.MULTILINE)
    assert found is not None
    return float(found[1])


def is_idle(server: ServerProcess) -> bool:
    return gauge(server, "belle_answers_running") == 0 and gauge(server, "belle_requests_open") == 0


def opened(server: ServerProcess, **more: Any) -> socket.socket:
    """A connection on which an endless answer is being written."""
    n_before = gauge(server, "belle_answers_running")
    connection = server.connect()
    connection.sendall(post(ENDLESS, **more))
    assert wait_until(lambda: gauge(server, "belle_answers_running") > n_before)
    return connection


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("n", [1, 2])
def test_a_client_that_leaves_frees_its_place(server: ServerProcess, stream: bool, n: int) -> None:
    with opened(server, stream=stream, n=n) as connection:
        seen = b""
        while stream and b"data: " not in seen:
            seen += connection.recv(65536)
            assert len(seen) < 1 << 20
    assert wait_until(lambda: is_idle(server))
    assert status_of(server.send(post(SHORT))) == 200


def test_a_client_that_leaves_the_queue(server: ServerProcess) -> None:
    running = [opened(server, stream=True) for _ in range(2)]
    waiting = server.connect()
    waiting.sendall(post(SHORT))
    assert wait_until(lambda: gauge(server, "belle_requests_open") == 3)
    waiting.close()
    assert wait_until(lambda: gauge(server, "belle_requests_open") == 2)
    for connection in running:
        connection.close()
    assert wait_until(lambda: is_idle(server))


def test_a_client_that_leaves_its_body(server: ServerProcess) -> None:
    with server.connect() as connection:
        connection.sendall(
            request("/v1/completions", JSON, "Content-Length: 500", method="POST") + b'{"prompt"'
        )
    assert wait_until(lambda: is_idle(server))


def test_a_full_queue(server: ServerProcess) -> None:
    """Two run, one waits and gets its answer when there is a place; a fourth is told when to come back."""
    running = [opened(server, stream=True) for _ in range(2)]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(server.send, post(SHORT))
        assert wait_until(lambda: gauge(server, "belle_requests_open") == 3)
        refused = server.send(post(SHORT))
        assert status_of(refused) == 429
        assert re.search(rb"retry-after: [1-9]\d*\r\n", refused)
        assert json.loads(refused.partition(b"\r\n\r\n")[2])["error"]["type"] == "rate_limit_error"
        assert not waiting.done()
        running[0].close()
        assert status_of(waiting.result(20)) == 200
    running[1].close()
    assert wait_until(lambda: is_idle(server))


def test_openais_client_comes_back_by_itself(server: ServerProcess) -> None:
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(base_url=f"{server.address}/v1", api_key="any", max_retries=0)
    running = [opened(server, stream=True) for _ in range(2)]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(server.send, post(SHORT))
        assert wait_until(lambda: gauge(server, "belle_requests_open") == 3)
        with pytest.raises(openai.RateLimitError):
            client.completions.create(model="demo", **SHORT)
        threading.Timer(0.3, lambda: [connection.close() for connection in running]).start()
        patient = client.with_options(max_retries=5)
        assert patient.completions.create(model="demo", **SHORT).choices[0].text
        assert status_of(waiting.result(20)) == 200


def test_one_request_does_not_take_all_places(server: ServerProcess) -> None:
    """Its many answers stand in line with others'."""
    many = server.connect()
    many.sendall(post(ENDLESS, n=20, max_tokens=150))
    assert wait_until(lambda: gauge(server, "belle_answers_running") == 2)
    began = time.monotonic()
    assert status_of(server.send(post(SHORT))) == 200
    between = time.monotonic() - began
    answer = read_all(many)
    assert status_of(answer) == 200
    assert len(json.loads(answer.partition(b"\r\n\r\n")[2])["choices"]) == 20
    assert time.monotonic() - began > between


def test_a_reader_that_stops_reading(start: Start, demo_file: Path) -> None:
    """Nothing piles up, and its time runs out."""
    server = start(demo_file, "--timeout", "2s", "--max-running", "1", "--max-waiting", "0")
    connection = server.connect()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.sendall(post(ENDLESS, stream=True, logprobs=20))
    assert wait_until(lambda: gauge(server, "belle_requests_open") == 1)
    assert wait_until(lambda: is_idle(server))
    assert status_of(server.send(post(SHORT))) == 200
    connection.close()


def test_time_runs_out(start: Start, demo_file: Path) -> None:
    server = start(demo_file, "--timeout", "500ms", "--max-running", "1", "--max-tokens", "10000")
    whole = server.send(post(ENDLESS, max_tokens=10_000))
    assert status_of(whole) == 504
    assert json.loads(whole.partition(b"\r\n\r\n")[2])["error"]["code"] == "deadline_exceeded"
    streamed = server.send(post(ENDLESS, max_tokens=10_000, stream=True))
    assert status_of(streamed) == 200
    events = [
        event for event in streamed.decode().replace("\r\n", "\n").split("\n") if event.startswith("data: ")
    ]
    assert events[-1] == "data: [DONE]"
    assert json.loads(events[-2][6:])["error"]["code"] == "deadline_exceeded"
    options = {"num_predict": 10_000, "temperature": 0}
    lines = server.send(
        post({"model": "demo", "prompt": "你好", "raw": True, "options": options}, "/api/generate")
    )
    assert '"done":true' in lines.decode() or '"error"' in lines.decode()
    error = server.send(post(ENDLESS))
    assert status_of(error) == 400
    assert b"at most 10000 tokens" in error
    assert wait_until(lambda: is_idle(server))


def test_slow_bytes(start: Start, demo_file: Path) -> None:
    """Connections that say nothing, half a header, or half a body are closed."""
    from belle_edge.server.server_settings import ServerSettings

    assert ServerSettings().receive_s <= 30
    server = start(demo_file, "--read-timeout", "500ms")
    quiet = [server.connect() for _ in range(3)]
    quiet[1].sendall(b"GET /health HT")
    quiet[2].sendall(request("/v1/completions", JSON, "Content-Length: 50", method="POST") + b"{")
    began = time.monotonic()
    answers = [read_all(connection, seconds=10) for connection in quiet]
    assert time.monotonic() - began < 8
    assert [status_of(answer) for answer in answers] == [0, 0, 408]
    with server.connect() as dripping:  # a byte now and then does not help
        try:
            for byte in b"GET /health HTTP/1.1\r\nHost: localhost\r\n" * 20:
                dripping.sendall(bytes([byte]))
                time.sleep(0.05)
                assert time.monotonic() - began < 20
        except ConnectionError:
            pass
        assert read_all(dripping) == b""


def test_a_clean_end(start: Start, demo_file: Path) -> None:
    """What can finish does; those who wait are told; a second signal ends the rest, with a last event."""
    server = start(demo_file, "--max-running", "2", "--grace", "100s")
    with ThreadPoolExecutor(4) as pool:
        endless = pool.submit(server.send, post(ENDLESS, stream=True))
        finishing = pool.submit(server.send, post(ENDLESS, max_tokens=400, stream=True))
        assert wait_until(lambda: gauge(server, "belle_answers_running") == 2)
        waiting = pool.submit(server.send, post(SHORT))
        assert wait_until(lambda: gauge(server, "belle_requests_open") == 3)
        server.process.send_signal(signal.SIGINT)
        assert status_of(waiting.result(20)) == 503
        finished = finishing.result(60).decode()
        assert not endless.done()
        server.process.send_signal(signal.SIGINT)
        ended = endless.result(20).decode()
    assert server.process.wait(20) == 0
    assert '"finish_reason":"length"' in finished
    assert "error" not in finished
    assert_ended_by_the_server(ended)
    assert "Traceback" not in server.output


def test_the_end_of_grace(start: Start, demo_file: Path) -> None:
    server = start(demo_file, "--grace", "300ms")
    with ThreadPoolExecutor(2) as pool:
        streamed = pool.submit(server.send, post(ENDLESS, stream=True))
        whole = pool.submit(server.send, post(ENDLESS))
        assert wait_until(lambda: gauge(server, "belle_answers_running") == 2)
        server.process.send_signal(signal.SIGTERM)
        assert status_of(whole.result(20)) == 503
        assert_ended_by_the_server(streamed.result(20).decode())
    assert server.process.wait(20) == 0


def assert_ended_by_the_server(streamed: str) -> None:
    """Its last events say why, and the stream is complete as HTTP has it."""
    assert '"code":"server_shutting_down"' in streamed
    assert streamed.endswith("data: [DONE]\n\n\r\n0\r\n\r\n")
