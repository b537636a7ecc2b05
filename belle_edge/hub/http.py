"""Requests to a hub that is not trusted: bounded in time, size and redirects; the login stays with the hub.

The session is huggingface_hub's own, so that proxies, certificates and offline mode are as the user set them. Left to
itself it bounds no body, unpacks compressed ones of any size, and waits for as long as a byte comes now and then.
"""

from __future__ import annotations

import platform
import queue
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

from ..errors import excerpt
from .hub_errors import (
    ConnectionFailedError,
    HubAnswerError,
    StatusError,
    first_line,
)

_REDIRECTS = (301, 302, 303, 307, 308)
_NUMBER = re.compile(r"[0-9]{1,18}")
_ERROR_CODE = re.compile(r"[A-Za-z]{1,40}")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_PIECE_BYTES = 1 << 16


@dataclass(frozen=True)
class Limits:
    """How long and how large an answer may be."""

    headers_s: float = 60.0  # from a request to the last of its headers
    whole_s: float = 120.0  # of an answer that is read at once: the list of files
    whole_bytes: int = 8 << 20  # some 40,000 files
    stretch_s: float = 60.0  # a longer body brings at least `stretch_bytes` in each such time
    stretch_bytes: int = 256 << 10
    n_redirects: int = 5
    n_attempts: int = 6  # of a transfer, in a row without `attempt_bytes`
    attempt_bytes: int = 1 << 20
    pause_s: float = 1.0  # between attempts
    unstated_bytes: int = 64 << 20  # of a file whose size nobody states


LIMITS = Limits()


@dataclass(frozen=True)
class Answer:
    """Status, headers and body of an answer, and what the hub said before it sent us elsewhere."""

    where: str  # what was asked for, in messages
    status: int
    headers: Mapping[str, str]  # names in lower case
    hub_headers: Mapping[str, str]  # of the hub's own answers on the way, the last one's first
    exchange: _Exchange

    def number(self, name: str, headers: Mapping[str, str] | None = None) -> int | None:
        """The header `name` as a whole number, None where it is missing. HubAnswerError where it is no number."""
        text = (self.headers if headers is None else headers).get(name)
        if text is None:
            return None
        if not _NUMBER.fullmatch(text):
            raise HubAnswerError(self.where, f"{name} is {excerpt(text)}, expected a number of bytes")
        return int(text)

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes. ConnectionFailedError for one that breaks off, or comes too slowly."""
        encoding = self.headers.get("content-encoding", "identity")
        if encoding.lower() not in ("", "identity"):
            raise HubAnswerError(
                self.where, f"the body is encoded as {excerpt(encoding)}, expected it as it is"
            )
        n_bytes, until = 0, time.monotonic() + LIMITS.stretch_s
        while True:
            piece = self.exchange.next_item(until)
            if piece is None:
                return
            n_bytes += len(piece)
            if n_bytes >= LIMITS.stretch_bytes:
                n_bytes, until = 0, time.monotonic() + LIMITS.stretch_s
            yield piece


def read_whole(url: str, where: str) -> bytes:
    """The body of an answer that is short. HubAnswerError for one that is not; StatusError, ConnectionFailedError."""
    deadline = time.monotonic() + LIMITS.whole_s
    content = bytearray()
    with request("GET", url, where) as answer:
        for piece in answer.pieces():
            content += piece
            if len(content) > LIMITS.whole_bytes:
                raise HubAnswerError(where, f"the answer is longer than {LIMITS.whole_bytes:,} bytes")
            if time.monotonic() > deadline:
                raise ConnectionFailedError(f"the answer took more than {LIMITS.whole_s:g} s")
    return bytes(content)


@contextmanager
def request(
    method: str, url: str, where: str, *, headers: Mapping[str, str] | None = None, stay: bool = False
) -> Iterator[Answer]:
    """Ask the hub for `url`, which is its own address, and follow redirects.

    where: what is asked for, in messages. stay: a redirect to another host is the answer. The login goes to the
    hub's own scheme, host and port only, and nowhere after a redirect has led away from there. Raises
    HubAnswerError (no address, too many redirects, from https to http), StatusError and ConnectionFailedError.
    """
    sent = {**_identification(), "Accept-Encoding": "identity", **(headers or {})}
    home, at_home, hub_headers = _origin(_checked_url(url, where)), True, dict[str, str]()
    for _ in range(LIMITS.n_redirects + 1):
        with _exchange(method, url, sent, at_home) as exchange:
            status, found = exchange.head(time.monotonic() + LIMITS.headers_s)
            if at_home:
                hub_headers.update(found)
            target = _redirected(url, found.get("location"), where) if status in _REDIRECTS else url
            leaves = _origin(urlsplit(target)) != home
            if status not in _REDIRECTS or (stay and leaves):
                yield _accepted(Answer(where, status, found, hub_headers, exchange))
                return
        url = target
        if leaves:
            at_home = False
            sent = {name: value for name, value in sent.items() if name.lower() != "authorization"}
    raise HubAnswerError(where, f"more than {LIMITS.n_redirects} redirects")


def _accepted(answer: Answer) -> Answer:
    """The answer, if its status is not an error's; a range that cannot be had is for the caller."""
    if answer.status in (200, 206, 416, *_REDIRECTS):
        return answer
    if answer.status in (408, 429) or answer.status >= 500:  # perhaps not the next time
        raise ConnectionFailedError(f"status {answer.status}")
    if answer.status < 400:
        raise HubAnswerError(answer.where, f"status {answer.status}")
    code = answer.hub_headers.get("x-error-code", "")
    raise StatusError(answer.status, code if _ERROR_CODE.fullmatch(code) else "")


