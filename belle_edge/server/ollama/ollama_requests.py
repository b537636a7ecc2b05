"""What a client of Ollama's interface may send, and what its options mean to this engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from ..constraints import constraint_settings
from ..dialogue import NO_IMAGES, NO_TOOLS, DialogueMessage
from ..durations import seconds_of
from ..request_fields import Refused, RequestFields
from ..server_errors import bad_request

MAX_TOP_LOGPROBS = 20
_NO_SEARCH = "not offered: these are temperature, top_k, top_p and min_p"
_SAME_NAMES = ("temperature", "top_k", "top_p", "min_p", "presence_penalty", "frequency_penalty", "stop")


class OllamaOptions(RequestFields):
    """`options`: those of the loading that change no text are taken and left out."""

    ignored: ClassVar[frozenset[str]] = frozenset(
        {
            "numa",
            "num_batch",
            "num_gpu",
            "main_gpu",
            "low_vram",
            "f16_kv",
            "logits_all",
            "vocab_only",
            "use_mmap",
            "use_mlock",
            "num_thread",
        }
    )
    refused: ClassVar[Mapping[str, Refused]] = {
        "tfs_z": Refused(_NO_SEARCH, (1, 1.0)),
        "typical_p": Refused(_NO_SEARCH, (1, 1.0)),
        "mirostat": Refused(_NO_SEARCH, (0,)),
        "mirostat_tau": Refused(_NO_SEARCH, (5, 5.0)),
        "mirostat_eta": Refused(_NO_SEARCH, (0.1,)),
        "penalize_newline": Refused("penalties concern every token", (True,)),
        "repeat_last_n": Refused("penalties concern prompt and answer: leave it out, or write -1", (-1,)),
        "embedding_only": Refused("embeddings are not offered", (False,)),
    }
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    stop: str | Annotated[list[str], Field(max_length=16)] | None = None
    seed: int | None = None
    num_predict: int | None = None
    num_keep: int | None = None
    num_ctx: int | None = None

    def settings(self) -> dict[str, Any]:
        """Keyword settings of `Belle.stream`, without its length."""
        settings = self.given(*_SAME_NAMES)
        if self.repeat_penalty is not None:
            settings["repetition_penalty"] = self.repeat_penalty
        if self.seed is not None and self.seed >= 0:  # a negative one asks for chance
            settings["seed"] = self.seed
        return settings

    def length(self) -> int | None:
        """Tokens of an answer at most; None: up to the end of the context, which is Ollama's -1 and -2."""
        return None if self.num_predict is None or self.num_predict in (-1, -2) else self.num_predict

    def check_context(self, context: int) -> None:
        """ApiError where more room is asked for than there is: an answer would end early."""
        if self.num_ctx is not None and self.num_ctx > context:
            raise bad_request(
                f"num_ctx: the context of this model holds {context} tokens here, got {self.num_ctx}",
                param="num_ctx",
            )


class OllamaFields(RequestFields):
    """What both ways of asking have."""

    refused: ClassVar[Mapping[str, Refused]] = {
        "tools": NO_TOOLS,
        "think": Refused("these models do not reason apart from their answer", (False,)),
        "images": NO_IMAGES,
        **dict.fromkeys(("truncate", "shift"), Refused("a prompt is never cut here", (False,))),
    }
    model: str = Field(min_length=1)
    stream: bool | None = None
    options: OllamaOptions | None = None
    keep_alive: str | float | None = None
    format: str | dict[str, Any] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS)] | None = None

    @property
    def chosen(self) -> OllamaOptions:
        return self.options or OllamaOptions()

    def keep_alive_s(self) -> float | None:
        """None: as the server was told."""
        return None if self.keep_alive is None else seconds_of("keep_alive", self.keep_alive)

    def settings(self) -> dict[str, Any]:
        """Keyword settings of `Belle.stream`, without its length. ApiError and ValueError for what is not offered."""
        settings = {**self.chosen.settings(), **constraint_settings(format=self.format)}
        if self.logprobs:
            settings["top_logprobs"] = self.top_logprobs or 0
        return settings


class OllamaChatRequest(OllamaFields):
    """The body of /api/chat; without messages it loads the model."""

    messages: list[DialogueMessage] | None = None


class OllamaGenerateRequest(OllamaFields):
    """The body of /api/generate; without a prompt it loads the model."""

    refused: ClassVar[Mapping[str, Refused]] = {
        **OllamaFields.refused,
        "suffix": Refused("filling in a gap is not offered: these models were not trained for it", ("",)),
        "template": Refused("the file says how a question is put; raw: true takes a prompt as it is", ("",)),
        "context": Refused("send earlier turns as messages to /api/chat"),
        **dict.fromkeys(("width", "height", "steps"), Refused("these models write text", (0,))),
    }
    prompt: str | None = None
    system: str | None = None
    raw: bool | None = None


class OllamaShowRequest(RequestFields):
    """The body of /api/show."""

    ignored: ClassVar[frozenset[str]] = frozenset({"verbose"})
    model: str | None = None
    name: str | None = None  # its former name
