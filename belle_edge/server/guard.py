"""What every request has to pass before anything reads it: who calls, from which page, and how much of it there is."""

from __future__ import annotations

import asyncio
import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .server_errors import ApiError, ClientGone, bad_request, internal_error, log_fault
from .server_settings import ServerSettings
from .streaming import Outgoing

_OPEN_PATHS = frozenset({"/", "/health"})  # say that it is there, and nothing else
_OPEN_FOLDER, _CLOSED_FOLDER = "/page/", "/page/v1/"  # the page's files, and its interface
_LARGE_BODIES = frozenset({"/page/v1/import"})


def _is_open(path: str) -> bool:
    """Whether no key is asked for."""
    return path in _OPEN_PATHS or (path.startswith(_OPEN_FOLDER) and not path.startswith(_CLOSED_FOLDER))


class Guard:
    """Refuses foreign pages and names, and oversized headers. The outermost layer: what passes it is a fault."""

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        out = _Guarded(send)
        try:
            self._check(scope)
            await self._app(scope, receive, out.send)
        except ClientGone:
            return
        except ApiError as error:
            await Outgoing(out.send, "").whole(error.status_code, error.body(scope["path"]), error.headers)
        except Exception as error:
            log_fault(error)
            if not out.started:
                fault = internal_error()
                await Outgoing(out.send, "").whole(500, fault.body(scope["path"]), fault.headers)

    def _check(self, scope: Scope) -> None:
        settings, headers = self._settings, scope["headers"]
        n_bytes = sum(len(name) + len(value) for name, value in headers) + len(scope.get("raw_path") or b"")
        if len(headers) > settings.max_headers or n_bytes > settings.max_header_bytes:
            raise ApiError(
                431,
                f"expected at most {settings.max_headers} headers of {settings.max_header_bytes} bytes",
                code="headers_too_large",
            )
        given = Headers(scope=scope)
        if "transfer-encoding" in given and "content-length" in given:
            raise bad_request(
                "Transfer-Encoding and Content-Length do not go together", code="ambiguous_length"
            )
        host = _host_name(given)
        if not settings.knows_host(host):
            raise ApiError(
                403,
                f"Host: this server does not go by the name {host[:80]!r}; --allow-host adds a name",
                code="host_not_allowed",
            )
        self._check_origin(given)

    def _check_origin(self, headers: Headers) -> None:
        """A page of another site may not call, whatever it sends. ApiError 403."""
        allowed = self._settings.allow_origins
        origins = headers.getlist("origin")
        if "*" in allowed:
            return
        for origin in origins:
            if origin not in allowed and origin not in (
                f"http://{headers['host']}",
                f"https://{headers['host']}",
            ):
                raise ApiError(
                    403,
                    f"Origin: pages of {origin[:80]!r} may not call this server; --allow-origin allows it",
                    code="origin_not_allowed",
                )
        site = headers.get("sec-fetch-site", "none")
        if (
            not origins
            and site not in ("none", "same-origin")
            and headers.get("sec-fetch-mode") != "navigate"
        ):
            raise ApiError(403, "a page of another site may not call this server", code="origin_not_allowed")


class KeyGuard:
    """Asks for the API key, where there is one. Inside the layer that answers a browser's preflight."""

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._app = app
        self._key = settings.api_key.encode() if settings.api_key is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._key is not None and not _is_open(scope["path"]):
            self._check(Headers(scope=scope), self._key)
        await self._app(scope, receive, send)

    def _check(self, headers: Headers, key: bytes) -> None:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        fits = hmac.compare_digest(given.strip().encode("utf-8", "replace"), key)
        if scheme.lower() != "bearer" or not fits:
            raise ApiError(
                401,
                "expected the header Authorization: Bearer KEY with this server's key",
                code="invalid_api_key",
                headers={"www-authenticate": "Bearer"},
            )


class BodyLimit:
    """Takes in a whole body before anybody works on it: so many bytes, in so much time."""

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        settings = self._settings
        most = settings.max_import_bytes if scope["path"] in _LARGE_BODIES else settings.max_body_bytes
        length = Headers(scope=scope).get("content-length", "")
        if length.isdecimal() and (len(length) > 18 or int(length) > most):
            raise _too_large(most)
        try:
            body = await asyncio.wait_for(_read(receive, most), settings.receive_s)
        except asyncio.TimeoutError:
            message = f"the body did not come within {settings.receive_s:g} s"
            raise ApiError(408, message, code="body_too_slow", headers={"connection": "close"}) from None
        pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return pending.pop() if pending else await receive()

        await self._app(scope, replay, send)


async def _read(receive: Receive, most: int) -> bytes:
    """A body. ClientGone where the client leaves before its end, ApiError 413 where there is too much."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        body += message.get("body", b"")
        if len(body) > most:
            raise _too_large(most)
        if not message.get("more_body", False):
            return bytes(body)


def _too_large(most: int) -> ApiError:
    return ApiError(413, f"the body: expected at most {most} bytes", code="body_too_large")


class _Guarded:
    """Sends on, with headers that keep an answer out of caches and guesses."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            headers = MutableHeaders(scope=message)
            headers.setdefault("cache-control", "no-store")
            headers["x-content-type-options"] = "nosniff"
        await self._send(message)


def _host_name(headers: Headers) -> str:
    """The name in the Host header, without its port; empty where there is none, or no sound one."""
    given = headers.getlist("host")
    if len(given) != 1:
        return ""
    try:
        parts = urlsplit(f"//{given[0]}")
        sound = parts.path == "" and parts.query == "" and parts.fragment == "" and parts.username is None
        _ = parts.port
    except ValueError:
        return ""
    return (parts.hostname or "").rstrip(".") if sound else ""
