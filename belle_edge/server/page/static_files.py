"""The files of the page, with the headers under which a browser runs them: nothing from elsewhere, nothing inline."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from ..server_errors import ApiError

FOLDER = Path(__file__).with_name("static")
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
}
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "font-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types belle-edge",
    )
)
_HEADERS = {
    "content-security-policy": POLICY,
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cache-control": "no-cache",  # asked for anew each time, sent only where it changed
}


@dataclass(frozen=True)
class _File:
    content: bytes
    etag: str
    media_type: str
    changed_ns: int


class StaticFiles:
    """Those in the folder when the server starts: no path of a request reaches the file system."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._paths = {
            path.relative_to(folder).as_posix(): path
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.suffix in _TYPES
        }
        self._known: dict[str, _File] = {}

    @property
    def has_page(self) -> bool:
        return "index.html" in self._paths

    def response(self, name: str, request: Request) -> Response:
        """A file; 304 where the browser has it. ApiError 404."""
        path = self._paths.get(name)
        if path is None:
            raise ApiError(404, "the page has no such file", code="unknown_url")
        file = self._read(name, path)
        headers = {**_HEADERS, "etag": file.etag}
        if file.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(file.content, headers=headers, media_type=file.media_type)

    def _read(self, name: str, path: Path) -> _File:
        changed = path.stat().st_mtime_ns
        known = self._known.get(name)
        if known is None or known.changed_ns != changed:
            content = path.read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            known = self._known[name] = _File(content, etag, _TYPES[path.suffix], changed)
        return known


def static_router(files: StaticFiles) -> APIRouter:
    """GET /page/…; `/` is with the plain routes, since other clients ask for it, too."""
    router = APIRouter(include_in_schema=False)

    @router.api_route("/page/{name:path}", methods=["GET", "HEAD"])
    async def file(name: str, request: Request) -> Response:  # a thread would cost more than it reads
        if name.startswith("v1/"):
            raise ApiError(404, "the page's interface has no such call", code="unknown_url")
        return files.response(name or "index.html", request)

    return router
