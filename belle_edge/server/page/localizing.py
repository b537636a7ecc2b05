"""What is kept in English, errors above all, in the language of who reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from starlette.requests import Request

from ...languages import Translator, chosen, translator

Json = TypeVar("Json", dict[str, Any], list[dict[str, Any]])


def told(request: Request, value: Json) -> Json:
    """An answer's JSON in the language of the request."""
    language = chosen(None, request.headers.get("accept-language"))
    if isinstance(value, list):
        return [localized(entry, language) for entry in value]
    return localized(value, language)


def localized(value: Mapping[str, Any], language: str) -> dict[str, Any]:
    """JSON whose errors, stored in English, are in a language; so are limits of models and stages of conversions."""
    if language == "en":
        return dict(value)
    speaker = translator(language)

    def of(part: Any) -> Any:
        if isinstance(part, Mapping):
            return {key: _translated(key, entry, speaker) or of(entry) for key, entry in part.items()}
        return [of(entry) for entry in part] if isinstance(part, list) else part

    return dict(of(value))


def _translated(key: str, entry: Any, speaker: Translator) -> Any:
    if key == "error" and isinstance(entry, Mapping) and "message" in entry:
        return {**entry, "message": speaker.message(str(entry["message"]))}
    if key in ("limits_text", "stage") and isinstance(entry, str) and entry:
        return speaker.text(entry)
    return None
