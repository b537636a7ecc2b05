"""What the page knows first: version, settings, models, jobs; texts of a language; the events."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Body, Request
from starlette.responses import Response

from ..._version import __version__
from ...languages import LANGUAGES, catalogue
from ..request_fields import StrictRoute
from .desk import Desk
from .event_stream import EventStream
from .folder_view import folders_allowed
from .localizing import told
from .page_errors import PageError, language_of_request, not_found

_SETTINGS = "page"  # the setting of the history that has those of the page
_MOST_SETTINGS = 50
_LONGEST = 2000  # characters of a name or a value


def state_router(desk: Desk) -> APIRouter:
    """GET /state, /catalogue/{language}, /events; PATCH /settings."""
    router = APIRouter(route_class=StrictRoute)

    def settings() -> dict[str, Any]:
        kept = desk.history.setting(_SETTINGS, {})
        return dict(kept) if isinstance(kept, dict) else {}

    def language_of(request: Request) -> str:
        return language_of_request(settings().get("language"), request.headers.get("accept-language"))

    @router.get("/state")
    def state(request: Request) -> dict[str, Any]:
        allowed = folders_allowed(desk.settings, request)
        found = {
            "version": __version__,
            "language": language_of(request),
            "languages": list(LANGUAGES),
            "settings": settings(),
            "models": [desk.shown(served, with_path=allowed) for served in desk.models.all()],
            "jobs": [job.to_dict() for job in desk.jobs.all()],
            "folders_allowed": allowed,
            "data_folder": str(desk.page.data) if allowed else None,
        }
        return told(request, found)

    @router.get("/catalogue/{language}")
    def texts(language: str) -> dict[str, str]:
        if language not in LANGUAGES:
            raise not_found("there is no such language")
        return catalogue(language)

    @router.patch("/settings")
    def change(changes: dict[str, Any] = Body()) -> dict[str, Any]:  # noqa: B008
        merged = {**settings(), **_checked(changes)}
        merged = {name: value for name, value in merged.items() if value is not None}
        if len(merged) > _MOST_SETTINGS:
            raise PageError(400, f"expected at most {_MOST_SETTINGS} settings", code="invalid_request")
        desk.history.set_setting(_SETTINGS, merged)
        desk.publish_settings(merged)
        return merged

    @router.get("/events", response_model=None)
    def events(request: Request) -> Response:
        return EventStream(desk.hub, desk.shutdown, language_of(request))

    return router


def _checked(changes: dict[str, Any]) -> dict[str, Any]:
    """Short names and plain values. PageError 400."""
    for name, value in changes.items():
        plain = value is None or isinstance(value, (bool, int, float, str))
        if not name.isidentifier() or len(name) > 40 or not plain or len(str(value)) > _LONGEST:
            raise PageError(
                400,
                f"settings: {name[:40]!r}: expected a short name and a plain value",
                code="invalid_request",
            )
    language = changes.get("language")
    if language is not None and language not in LANGUAGES:
        raise PageError(
            400, f"language: expected one of {', '.join(LANGUAGES)}, or null", code="invalid_request"
        )
    return changes
