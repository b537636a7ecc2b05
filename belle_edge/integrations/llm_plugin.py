"""The plugin of the command `llm`: models of this package under names of its own.

`belle/NAME` is NAME.gguf of the models folder; `belle` is the file that its option `path` names. The entry point `llm`
leads here, so that each start of that command reads this file: what is heavy is imported where a model is asked.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BackendMissingError
from ..folders import models_folder, models_in

try:
    import llm
    from pydantic import Field
except ImportError:
    raise BackendMissingError("[llm] llm is not installed: pip install 'belle-edge[llm]'") from None

if TYPE_CHECKING:
    from ..generation.streams import Generation, Stream
    from ..model import Belle
    from ..text.prompts import Message

_ANY_FILE = "belle"  # the model whose file an option names
_LOADING = ("threads", "context")
_KEPT = "500MB"  # of cache, so that a further turn of a chat computes its own tokens only


class _Options(llm.Options):
    """Settings of an answer; without one the model's own preset counts."""

    max_tokens: int | None = Field(default=512, ge=1, description="Most tokens of an answer")
    temperature: float | None = Field(default=None, ge=0, description="0: always the most probable token")
    top_k: int | None = Field(
        default=None, ge=0, description="Choose among so many of the best tokens; 0: all"
    )
    top_p: float | None = Field(
        default=None, gt=0, le=1, description="Choose within this part of the probability"
    )
    min_p: float | None = Field(
        default=None, ge=0, le=1, description="Least probability, relative to the best's"
    )
    repetition_penalty: float | None = Field(default=None, gt=0, description="Over 1: say less again")
    presence_penalty: float | None = Field(
        default=None, description="Subtracted from the logit of seen tokens"
    )
    frequency_penalty: float | None = Field(
        default=None, description="Subtracted for each time a token was seen"
    )
    seed: int | None = Field(default=None, ge=0, description="The same seed gives the same answer")
    stop: str | None = Field(default=None, min_length=1, description="A text that ends the answer")
    threads: int | None = Field(default=None, ge=1, description="Threads of the CPU; all of them without it")
    context: int | None = Field(default=None, ge=1, description="Tokens of prompt and answer together")


class _AnyFileOptions(_Options):
    path: str | None = Field(default=None, description="The GGUF file to load")


class _Loaded:
    """What the two kinds of models share: a file, the model in memory, and what is asked of it."""

    can_stream = True
    supports_schema = True
    Options: Any  # of this model, as the command offers them

    def __init__(self, model_id: str, path: Path | None) -> None:
        """path: None for the model whose file an option names."""
        self.model_id = model_id
        self.Options = _AnyFileOptions if path is None else _Options
        self._path = path
        self._belle: Belle | None = None  # held, so that the next question finds it loaded

    def _asked_for(self, prompt: llm.Prompt) -> Stream:
        """The answer, not written yet. ValueError, and what loading raises."""
        from .shared_models import shared_model

        named = prompt.options.model_dump(exclude_none=True)
        named.setdefault("max_tokens", None)
        loading = {name: named.pop(name) for name in _LOADING if name in named}
        path = _named_file(named.pop("path", None)) if self._path is None else self._path
        self._belle = shared_model(path, {"prefix_cache": _KEPT, **loading})
        return self._belle.stream_chat(_dialogue(prompt), schema=prompt.schema, **named)

    def _note_end(self, response: Any, generation: Generation) -> None:
        """Note what the answer took. ModelError for one that was cut within its schema."""
        response.set_usage(input=generation.prompt_tokens, output=generation.completion_tokens)
        response.response_json = {
            "finish_reason": generation.finish_reason,
            "prefilled_tokens": generation.prefilled_tokens,
        }
        if response.prompt.schema is not None and generation.finish_reason == "length":
            raise llm.ModelError("the answer ended in the middle of its schema: see -o max_tokens")


class BelleModel(_Loaded, llm.Model):
    """A model of the command and of `llm.get_model`."""

    def execute(
        self, prompt: llm.Prompt, stream: bool, response: llm.Response, conversation: llm.Conversation | None
    ) -> Iterator[str]:
        """Pieces of the answer; without `stream` there is one."""
        answer = self._asked_for(response.prompt)
        if stream:
            yield from answer
        else:
            yield answer.finish().text
        self._note_end(response, answer.result)


class AsyncBelleModel(_Loaded, llm.AsyncModel):
    """A model of `llm.get_async_model`."""

    async def execute(
        self,
        prompt: llm.Prompt,
        stream: bool,
        response: llm.AsyncResponse,
        conversation: llm.AsyncConversation | None,
    ) -> AsyncGenerator[str, None]:
        """As that of BelleModel; the event loop stays free."""
        from ..generation.streams import AsyncStream

        answer = AsyncStream(self._asked_for(response.prompt))
        pieces = []
        async for piece in answer:
            if stream:
                yield piece
            else:
                pieces.append(piece)
        if not stream:
            yield "".join(pieces)
        self._note_end(response, answer.result)


@llm.hookimpl
def register_models(register: Callable[..., None]) -> None:
    """Called by `llm` whenever it looks for models."""
    register(BelleModel(_ANY_FILE, None), AsyncBelleModel(_ANY_FILE, None))
    for path in _found():
        name = f"{_ANY_FILE}/{path.stem}"
        register(BelleModel(name, path), AsyncBelleModel(name, path))


def _found() -> list[Path]:
    """None where the folder is not there or not readable: `llm` has other models too."""
    try:
        return models_in(models_folder())
    except OSError:
        return []


def _named_file(path: str | None) -> str:
    if path is None:
        raise llm.ModelError(
            f"which file? -o path FILE.gguf, or once: llm models options set {_ANY_FILE} path FILE.gguf; "
            f"files in {models_folder()} are models of their own"
        )
    return path


def _dialogue(prompt: llm.Prompt) -> list[Message]:
    from .dialogue_turns import joined_turns

    return joined_turns((message.role, _text(message)) for message in prompt.messages)


def _text(message: llm.Message) -> str:
    """ModelError for a message that is no text."""
    from llm.parts import ReasoningPart, TextPart

    parts = [part for part in message.parts if not isinstance(part, ReasoningPart)]
    other = next((type(part).__name__ for part in parts if not isinstance(part, TextPart)), None)
    if other is not None:
        raise llm.ModelError(f"expected a text, got a message with a {other}: these models read text")
    return "".join(part.text for part in parts if isinstance(part, TextPart))