def _identification() -> dict[str, str]:
    """Who asks: the login, if there is one, and the program.

    huggingface_hub's own function for it asks the hub a question of its own first, without any bound.
    """
    from huggingface_hub import __version__, constants, get_token

    program = f"belle-edge; hf_hub/{__version__}; python/{platform.python_version()}"
    token = None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token()
    return {"User-Agent": program, **({"Authorization": f"Bearer {token}"} if token else {})}


def _redirected(url: str, location: str | None, where: str) -> str:
    """The address that an answer sends us to. HubAnswerError unless it is one of the web, as safe as the last one."""
    if not location:
        raise HubAnswerError(where, "a redirect without an address")
    try:
        target = urljoin(url, location)
    except ValueError:
        raise HubAnswerError(where, f"a redirect to {excerpt(location)}, which is no address") from None
    parts = _checked_url(target, where)
    if parts.scheme == "http" and urlsplit(url).scheme == "https":
        raise HubAnswerError(where, f"a redirect from https to {excerpt(target)}")
    return target


def _checked_url(url: str, where: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        sound = parts.scheme in _DEFAULT_PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or not url.isascii() or not url.isprintable() or " " in url:
        raise HubAnswerError(where, f"expected an http or https address, got {excerpt(url)}")
    if parts.username is not None or parts.password is not None:
        raise HubAnswerError(where, f"a login in the address {excerpt(url)}")
    return parts


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    return parts.scheme, (parts.hostname or "").lower(), parts.port or _DEFAULT_PORTS[parts.scheme]


@contextmanager
def _exchange(method: str, url: str, headers: Mapping[str, str], at_home: bool) -> Iterator[_Exchange]:
    exchange = _Exchange(method, url, headers, at_home)
    try:
        yield exchange
    finally:
        exchange.close()


class _Exchange:
    """One request in a thread of its own: a server that sends a byte now and then cannot hold its caller.

    A thread that is given up ends with the next piece that comes, or when none comes for the session's time limit.
    """

    def __init__(self, method: str, url: str, headers: Mapping[str, str], at_home: bool) -> None:
        from huggingface_hub.utils import get_session  # type: ignore[attr-defined, unused-ignore]

        self._items: queue.Queue[Any] = queue.Queue(maxsize=16)
        self._closed = threading.Event()
        arguments = (get_session(), method, url, dict(headers), at_home)
        threading.Thread(target=self._run, args=arguments, daemon=True, name="belle-edge hub").start()

    def head(self, until: float) -> tuple[int, dict[str, str]]:
        """Status and headers, the latter's names in lower case."""
        status, headers = self.next_item(until)
        return status, headers

    def next_item(self, until: float) -> Any:
        """What comes next: the head, then pieces of the body, then None. ConnectionFailedError if nothing does."""
        while True:
            left_s = until - time.monotonic()
            if left_s <= 0:
                raise ConnectionFailedError("the answer comes too slowly")
            try:
                item = self._items.get(timeout=min(left_s, 0.5))  # short, so that Ctrl-C is seen on Windows
            except queue.Empty:
                continue
            if isinstance(item, Exception):
                raise ConnectionFailedError(first_line(item)) from item
            return item

    def close(self) -> None:
        self._closed.set()

    def _run(self, session: Any, method: str, url: str, headers: dict[str, str], at_home: bool) -> None:
        try:
            with _open(session, method, url, headers, at_home) as (status, found, pieces):
                going_on = self._put((status, {name.lower(): value for name, value in found.items()}))
                while going_on and (piece := next(pieces, None)) is not None:
                    going_on = self._put(piece)
            self._put(None)
        except Exception as error:  # of several libraries; all of them mean that there is no answer
            self._put(error)

    def _put(self, item: Any) -> bool:
        """Hand `item` over; False where nobody wants it any more."""
        while not self._closed.is_set():
            try:
                self._items.put(item, timeout=0.2)
                return True
            except queue.Full:
                continue
        return False


@contextmanager
def _open(
    session: Any, method: str, url: str, headers: dict[str, str], at_home: bool
) -> Iterator[tuple[int, Mapping[str, str], Iterator[bytes]]]:
    """The answer of either library that huggingface_hub's sessions are of, its body as it is sent."""
    from huggingface_hub.constants import HF_HUB_DOWNLOAD_TIMEOUT

    timeout_s = max(15, HF_HUB_DOWNLOAD_TIMEOUT)
    if callable(getattr(session, "stream", None)):  # httpx
        with session.stream(
            method, url, headers=headers, follow_redirects=False, timeout=timeout_s
        ) as answer:
            yield answer.status_code, answer.headers, answer.iter_raw()
        return
    import requests  # type: ignore[import-untyped, unused-ignore]

    # Without the session's own `request`, which reads the whole body of a redirect even when it does not follow it.
    auth = None if at_home else lambda request: request  # none of the user's .netrc for others
    prepared = session.prepare_request(requests.Request(method, url, headers=headers, auth=auth))
    settings = session.merge_environment_settings(prepared.url, {}, True, None, None)
    with session.get_adapter(prepared.url).send(prepared, timeout=timeout_s, **settings) as answer:
        yield answer.status_code, answer.headers, answer.raw.stream(_PIECE_BYTES, decode_content=False)
