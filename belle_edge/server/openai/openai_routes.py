"""The routes of OpenAI's interface."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from ..answer_length import allowed_length
from ..answering import AnswerResponse
from ..dialogue import dialogue
from ..request_fields import StrictRoute
from ..served_models import ServedModel
from ..service import Service
from .completion_jobs import CompletionJob
from .openai_jobs import ChatJob
from .openai_requests import ChatCompletionRequest, CompletionRequest

_DEFAULT_COMPLETION_TOKENS = 16  # as OpenAI's


def openai_router(service: Service) -> APIRouter:
    """Chat completions, completions and the list of models."""
    router = APIRouter(prefix="/v1", tags=["OpenAI"], route_class=StrictRoute)
    most = service.settings.max_tokens

    @router.post("/chat/completions", response_model=None)
    async def chat_completions(body: ChatCompletionRequest) -> Response:
        """Answers a dialogue; with stream: true as server-sent events."""
        job = ChatJob(
            request=body,
            messages=dialogue(body.messages),
            settings=body.settings(),
            max_tokens=allowed_length(body.length(), most),
            keep_alive_s=body.keep_alive_s(),
        )
        return AnswerResponse(service, job)

    @router.post("/completions", response_model=None)
    async def completions(body: CompletionRequest) -> Response:
        """Goes on with texts as they are, without a chat template."""
        asked = _DEFAULT_COMPLETION_TOKENS if body.max_tokens is None else body.max_tokens
        asked = min(asked, most) if most is not None and body.max_tokens is None else asked
        job = CompletionJob(
            request=body,
            prompts=body.prompts(),
            settings=body.settings(),
            max_tokens=allowed_length(asked, most),
            keep_alive_s=body.keep_alive_s(),
        )
        return AnswerResponse(service, job)

    @router.get("/models")
    async def models() -> dict[str, Any]:
        """The models of this server."""
        return {"object": "list", "data": [_described(model) for model in service.models.all()]}

    @router.get("/models/{name}")
    async def model(name: str) -> dict[str, Any]:
        """One of them."""
        return _described(service.models.find(name))

    return router


def _described(model: ServedModel) -> dict[str, Any]:
    return {
        "id": model.name,
        "object": "model",
        "created": int(model.path.stat().st_mtime) if model.path.exists() else 0,
        "owned_by": "belle-edge",
    }
