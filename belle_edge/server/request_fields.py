"""Fields of requests: what is known is checked, what would change an answer and is not offered is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, ClassVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, model_validator
from starlette.types import Scope

from ..strict_json import JsonError, parse
from .server_errors import ApiError, bad_request, refused

_MAX_CONTAINERS = 200_000  # objects and arrays of one request


@dataclass(frozen=True)
class Refused:
    """A field of others' interfaces that is not offered here."""

    advice: str
    neutral: tuple[Any, ...] = ()  # values that ask for nothing, besides null and empty lists

    def asks_for_nothing(self, value: object) -> bool:
        return (
            value is None
            or value == []
            or any(value == other and type(value) is type(other) for other in self.neutral)
        )


class RequestFields(BaseModel):
    """A JSON object of a request. Subclasses list what else clients send."""

    model_config = ConfigDict(extra="forbid", strict=True)
    ignored: ClassVar[frozenset[str]] = frozenset()  # changes no answer
    refused: ClassVar[Mapping[str, Refused]] = {}

    @model_validator(mode="before")
    @classmethod
    def _known_fields(cls, given: Any) -> Any:
        """ApiError for a field that is refused or unknown; those that ask for nothing are left out."""
        if not isinstance(given, dict):
            return given
        kept = {}
        for name, value in given.items():
            if name in cls.model_fields:
                kept[name] = value
            elif name in cls.refused:
                if not cls.refused[name].asks_for_nothing(value):
                    raise refused(name, cls.refused[name].advice)
            elif name not in cls.ignored and value is not None:
                raise _unknown(name, [*cls.model_fields, *cls.ignored])
        return kept

    def given(self, *names: str) -> dict[str, Any]:
        """Those of the named fields that are not null."""
        values = {name: getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value is not None}


class StrictRequest(Request):
    """A request whose body is read by this package's own JSON reader, with its bounds."""

    async def json(self) -> Any:
        """ApiError for what is no JSON."""
        try:
            return parse(await self.body(), max_containers=_MAX_CONTAINERS)
        except JsonError as error:
            raise bad_request(f"the body is no JSON: {error}", code="invalid_json") from None


class StrictRoute(APIRoute):
    """A route that reads its body so."""

    def get_route_handler(self) -> Any:
        handle = super().get_route_handler()

        async def strictly(request: Request) -> Any:
            return await handle(StrictRequest(_as_json(request.scope), request.receive))

        return strictly


def _as_json(scope: Scope) -> Scope:
    """A request whose body counts as JSON whatever its header says: `curl -d` names it a form."""
    headers = [(name, value) for name, value in scope["headers"] if name != b"content-type"]
    return {**scope, "headers": [*headers, (b"content-type", b"application/json")]}


def validation_error(error: RequestValidationError) -> ApiError:
    """The first thing that is wrong with a body, as a 400."""
    found: Any = next(iter(error.errors()), {"loc": (), "msg": "invalid"})
    place = [str(part) for part in found["loc"] if part != "body"]
    message = str(found["msg"]).removeprefix("Value error, ")
    if not place:
        return bad_request(f"the body: expected a JSON object, got something else ({message})")
    return bad_request(f"{'.'.join(place)}: {message}", param=place[0])


def _unknown(name: str, known: list[str]) -> ApiError:
    name = name[:80]
    close = get_close_matches(name, known, n=1, cutoff=0.7)
    advice = f"did you mean {close[0]!r}?" if close else "this server does not know it"
    return ApiError(400, f"unknown field {name!r}: {advice}", code="unknown_parameter", param=name)
