"""`Belle`: a loaded GGUF file, and all that a user asks of it. How it writes is in generation/."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, overload

from ._core import GgufFile
from .argument_names import explains_names
from .backends import open_backend
from .errors import ModelFormatError
from .folders import user_path
from .generation.answer import check_length
from .generation.answer_options import BATCH, CHAT, PROMPT, lists_options, params_of_call, read_options
from .generation.batch import Errors, answer_prompts
from .generation.batch_results import BatchPlan, BatchResult, OnBatchProgress, answer_items
from .generation.choice_scores import Choice, choose
from .generation.conversation import Conversation
from .generation.prefix_files import PrefixFiles
from .generation.prefixes import Prefixes
from .generation.prompt_ids import dialogue_ids, ids_within, prompt_ids
from .generation.scheduler import Scheduler
from .generation.streams import AsyncStream, Generation, Stream, stream_of
from .memory import check_memory, open_file
from .regular_files import irregular
from .sampling import SamplingParams
from .settings import EngineSettings, byte_count
from .text.chat_format import ChatFormat

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Unpack

    from ._core import LoadProgress
    from .backends.base import Backend
    from .generation.answer_options import AnswerSettings, BatchSettings
    from .text.prompts import Message


class Belle:
    """A loaded model. One model serves several Python threads: their answers share the engine's passes, and each is
    the one that it would be alone. `close` in one thread ends the generations of the others with a ValueError.

    with Belle.load("belle.gguf") as model:
        print(model.generate("用一句话介绍北京。"))
    """

    def __init__(
        self,
        backend: Backend,
        *,
        path: Path,
        context: int | None = None,
        chat_format: ChatFormat | None = None,
        scheduler: Scheduler | None = None,
    ) -> None:
        """Use `Belle.load`. Takes over `backend`. chat_format None: as the file says. scheduler None: one that keeps
        nothing of an answer after its end.

        ModelFormatError where tokenizer and weights do not match, ValueError for a context out of range.
        """
        self.backend = backend
        self.scheduler = scheduler or Scheduler(backend)
        self.path = path
        self.tokenizer = backend.tokenizer()
        self.chat_format = chat_format or ChatFormat.from_metadata(backend.metadata)
        n_rows = int(backend.config["vocab_size"])
        if len(self.tokenizer) != n_rows:
            raise ModelFormatError(
                f"[model] {path.name}: {len(self.tokenizer)} tokens, but {n_rows} rows in the output matrix"
            )
        settings = EngineSettings(context=context)
        # tokens of prompt and answer together
        self.context = settings.context_of(int(backend.config["context_length"]))

    @classmethod
    @explains_names("model")
    def load(
        cls,
        path: str | os.PathLike[str] | GgufFile,
        *,
        backend: str = "native",
        threads: int | None = None,
        context: int | None = None,
        kv: str = "auto",
        isa: str | None = None,
        memory_check: bool = True,
        family: str | None = None,
        chat_template: str | None = None,
        prefix_cache: int | str = 0,
        prefix_folder: str | os.PathLike[str] | None = None,
        prefix_folder_size: int | str = "4GB",
        progress: LoadProgress | None = None,
        rpc_servers: Sequence[str] = (),
    ) -> Belle:
        """Load a GGUF file, a path or one that is open; ~ in a path is the home folder.

        backend: "native" runs BLOOM and LLaMA, "llama.cpp" (package llama-cpp-python) whatever that knows.
        threads: None = every processor this process may use. context: tokens of prompt and answer together,
        None = as trained. kv: type of the key/value cache, "f32", "f16", "q8" (bytes with a scale for each
        position and head), or "auto" (f32 where all matrices are float, else f16). isa: instruction-set tier,
        None = the best this CPU has (see `belle-edge info`).
        memory_check: refuse before loading when weights and cache (of `context`, or of at most 4,096 tokens
        without one) cannot fit into memory. family: one of `belle_edge.prompts.FAMILIES`, whose template, stop strings
        and preset replace the file's. chat_template: Jinja source that replaces the file's or the family's template.
        prefix_cache: bytes of keys and values, as 10**9 or "1GB", that stay after an answer, so that the next prompt
        computes only what differs from an earlier one. prefix_folder: they are written there too, and so are there
        after a restart; the least recently used files go when they are more than prefix_folder_size. progress: a
        `belle_edge._core.LoadProgress`, whose done_bytes and total_bytes another thread may read meanwhile.
        rpc_servers: with llama.cpp, "host:port" of processes that hold the layers; memory is not checked then.

        Raises FileNotFoundError and other OSErrors, ModelFormatError (damaged), UnsupportedModelError (names
        what this engine lacks), InsufficientMemoryError (with the numbers, and what would fit), ValueError (an
        argument out of range), and with llama.cpp BackendError (its
        build does not run here) or BackendMissingError (not installed).
        """
        settings = EngineSettings(threads=threads, context=context, kv=kv, isa=isa)
        ChatFormat.of_file({}, family=family, chat_template=chat_template)  # raises before anything is read
        prefix_bytes = byte_count("[model] prefix_cache", prefix_cache)
        folder_bytes = byte_count("[model] prefix_folder_size", prefix_folder_size)
        folder = None if prefix_folder is None else user_path("[model] prefix_folder", prefix_folder)
        file = open_file(path if isinstance(path, GgufFile) else _existing_file(path))
        if memory_check and not rpc_servers:
            check_memory(file, context=settings.context, kv=kv)
        engine = open_backend(
            backend,
            file,
            threads=settings.threads,
            kv=kv,
            isa=isa,
            context=settings.context,
            progress=progress,
            rpc_servers=rpc_servers,
        )
        try:
            chat_format = ChatFormat.of_file(engine.metadata, family=family, chat_template=chat_template)
            files = None if folder is None else PrefixFiles(engine, folder, budget_bytes=folder_bytes)
            prefixes = Prefixes(engine, budget_bytes=prefix_bytes, files=files)
            return cls(
                engine,
                path=Path(file.path),
                context=settings.context,
                chat_format=chat_format,
                scheduler=Scheduler(engine, prefixes=prefixes),
            )
        except BaseException:
            engine.close()
            raise

    @property
    def config(self) -> Mapping[str, Any]:
        """Architecture and shapes: n_layers, n_heads, hidden_size, vocab_size, context_length, …"""
        return self.backend.config

    @property
    def details(self) -> Mapping[str, Any]:
        """How it runs: threads, isa, kv_type, weight_bytes, kv_bytes_per_token, …"""
        return self.backend.details

    @explains_names("tokenize")
    def tokenize(self, text: str, *, add_bos: bool | None = None, parse_special: bool = False) -> list[int]:
        """Ids of `text`. add_bos None: as the file's settings say (these decide on EOS, too). parse_special:
        texts of control tokens, as `</s>`, become those tokens; otherwise they are plain text."""
        return self.tokenizer.encode(text, add_bos=add_bos, parse_special=parse_special)

    @explains_names("detokenize")
    def detokenize(self, ids: Sequence[int]) -> str:
        """Text of `ids`, without control tokens. Raises ValueError for an id outside the vocabulary."""
        return self.tokenizer.decode(ids)

    @explains_names("logits")
    def logits(self, ids: Sequence[int], *, last_only: bool = False) -> NDArray[np.float32]:
        """Next-token logits after each of `ids`: float32 [n_tokens, n_vocab]; last_only: [1, n_vocab].

        n_vocab counts the rows of the output matrix, padding rows included. Raises ValueError for no ids, too
        many, or one out of range.
        """
        ids = ids_within("[logits] ids", ids, self.context)
        check_length(ids, self.context)
        sequence = self.backend.new_sequence()
        return self.backend.forward([(sequence, ids)], logits="last" if last_only else "all")[0]

    @lists_options(PROMPT)
    def generate(
        self, prompt: str | Sequence[int], *, raw: bool = False, **options: Unpack[AnswerSettings]
    ) -> Generation:
        """Answer a prompt.

        prompt: text, or token ids that are used as they are. max_tokens: of the answer; None: up to the end of
        the context, which needs overflow="error". raw False: the text is put into the file's chat template, its
        sampling preset and its stop strings apply; raw True: none of these, the text goes in as it is (with BOS
        as the tokenizer's settings say) and SamplingParams' defaults apply. Both end at EOS. params, sampling:
        settings by name, see SamplingParams; `params` replaces the preset, single settings change it.
        `temperature=0` is the plain argmax unless penalties are given too.

        overflow: at the end of the context the answer ends ("error": with finish_reason "length"), or goes on
        ("slide"): the first n_keep tokens stay (None: the prompt, up to half of the context), of the others
        the older half is dropped, each time the context is full.

        An empty text is a prompt where the template, or a BOS token, gives the model something to start from.

        Returns the finished Generation. Raises ValueError (a setting out of range, a prompt without any token,
        one longer than the context, no template or a broken one) and KeyboardInterrupt within one token.
        """
        return self.stream(prompt, raw=raw, **options).finish()

    @lists_options(PROMPT)
    def stream(
        self, prompt: str | Sequence[int], *, raw: bool = False, **options: Unpack[AnswerSettings]
    ) -> Stream:
        """As `generate`, but piece by piece: iterate, then read `.result`. Never half a character."""
        return stream_of(self, prompt_ids(self, prompt, raw=raw), read_options(PROMPT, options), raw=raw)

    @lists_options(PROMPT)
    def astream(
        self, prompt: str | Sequence[int], *, raw: bool = False, **options: Unpack[AnswerSettings]
    ) -> AsyncStream:
        """As `stream`, for `async for`. `AsyncStream(stream)` does the same for any other stream."""
        return AsyncStream(self.stream(prompt, raw=raw, **options))

    @lists_options(CHAT)
    def chat(self, messages: Sequence[Message], **options: Unpack[AnswerSettings]) -> Generation:
        """Answer the last of `messages`: [{"role": "system" | "user" | "assistant", "content": text}, …].

        A system message may come first; BELLE was trained without one, so its text opens the first user turn.
        Then user and assistant take turns, the user last. Template, preset and stop strings apply. For a
        dialogue that goes on `conversation` computes less. Raises ValueError, see `generate`.
        """
        return self.stream_chat(messages, **options).finish()

    @lists_options(CHAT)
    def stream_chat(self, messages: Sequence[Message], **options: Unpack[AnswerSettings]) -> Stream:
        """As `chat`, but piece by piece: iterate, then read `.result`."""
        return stream_of(self, dialogue_ids(self, messages), read_options(CHAT, options))

    @lists_options(CHAT)
    def conversation(self, *, system: str | None = None, **options: Unpack[AnswerSettings]) -> Conversation:
        """Begin a dialogue that keeps its key/value cache: each turn computes its own tokens only.

        system: text that opens the first turn. max_tokens: of each answer; None: up to the end of the context,
        without overflow="slide". overflow: when the context is full
        a further turn is a ValueError ("error"), or the oldest turns are dropped ("slide") but for the first
        turn, of which n_keep tokens stay at most (None: a quarter of the context). Raises ValueError for a
        file without a chat template, and for settings out of range.
        """
        return Conversation(self, system=system, options=read_options(CHAT, options))

    @lists_options(CHAT)
    def load_conversation(
        self, path: str | os.PathLike[str], **options: Unpack[AnswerSettings]
    ) -> Conversation:
        """Go on with a dialogue that `Conversation.save` wrote. Settings are not in the file: give them as to
        `conversation`.

        Its cache is used where it fits this model; else the stored ids are computed with the next turn.
        Raises OSError, and ValueError for a file that is damaged or made with another vocabulary.
        """
        return Conversation.load(self, path, options=read_options(CHAT, options))

    @overload
    def generate_batch(
        self,
        prompts: Iterable[str | Sequence[int]],
        *,
        errors: Literal["raise"] = "raise",
        **options: Unpack[BatchSettings],
    ) -> list[Generation]: ...

    @overload
    def generate_batch(
        self, prompts: Iterable[str | Sequence[int]], *, errors: Errors, **options: Unpack[BatchSettings]
    ) -> list[Generation | ValueError]: ...

    @lists_options(BATCH)
    def generate_batch(
        self,
        prompts: Iterable[str | Sequence[int]],
        *,
        errors: Errors = "raise",
        **options: Unpack[BatchSettings],
    ) -> Sequence[Generation | ValueError]:
        """Answer many prompts, at most `max_batch` at a time, each step one pass for all of them.

        Each result is the same, bit for bit, as `generate` gives for that prompt alone. prompts: any iterable; it
        is read to its end first. params: one for all, or one per prompt. With one for all and a seed, prompt i
        uses seed + i. What all prompts begin with is computed once.

        on_progress: called with the number of finished answers and of prompts, each time an answer ends.
        errors: "raise": a prompt that cannot be answered is a ValueError, before anything is computed where that
        can be known. "return": its place in the result holds the ValueError, and the others get their answers.
        Raises ValueError as `generate`; for settings of the whole call also with "return".
        """
        return answer_prompts(self, prompts, read_options(BATCH, options), errors=errors)

    @lists_options(PROMPT)
    def batch(
        self,
        items: Iterable[str | Sequence[int] | Mapping[str, Any]],
        *,
        errors: Errors = "raise",
        ordered: bool = False,
        max_batch: int = 16,
        on_progress: OnBatchProgress | None = None,
        raw: bool = False,
        scored: bool = False,
        **options: Unpack[AnswerSettings],
    ) -> Iterator[BatchResult]:
        """Answer any number of items, and yield each result as it finishes. A generator is read as there is room.

        items: prompts, or mappings with "prompt" or "messages", settings of their own (`max_tokens`, `temperature`,
        `seed`, `stop`, `raw`, `schema`, …), and any other fields, which are left alone. ordered: in the order of the
        items instead. With a seed, item i uses seed + i. Each result is the same, bit for bit, as `generate` gives
        for that prompt alone. Up to 8 * max_batch items are read ahead, of which the longest begin first.

        scored: where there is a `choice`, of the item or of all, the generation is a Choice, as `choose` gives it.
        Settings for drawing tokens, and max_tokens, do not count for it.

        on_progress: called with a BatchProgress each time an item ends. errors: "raise": an item that cannot be
        answered is a ValueError; "return": a result with an `error`, and the others get their answers. Raises
        ValueError for settings of the whole call also with "return". Leaving the iterator lets go of all memory.
        """
        plan = BatchPlan(errors, ordered, max_batch, on_progress, scored)
        return answer_items(self, items, read_options(PROMPT, options), plan, raw=raw)

    @explains_names("choose")
    def choose(
        self,
        prompt: str | Sequence[int] | Sequence[Message],
        choices: Sequence[str],
        *,
        raw: bool = False,
    ) -> Choice:
        """The most probable of some texts as the answer to a prompt, with the probability of each; nothing is drawn.

        prompt: text, token ids, or messages as for `chat`. raw: no chat template. A text counts with the probability
        that the answer begins with it, and with no longer choice; `choice_logprobs` has the logarithms, `probabilities`
        are them divided by their sum. All texts go through one pass, the prompt once. Raises ValueError for no choice,
        an empty one, a prompt without any token or beyond the context.
        """
        return choose(self, prompt, choices, raw=raw)

    def settings(
        self, *, raw: bool, params: SamplingParams | None, sampling: Mapping[str, Any]
    ) -> SamplingParams:
        """The settings that a call with these arguments uses: preset and stop strings included unless raw."""
        return params_of_call(self.chat_format, raw=raw, params=params, sampling=sampling)

    def close(self) -> None:
        """Release the weights. Any later use raises ValueError."""
        self.scheduler.close()
        self.backend.close()

    def __enter__(self) -> Belle:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Belle({str(self.path)!r})"


def _existing_file(path: str | os.PathLike[str]) -> Path:
    """The path of a model, if a regular file is there. FileNotFoundError, ValueError."""
    path = user_path("[model] path", path)
    if path.is_dir():
        raise ValueError(
            f"[model] {path} is a folder: convert it first (belle-edge convert {path} -o model.gguf)"
        )
    if not path.exists():
        raise FileNotFoundError(f"[model] no such file: {path}")
    if (kind := irregular(path)) is not None:
        raise ValueError(f"[model] {path}: expected a GGUF file, found {kind}")
    return path
