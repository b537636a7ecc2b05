"""What strangers try: other names and pages, no key, bodies and headers without end, slow bytes, paths."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Start
from .server_process import ServerProcess, read_all, request, status_of

KEY = "correct-horse-battery"
CHAT = json.dumps({"messages": [{"role": "user", "content": "你好"}], "max_tokens": 2}).encode()
JSON = "Content-Type: application/json"
SECRET_TEXT = "绝密的提示词"


@pytest.fixture(scope="module")
def server(start: Start, demo_file: Path) -> ServerProcess:
    """As it starts without options."""
    return start(demo_file)


@pytest.fixture(scope="module")
def locked(start: Start, demo_file: Path) -> ServerProcess:
    """With a key from the environment, open to the pages of one origin."""
    return start(demo_file, "--allow-origin", "http://page.test:3000", BELLE_API_KEY=KEY)


def code_of(response: bytes) -> str:
    body = json.loads(response.partition(b"\r\n\r\n")[2])
    return str(body["error"]["code"])


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:80",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example#localhost",
        "localhost@evil.example",
        "evil.example/localhost",
        "10.0.0.1",
        "[::2]",
        "localhost:99999999",
        "[::1",
        "",
        "locаlhost",  # a Cyrillic letter
    ],
)
def test_foreign_hosts(server: ServerProcess, host: str) -> None:
    """A page that lets its own name point at this computer gets nothing."""
    raw = request("/v1/models", host="HOST").replace(b"HOST", host.encode())
    response = server.send(raw)
    assert status_of(response) in (400, 403)
    assert b'"data"' not in response
    if status_of(response) == 403:
        assert code_of(response) == "host_not_allowed"


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:8080", "[::1]:80", "localhost."]
)
def test_own_names(server: ServerProcess, host: str) -> None:
    assert status_of(server.send(request("/v1/models", host=host))) == 200


def test_two_hosts_and_none(server: ServerProcess) -> None:
    two = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"
    assert status_of(server.send(two)) in (400, 403)
    assert status_of(server.send(b"GET /v1/models HTTP/1.0\r\n\r\n")) == 403
    assert status_of(server.send(b"GET /v1/models HTTP/1.1\r\n\r\n")) == 400


@pytest.mark.parametrize(
    "headers",
    [
        ["Origin: http://evil.example"],
        ["Origin: null"],
        ["Origin: http://localhost.evil.example"],
        ["Origin: http://localhost", "Origin: http://evil.example"],
        ["Origin: http://localhost:9999"],  # another server of this computer
        ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"],
        ["Sec-Fetch-Site: same-site"],
    ],
    ids=str,
)
def test_foreign_pages(server: ServerProcess, headers: list[str]) -> None:
    for content_type in (JSON, "Content-Type: text/plain"):
        raw = request("/v1/chat/completions", content_type, *headers, method="POST", body=CHAT)
        response = server.send(raw)
        assert status_of(response) == 403
        assert code_of(response) == "origin_not_allowed"
        assert b"access-control" not in response.lower()
    preflight = request(
        "/v1/chat/completions", "Access-Control-Request-Method: POST", *headers, method="OPTIONS"
    )
    assert status_of(server.send(preflight)) in (403, 405)


def test_own_pages(server: ServerProcess) -> None:
    raw = request("/v1/models", f"Origin: http://localhost:{server.port}", host=f"localhost:{server.port}")
    assert status_of(server.send(raw)) == 200
    assert status_of(server.send(request("/health", "Sec-Fetch-Site: none"))) == 200


def test_pages_that_are_allowed(locked: ServerProcess) -> None:
    origin = "Origin: http://page.test:3000"
    preflight = request(
        "/v1/chat/completions",
        origin,
        "Access-Control-Request-Method: POST",
        "Access-Control-Request-Headers: authorization,content-type",
        method="OPTIONS",
    )
    response = locked.send(preflight).lower()
    assert status_of(response.upper()) == 200
    assert b"access-control-allow-origin: http://page.test:3000\r\n" in response
    answer = locked.send(request("/v1/models", origin, f"Authorization: Bearer {KEY}"))
    assert status_of(answer) == 200
    assert b"access-control-allow-origin: http://page.test:3000\r\n" in answer.lower()
    assert (
        status_of(
            locked.send(request("/v1/models", "Origin: http://page.test", f"Authorization: Bearer {KEY}"))
        )
        == 403
    )


@pytest.mark.parametrize(
    "headers",
    [
        [],
        ["Authorization: Bearer wrong"],
        ["Authorization: Bearer " + KEY[:-1]],
        ["Authorization: Bearer " + KEY + "x"],
        ["Authorization: Basic " + KEY],
        ["Authorization: " + KEY],
        ["Authorization: Bearer"],
        ["Authorization: Bearer \xff\xfe"],
        ["X-Api-Key: " + KEY],
    ],
    ids=repr,
)
def test_no_key_or_a_wrong_one(locked: ServerProcess, headers: list[str]) -> None:
    for path in ("/v1/models", "/v1/chat/completions", "/api/tags", "/metrics", "/openapi.json", "/nothing"):
        response = locked.send(request(path, *headers))
        assert status_of(response) == 401, path
        assert b"www-authenticate: Bearer" in response
    assert status_of(locked.send(request("/health"))) == 200


def test_the_right_key(locked: ServerProcess) -> None:
    for scheme in ("Bearer", "bearer"):
        assert status_of(locked.send(request("/v1/models", f"Authorization: {scheme} {KEY}"))) == 200


def test_an_open_address_needs_a_key(demo_file: Path, start: Start, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="takes a key: give --api-key or BELLE_API_KEY"):
        start(demo_file, "--host", "0.0.0.0", BELLE_API_KEY="")
    key = tmp_path / "key"
    key.write_text(f"{KEY}\n", encoding="utf-8")
    server = start(demo_file, "--host", "0.0.0.0", "--api-key-file", key, "--allow-host", "box.lan")
    bearer = f"Authorization: Bearer {KEY}"
    assert status_of(server.send(request("/v1/models"))) == 401
    for host, status in (("10.1.2.3:8080", 200), ("box.lan", 200), ("evil.example", 403)):
        assert status_of(server.send(request("/v1/models", bearer, host=host))) == status


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/v1/models/../../../etc/passwd",
        "/v1/models/..%2f..%2f..%2fetc%2fpasswd",
        "/v1/models/%2e%2e/demo.gguf",
        "/v1/models/demo.gguf",
        "/v1/models/%00",
        "//etc/passwd",
        "/static/../../demo.gguf",
        "/api/blobs/sha256:00",
        "/docs",
        "/redoc",
    ],
)
def test_paths_lead_nowhere(server: ServerProcess, path: str) -> None:
    response = server.send(request(path))
    assert status_of(response) in (400, 404)
    assert b"root:" not in response
    assert b"cdn" not in response


@pytest.mark.parametrize("name", ["../demo", "/etc/passwd", "demo.gguf", "DEMO", "", "demo\0", "x" * 10_000])
def test_models_go_by_their_names_alone(server: ServerProcess, name: str) -> None:
    body = json.dumps({**json.loads(CHAT), "model": name}).encode()
    response = server.send(request("/v1/chat/completions", JSON, method="POST", body=body))
    assert status_of(response) == 404
    assert code_of(response) == "model_not_found"


def test_a_file_that_is_gone_shows_no_folder(start: Start, demo_file: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.gguf").write_bytes(demo_file.read_bytes())
    server = start(tmp_path)
    (tmp_path / "one.gguf").write_bytes(b"GGUF damaged")
    body = json.dumps({**json.loads(CHAT), "model": "one"}).encode()
    response = server.send(request("/v1/chat/completions", JSON, method="POST", body=body))
    assert status_of(response) == 503
    assert code_of(response) == "model_unavailable"
    assert str(tmp_path).encode() not in response
    assert b"one.gguf" in response


def test_a_huge_body(server: ServerProcess) -> None:
    head = request("/v1/chat/completions", JSON, "Content-Length: 99999999999", method="POST")
    assert status_of(server.send(head)) == 413
    assert status_of(server.send(request("/v1/models", "Content-Length: " + "9" * 30, method="POST"))) in (
        400,
        413,
    )
    with server.connect() as connection:  # without saying how much comes
        connection.sendall(request("/v1/chat/completions", JSON, "Transfer-Encoding: chunked", method="POST"))
        part = b"10000\r\n" + b" " * 65536 + b"\r\n"
        n_sent = 0
        try:
            while n_sent < 64 << 20:
                connection.sendall(part)
                n_sent += 65536
                connection.settimeout(0.001)
                try:
                    response = connection.recv(65536)
                    break
                except TimeoutError:
                    connection.settimeout(20)
        except ConnectionError:
            response = read_all(connection)
        assert status_of(response) in (0, 413)
        assert n_sent < 16 << 20


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"messages":' + b"[" * 1000 + b"]" * 1000 + b"}",
        b'{"temperature": 1e999}',
        b'{"temperature": NaN}',
        b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"messages": [{"role": "user", "content": "\xff\xfe"}]}',
        b'{"seed": ' + b"9" * 5000 + b"}",
        b'{"messages": [{"role": "user", "role": "system", "content": "a"}]}',
        b'"a text"',
        b"[]",
        b"null",
        b"",
        b'{"messages": {"role": "user"}}',
        b'{"model": {"a": 1}, "messages": [1]}',
        b"{" + b",".join(b'"%d": []' % i for i in range(250_000)) + b"}",
    ],
    ids=lambda body: body[:30].decode("latin-1"),
)
def test_bodies_that_are_no_requests(server: ServerProcess, body: bytes) -> None:
    for path in ("/v1/chat/completions", "/api/chat", "/tokenize"):
        response = server.send(request(path, JSON, method="POST", body=body))
        assert status_of(response) == 400, response[:300]
        json.loads(response.partition(b"\r\n\r\n")[2])


@pytest.mark.parametrize(
    "headers",
    [
        [f"X-{number}: a" for number in range(300)],
        ["X-Long: " + "a" * 40_000],
        ["Cookie: " + "a" * 200_000],
        [f"X-{number}: {'a' * 1000}" for number in range(90)],
    ],
    ids=["many", "long", "very-long", "much"],
)
def test_header_bombs(server: ServerProcess, headers: list[str]) -> None:
    assert status_of(server.send(request("/health", *headers))) in (0, 400, 431)
    assert status_of(server.send(request("/health"))) == 200


def test_headers_without_end(server: ServerProcess) -> None:
    with server.connect() as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n")
        try:
            for number in range(5000):
                connection.sendall(b"X-%d: %s\r\n" % (number, b"a" * 100))
        except ConnectionError:
            pass
        assert status_of(read_all(connection)) in (0, 400, 431)


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",  # TLS
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"GET /health\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /health HTTP/1.1\nHost : localhost\r\n\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
    ids=lambda raw: repr(raw[:40]),
)
def test_malformed_requests(server: ServerProcess, raw: bytes) -> None:
    with server.connect() as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        assert status_of(read_all(connection)) in (0, 400, 403, 404, 405)
    assert status_of(server.send(request("/health"))) == 200


def test_an_upgrade_is_not_taken(server: ServerProcess) -> None:
    raw = (
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n"
    )
    assert status_of(server.send(raw)) == 200


def test_pipelined_requests_are_answered_in_turn(server: ServerProcess) -> None:
    first = request("/health").replace(b"Connection: close\r\n", b"")
    chat = request("/v1/chat/completions", JSON, method="POST", body=CHAT).replace(
        b"Connection: close\r\n", b""
    )
    response = server.send(first + chat + first + request("/v1/models"))
    assert [int(code) for code in re.findall(rb"HTTP/1\.1 (\d+)", response)] == [200] * 4
    assert response.index(b"chat.completion") < response.rindex(b'"status"') < response.index(b'"list"')


def test_smuggled_bytes_are_no_second_request(server: ServerProcess) -> None:
    body = b"0\r\n\r\nGET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n"
    raw = request("/v1/chat/completions", JSON, "Transfer-Encoding: chunked", method="POST", body=body)
    response = server.send(raw)
    assert response.count(b"HTTP/1.1") <= 1


def test_answers_stay_out_of_caches(server: ServerProcess) -> None:
    response = server.send(request("/v1/chat/completions", JSON, method="POST", body=CHAT)).lower()
    assert b"cache-control: no-store" in response
    assert b"x-content-type-options: nosniff" in response
    assert b"\r\nserver:" not in response


def test_the_description_is_there_without_pages(server: ServerProcess) -> None:
    response = server.send(request("/openapi.json"))
    described = json.loads(response.partition(b"\r\n\r\n")[2])
    assert {"/v1/chat/completions", "/v1/completions", "/v1/models", "/api/chat", "/tokenize"} <= set(
        described["paths"]
    )


def test_nothing_of_a_prompt_is_logged(start: Start, demo_file: Path) -> None:
    server = start(demo_file, "--verbose")
    for body in (
        {"messages": [{"role": "user", "content": SECRET_TEXT}], "max_tokens": 2},
        {"messages": [{"role": "user", "content": SECRET_TEXT}], "temperature": SECRET_TEXT},
        {"messages": [{"role": SECRET_TEXT, "content": SECRET_TEXT}]},
        {SECRET_TEXT: 1},
    ):
        raw = json.dumps(body, ensure_ascii=False).encode()
        assert status_of(server.send(request("/v1/chat/completions", JSON, method="POST", body=raw))) in (
            200,
            400,
        )
    assert server.stop(signal.SIGINT) == 0
    assert SECRET_TEXT not in server.output
    assert "Traceback" not in server.output


@pytest.fixture
def socket_path() -> Iterator[Path]:
    """Short: the system limits its length."""
    path = Path(f"/tmp/belle-test-{os.getpid()}.sock")
    yield path
    path.unlink(missing_ok=True)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="needs UNIX sockets")
def test_a_unix_socket(start: Start, demo_file: Path, socket_path: Path) -> None:
    socket_path.write_text("a file of somebody", encoding="utf-8")
    with pytest.raises(AssertionError, match="exists and is no socket"):
        start(demo_file, "--socket", socket_path)
    assert socket_path.read_text(encoding="utf-8") == "a file of somebody"
    socket_path.unlink()
    with pytest.raises(AssertionError, match="expected 1 to 256"):
        start(demo_file, "--socket", socket_path, "--context", "1000")
    assert not socket_path.exists(), "it goes with a server that did not start"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(socket_path))
    server = start(demo_file, "--socket", socket_path)
    assert server.address == f"unix:{socket_path}"
    assert socket_path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(AssertionError, match="a server answers"):
        start(demo_file, "--socket", socket_path)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(socket_path))
        connection.sendall(request("/v1/models"))
        assert status_of(read_all(connection)) == 200
    assert server.stop() == 0
    assert not socket_path.exists()


def test_a_port_that_is_taken(start: Start, demo_file: Path, server: ServerProcess) -> None:
    with pytest.raises(AssertionError, match=r"cannot listen on 127\.0\.0\.1:\d+: .*; --port names another"):
        start(demo_file, "--port", str(server.port))
