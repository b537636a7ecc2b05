"""The routes of Ollama's interface."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from ..._version import __version__
from ...text.prompts import Message
from ..answer_length import allowed_length
from ..answering import AnswerResponse
from ..dialogue import dialogue
from ..request_fields import StrictRoute
from ..server_errors import bad_request
from ..service import Service
from .model_cards import listed, running, shown
from .ollama_jobs import OllamaJob
from .ollama_requests import OllamaChatRequest, OllamaFields, OllamaGenerateRequest, OllamaShowRequest

_LATEST = ":latest"  # what Ollama's clients put behind a name without a tag


def ollama_router(service: Service) -> APIRouter:
    """Chat, generate and what is known about the models."""
    router = APIRouter(prefix="/api", tags=["Ollama"], route_class=StrictRoute)

    def name_of(name: str) -> str:
        return name.removesuffix(_LATEST) if name not in service.models.names else name

    def job(body: OllamaFields, route: str, **asked: Any) -> OllamaJob:
        length = allowed_length(body.chosen.length(), service.settings.max_tokens, name="num_predict")
        return OllamaJob(
            body, name_of(body.model), body.settings(), length, body.keep_alive_s(), route, **asked
        )

    @router.post("/chat", response_model=None)
    async def chat(body: OllamaChatRequest) -> Response:
        """Answers a dialogue, line by line unless stream: false."""
        messages = dialogue(body.messages) if body.messages else None
        return AnswerResponse(service, job(body, "/api/chat", messages=messages))

    @router.post("/generate", response_model=None)
    async def generate(body: OllamaGenerateRequest) -> Response:
        """Answers a prompt, line by line unless stream: false."""
        if not body.prompt:
            return AnswerResponse(service, job(body, "/api/generate"))
        if body.raw:
            if body.system:
                raise bad_request("system: raw: true takes a prompt as it is", param="system")
            return AnswerResponse(service, job(body, "/api/generate", prompt=body.prompt))
        messages: list[Message] = [{"role": "user", "content": body.prompt}]
        if body.system:
            messages.insert(0, {"role": "system", "content": body.system})
        return AnswerResponse(service, job(body, "/api/generate", messages=messages))

    @router.get("/tags")
    async def tags() -> dict[str, Any]:
        """The models of this server."""
        return {"models": [listed(model) for model in service.models.all()]}

    @router.get("/ps")
    async def ps() -> dict[str, Any]:
        """Those in memory."""
        return {"models": [running(model) for model in service.models.loaded]}

    @router.post("/show")
    async def show(body: OllamaShowRequest) -> dict[str, Any]:
        """What a model's file says about itself."""
        name = body.model or body.name
        return shown(service.models.find(name if name is None else name_of(name)))

    @router.get("/version")
    async def version() -> dict[str, str]:
        """Of this program."""
        return {"version": __version__}

    return router
