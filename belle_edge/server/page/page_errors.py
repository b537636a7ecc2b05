"""Errors of the page's interface: a code for programs, a message for people in their language, details."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import ContextLengthError, QueueFullError
from ...history import HistoryMissingError
from ...languages import chosen, translator
from ...memory import InsufficientMemoryError
from ..server_errors import ApiError, as_api_error, internal_error, log_fault

PREFIX = "/page/v1"


class PageError(ApiError):
    """What the page gets in place of an answer."""

    def __init__(
        self, status: int, message: str, *, code: str, details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(status, message, code=code)
        self.details = details


def not_found(what: str) -> PageError:
    """404."""
    return PageError(404, what, code="not_found")


def refused(message: str, *, code: str) -> PageError:
    """403: this client may not."""
    return PageError(403, message, code=code)


def conflict(message: str, *, code: str) -> PageError:
    """409: not now."""
    return PageError(409, message, code=code)


def language_of_request(setting: object, accept_language: str | None) -> str:
    """The language that a person reads."""
    return chosen(setting if isinstance(setting, str) else None, accept_language)


def error_body(error: ApiError, accept_language: str | None) -> dict[str, Any]:
    """The JSON of an error of the page's interface."""
    told = translator(language_of_request(None, accept_language))
    body: dict[str, Any] = {"code": error.code, "message": told.message(error.message)}
    if isinstance(error, PageError) and error.details is not None:
        body["details"] = dict(error.details)
    return {"error": body}


def stored_error(error: BaseException) -> dict[str, Any]:
    """What is kept with a message that failed: English, translated when it is shown."""
    if isinstance(error, ContextLengthError):
        return {"code": "context_full", "message": str(error)}
    if isinstance(error, InsufficientMemoryError):
        return {"code": "insufficient_memory", "message": str(error)}
    if isinstance(error, QueueFullError):
        return {"code": "too_many_requests", "message": str(error)}
    if isinstance(error, HistoryMissingError):
        return {"code": "not_found", "message": str(error)}
    told = as_api_error(error)
    if told is None:
        log_fault(error)
        told = internal_error()
    return {"code": told.code, "message": told.message}


def page_error_of(error: BaseException) -> ApiError | None:
    """An error of the package as the page has it; None for a fault of this program."""
    if isinstance(error, ApiError):
        return error
    told = as_api_error(error)
    if isinstance(error, HistoryMissingError):
        return not_found(str(error))
    return told
