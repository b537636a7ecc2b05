"""Every error of a request as a status, a code and a message. None that this package raises is a 500."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException

from ..errors import BackendError, BelleError, ContextLengthError, ModelFormatError, UnsupportedModelError
from ..memory import InsufficientMemoryError
from ..strict_json import JsonError

LOGGER = logging.getLogger("belle_edge")
_SETTING = re.compile(r"^\[\w+\] (\w+)(?: id)?\b.*?:")
_FIELDS = {"schema": "response_format"}  # settings of the engine that have another name in a request
_NO_RETRY = {
    "x-should-retry": "false"
}  # OpenAI's clients look at it; the same request would fail the same way


class ApiError(HTTPException):
    """What a client gets in place of an answer."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """status: of HTTP. code: for programs. param: the field of the request that is wrong."""
        super().__init__(status, message, dict(headers or {}))
        self.message = message
        self.code = code
        self.param = param

    @property
    def kind(self) -> str:
        """OpenAI's `type`."""
        kinds = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
        return kinds.get(
            self.status_code, "server_error" if self.status_code >= 500 else "invalid_request_error"
        )

    def body(self, path: str = "") -> dict[str, Any]:
        """The JSON of the interface that `path` belongs to; OpenAI's shape unless that is Ollama's."""
        if path.startswith("/api/"):
            return {"error": self.message}
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}


class ClientGone(Exception):
    """Nobody is there to read an answer."""


def bad_request(message: str, *, param: str | None = None, code: str = "invalid_request") -> ApiError:
    """400: the request has to change."""
    return ApiError(400, message, code=code, param=param)


def refused(field: str, advice: str) -> ApiError:
    """400: a field that would change the answer, and that is not offered."""
    return ApiError(400, f"{field}: {advice}", code="unsupported_parameter", param=field)


def unknown_model(name: str | None, known: list[str]) -> ApiError:
    """404; 400 where the request names none of several; 503 where there is none at all."""
    if not known:
        return ApiError(503, "this server has no model yet: add one on its page", code="no_model")
    listed = ", ".join(known)
    if name is None:
        return bad_request(f"model: expected one of {listed}, got none", param="model")
    return ApiError(
        404, f"no model {name!r} here: expected one of {listed}", code="model_not_found", param="model"
    )


def in_use(name: str) -> ApiError:
    """409: a model that somebody uses stays."""
    return ApiError(409, f"{name} is answering: stop the answer, or wait for its end", code="model_in_use")


def deadline_exceeded(seconds: float) -> ApiError:
    """504: the answer took longer than this server allows."""
    return ApiError(
        504,
        f"the request took longer than this server allows ({seconds:g} s): ask for fewer tokens, or start it "
        "with a larger --timeout",
        code="deadline_exceeded",
        headers=_NO_RETRY,
    )


def shutting_down() -> ApiError:
    """503: the server ends."""
    return ApiError(503, "the server is shutting down", code="server_shutting_down", headers=_NO_RETRY)


def too_slow() -> ApiError:
    """503: an answer that nobody reads would fill the memory."""
    return ApiError(
        503, "the answer was read more slowly than it was written", code="client_too_slow", headers=_NO_RETRY
    )


def internal_error() -> ApiError:
    """500: a fault of this program; its text may quote the request, so it stays inside."""
    return ApiError(
        500, "a fault of the server; its log says where", code="internal_error", headers=_NO_RETRY
    )


def as_api_error(error: BaseException) -> ApiError | None:
    """What a client is told about `error`; None for a fault of this program."""
    if isinstance(error, ApiError):
        return error
    message = str(error)
    if isinstance(error, ContextLengthError):
        return bad_request(message, code="context_length_exceeded", param="messages")
    if isinstance(error, MemoryError):
        shown = message if isinstance(error, InsufficientMemoryError) else "memory ran out: try again later"
        return ApiError(503, shown, code="insufficient_memory", headers={"retry-after": "10"})
    if isinstance(error, (ModelFormatError, UnsupportedModelError, BackendError, OSError)):
        return ApiError(503, _without_folders(error), code="model_unavailable", headers=_NO_RETRY)
    if isinstance(error, JsonError):
        return bad_request(f"the body is no JSON: {message}", code="invalid_json")
    if isinstance(error, (ValueError, BelleError)):
        found = _SETTING.match(message)
        return bad_request(message, param=_FIELDS.get(found[1], found[1]) if found else None)
    return None


def _without_folders(error: BaseException) -> str:
    """The message of a file that cannot be loaded; where it lies is nobody's business."""
    message = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    return re.sub(r"(?<![\w.])(?:~|[A-Za-z]:)?(?:[/\\][^/\\:'\"]*)*[/\\](?=[^/\\\s])", "", message)


def log_fault(error: BaseException) -> None:
    """Where a fault happened; its text is left out, since it may quote a prompt."""
    places = traceback.extract_tb(error.__traceback__)[-3:]
    where = ", ".join(f"{place.filename.rpartition('belle_edge')[2]}:{place.lineno}" for place in places)
    LOGGER.error("a fault: %s at %s", type(error).__name__, where)
