"""LangChain: a model of this package as a chat model, in the same process.

from belle_edge.integrations.langchain import ChatBelle

print(ChatBelle(model="belle-7b.gguf").invoke("你好").content)
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from ..errors import BackendMissingError

try:
    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
    from langchain_core.language_models import BaseChatModel, LanguageModelInput
    from langchain_core.language_models.base import LangSmithParams
    from langchain_core.messages import AIMessage, BaseMessage
    from langchain_core.outputs import ChatGenerationChunk, ChatResult
    from langchain_core.runnables import Runnable, RunnableConfig
    from pydantic import ConfigDict, Field, PrivateAttr
except ImportError:
    raise BackendMissingError(
        "[langchain] langchain-core is not installed: pip install 'belle-edge[langchain]'"
    ) from None

from ..generation.streams import AsyncStream, Generation, Stream
from ..model import Belle
from ..sampling import SAMPLING_NUMBERS, PenaltyScope
from .langchain_batches import noted, run_together
from .langchain_messages import NO_TOOLS, dialogue_of, final_chunk, piece_chunk, result_of_generation
from .shared_models import shared_model

_SAMPLING = (*SAMPLING_NUMBERS, "penalty_scope", "seed")
_OF_LANGCHAIN = ("stream", "stream_usage")  # what callers pass on for the chains themselves


class ChatBelle(BaseChatModel):
    """A chat model of LangChain over a GGUF file, which is in memory once for all that name it with the same `loading`.

    model: path of the file; or belle: a model that is loaded already, which stays yours to close. loading: settings
    of `Belle.load`. The others are those of `Belle.chat`: what is None is as the file's preset says. Each call, and
    `bind`, may change them by name, and may have schema, choice, regex or grammar. Raises what `Belle.load` raises,
    and ValueError for a setting out of range or of another name.
    """

    model: str = ""
    belle: Belle | None = Field(default=None, exclude=True, repr=False)
    loading: dict[str, Any] = Field(default_factory=dict)
    max_tokens: int | None = 512
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    penalty_scope: PenaltyScope | None = None
    seed: int | None = None
    stop: list[str] | None = None
    streaming: bool = False  # whether `invoke` writes piece by piece, for callbacks that listen

    _loaded: Belle = PrivateAttr()
    model_config = ConfigDict(extra="forbid")  # a mistyped setting is an error

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        if self.belle is None and not self.model:
            raise ValueError("[langchain] expected a file: ChatBelle(model='belle-7b.gguf'), or belle=…")
        if self.belle is not None:
            self.model = self.model or str(self.belle.path)
        self._loaded = self.belle or shared_model(self.model, self.loading)
        self._loaded.settings(raw=False, params=None, sampling=self._sampling())

    @property
    def _llm_type(self) -> str:
        return "belle-edge"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        """All that an answer depends on: what LangChain's caches and traces tell models apart by."""
        own = {"max_tokens": self.max_tokens, "stop": self.stop, **self._sampling()}
        return {"model": self.model, "loading": dict(self.loading), **own}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        """What a trace is labelled with: the file's name, without the folders of this computer."""
        params = super()._get_ls_params(stop=stop, **kwargs)
        params["ls_provider"] = self._llm_type
        params["ls_model_name"] = Path(str(kwargs.get("model", self.model))).stem
        return params

    def get_token_ids(self, text: str) -> list[int]:
        """The ids of a text, by the model's own tokenizer; so `get_num_tokens` and `trim_messages` count right."""
        return self._loaded.tokenize(text)

    def batch(
        self,
        inputs: list[LanguageModelInput],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[AIMessage]:
        """The answers of all inputs, 16 at a time, or `max_concurrency` of the config; each step is one pass for all.

        Each is what `invoke` gives for it alone. Ctrl-C, or an error that is not returned, ends them within a token.
        """

        def ask(one: LanguageModelInput, config: RunnableConfig) -> Any:
            try:
                return self.invoke(one, config, **kwargs)
            except Exception as error:
                if not return_exceptions:
                    raise
                return error

        return run_together(ask, inputs, config)

    def bind_tools(self, tools: Sequence[Any], **named: Any) -> Runnable[LanguageModelInput, AIMessage]:
        """NotImplementedError, as LangChain expects of a model without tools."""
        raise NotImplementedError(
            f"[langchain] bind_tools: {NO_TOOLS}: with_structured_output shapes an answer"
        )

    def with_structured_output(
        self,
        schema: dict[str, Any] | type,
        *,
        include_raw: bool = False,
        method: Literal["json_schema", "function_calling", "json_mode"] = "json_schema",
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """A runnable whose answers are of this shape: an instance of a pydantic class, else a dict.

        schema: a pydantic class, a TypedDict, a JSON schema, or a function as OpenAI describes one. No token outside it
        is ever chosen, so method and strict change nothing. include_raw: a dict of raw, parsed and parsing_error.
        """
        from .langchain_structure import structured

        if kwargs:
            raise ValueError(
                f"[langchain] with_structured_output: unknown settings {', '.join(sorted(kwargs))}"
            )
        return structured(self, schema, include_raw=include_raw)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return self._result(self._asked_for(messages, stop, kwargs).finish())

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        stream = AsyncStream(self._asked_for(messages, stop, kwargs))
        async for _ in stream:
            pass
        return self._result(stream.result)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        stream = self._asked_for(messages, stop, kwargs)
        for piece in stream:
            chunk = piece_chunk(piece)
            if run_manager is not None:
                run_manager.on_llm_new_token(piece, chunk=chunk)
            yield chunk
        yield final_chunk(stream.result, self._model_name)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        stream = AsyncStream(self._asked_for(messages, stop, kwargs))
        async for piece in stream:
            chunk = piece_chunk(piece)
            if run_manager is not None:
                await run_manager.on_llm_new_token(piece, chunk=chunk)
            yield chunk
        yield final_chunk(stream.result, self._model_name)

    def _asked_for(
        self, messages: list[BaseMessage], stop: list[str] | None, named: dict[str, Any]
    ) -> Stream:
        """named: what the call, or `bind`, says over the settings of this model."""
        own = {"max_tokens": self.max_tokens, "stop": self.stop if stop is None else stop}
        given = {name: value for name, value in named.items() if name not in _OF_LANGCHAIN}
        settings = {**own, **self._sampling(), **given}
        return noted(self._loaded.stream_chat(dialogue_of(messages), **settings))

    def _sampling(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _SAMPLING if getattr(self, name) is not None}

    def _result(self, generation: Generation) -> ChatResult:
        return result_of_generation(generation, self._model_name)

    @property
    def _model_name(self) -> str:
        return Path(self.model).stem
