"""The ways to have a loaded model write: one prompt, a chat, a conversation, many prompts at once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence, Sized
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from .backends.base import Backend
from .errors import excerpt
from .generation.answer import Answer, Overflow, Window, check_length, limit_of
from .generation.batch import Errors, Progress, answer_all, checked_errors
from .generation.conversation import Conversation
from .generation.streams import AsyncStream, Generation, Stream
from .sampling import SamplingParams, SamplingSettings, resolve
from .settings import token_ids
from .text.chat_format import ChatFormat
from .text.prompts import Message, check_dialogue
from .text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Writer:
    """What `Belle` inherits."""

    backend: Backend  # sequences, forward passes, samplers
    path: Path
    tokenizer: Tokenizer
    chat_format: ChatFormat
    context: int  # tokens of prompt and answer together

    def generate(
        self,
        prompt: str | Sequence[int],
        *,
        max_tokens: int | None = 256,
        raw: bool = False,
        params: SamplingParams | None = None,
        overflow: Overflow = "error",
        n_keep: int | None = None,
        **sampling: Unpack[SamplingSettings],
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
        ids = self._prompt_ids(prompt, raw=raw)
        return self._stream(ids, raw, max_tokens, params, overflow, n_keep, sampling).finish()

    def stream(
        self,
        prompt: str | Sequence[int],
        *,
        max_tokens: int | None = 256,
        raw: bool = False,
        params: SamplingParams | None = None,
        overflow: Overflow = "error",
        n_keep: int | None = None,
        **sampling: Unpack[SamplingSettings],
    ) -> Stream:
        """As `generate`, but piece by piece: iterate, then read `.result`. Never half a character."""
        ids = self._prompt_ids(prompt, raw=raw)
        return self._stream(ids, raw, max_tokens, params, overflow, n_keep, sampling)

    def astream(
        self,
        prompt: str | Sequence[int],
        *,
        max_tokens: int | None = 256,
        raw: bool = False,
        params: SamplingParams | None = None,
        overflow: Overflow = "error",
        n_keep: int | None = None,
        **sampling: Unpack[SamplingSettings],
    ) -> AsyncStream:
        """As `stream`, for `async for`. `AsyncStream(stream)` does the same for any other stream."""
        ids = self._prompt_ids(prompt, raw=raw)
        return AsyncStream(self._stream(ids, raw, max_tokens, params, overflow, n_keep, sampling))

    def chat(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int | None = 512,
        params: SamplingParams | None = None,
        overflow: Overflow = "error",
        n_keep: int | None = None,
        **sampling: Unpack[SamplingSettings],
    ) -> Generation:
        """Answer the last of `messages`: [{"role": "system" | "user" | "assistant", "content": text}, …].

        A system message may come first; BELLE was trained without one, so its text opens the first user turn.
        Then user and assistant take turns, the user last. Template, preset and stop strings apply. For a
        dialogue that goes on `conversation` computes less. Raises ValueError, see `generate`.
        """
        return self._stream(
            self._chat_ids(messages), False, max_tokens, params, overflow, n_keep, sampling
        ).finish()

    def stream_chat(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int | None = 512,
        params: SamplingParams | None = None,
        overflow: Overflow = "error",
        n_keep: int | None = None,
        **sampling: Unpack[SamplingSettings],
    ) -> Stream:
        """As `chat`, but piece by piece: iterate, then read `.result`."""
        return self._stream(self._chat_ids(messages), False, max_tokens, params, overflow, n_keep, sampling)

    def conversation(
        self,
        *,
        system: str | None = None,
        max_tokens: int | None = 512,
        params: SamplingParams | None = None,
        overflow: Overflow = "error",
        n_keep: int | None = None,
        **sampling: Unpack[SamplingSettings],
    ) -> Conversation:
        """Begin a dialogue that keeps its key/value cache: each turn computes its own tokens only.

        system: text that opens the first turn. max_tokens: of each answer; None: up to the end of the context,
        without overflow="slide". overflow: when the context is full
        a further turn is a ValueError ("error"), or the oldest turns are dropped ("slide") but for the first
        turn, of which n_keep tokens stay at most (None: a quarter of the context). Raises ValueError for a
        file without a chat template, and for settings out of range.
        """
        return Conversation(
            self,
            system=system,
            max_tokens=max_tokens,
            params=params,
            overflow=overflow,
            n_keep=n_keep,
            sampling=sampling,
        )

    def load_conversation(
        self,
        path: str | os.PathLike[str],
        *,
        max_tokens: int | None = 512,
        params: SamplingParams | None = None,
        overflow: Overflow = "error",
        n_keep: int | None = None,
        **sampling: Unpack[SamplingSettings],
    ) -> Conversation:
        """Go on with a dialogue that `Conversation.save` wrote. Settings are not in the file: give them as to
        `conversation`.

        Its cache is used where it fits this model; else the stored ids are computed with the next turn.
        Raises OSError, and ValueError for a file that is damaged or made with another vocabulary.
        """
        return Conversation.load(
            self,
            path,
            max_tokens=max_tokens,
            params=params,
            overflow=overflow,
            n_keep=n_keep,
            sampling=sampling,
        )

    @overload
    def generate_batch(
        self,
        prompts: Iterable[str | Sequence[int]],
        *,
        max_tokens: int | None = 256,
        raw: bool = False,
        params: SamplingParams | Iterable[SamplingParams] | None = None,
        max_batch: int = 16,
        on_progress: Progress | None = None,
        errors: Literal["raise"] = "raise",
        **sampling: Unpack[SamplingSettings],
    ) -> list[Generation]: ...

    @overload
    def generate_batch(
        self,
        prompts: Iterable[str | Sequence[int]],
        *,
        max_tokens: int | None = 256,
        raw: bool = False,
        params: SamplingParams | Iterable[SamplingParams] | None = None,
        max_batch: int = 16,
        on_progress: Progress | None = None,
        errors: Errors,
        **sampling: Unpack[SamplingSettings],
    ) -> list[Generation | ValueError]: ...

    def generate_batch(
        self,
        prompts: Iterable[str | Sequence[int]],
        *,
        max_tokens: int | None = 256,
        raw: bool = False,
        params: SamplingParams | Iterable[SamplingParams] | None = None,
        max_batch: int = 16,
        on_progress: Progress | None = None,
        errors: Errors = "raise",
        **sampling: Unpack[SamplingSettings],
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
        checked_errors(errors)
        asked = _prompts(prompts)
        each = _params_of_each(params, len(asked))
        limit_of(
            max_tokens, Window(self.context)
        )  # what concerns all prompts is raised whatever `errors` says
        SamplingParams().merged(**sampling)

        def answer_of(index: int) -> Answer:
            try:
                ids = self._prompt_ids(asked[index], raw=raw)
                settings = self.settings(raw=raw, params=each[index], sampling=sampling)
                if settings.seed is not None and (each[index] is params or "seed" in sampling):
                    settings = settings.merged(seed=(settings.seed + index) % 2**64)
                return self._answer(ids, settings, max_tokens, Window(self.context))
            except ValueError as error:
                raise ValueError(f"[batch] prompt {index}: {error}") from None

        return answer_all(
            self.backend,
            answer_of,
            len(asked),
            max_batch=max_batch,
            on_progress=on_progress,
            errors=errors,
        )

    def settings(
        self, *, raw: bool, params: SamplingParams | None, sampling: Mapping[str, Any]
    ) -> SamplingParams:
        """The settings that a call with these arguments uses: preset and stop strings included unless raw."""
        if raw:
            return resolve({}, params, sampling)
        chosen = resolve(self.chat_format.preset, params, sampling)
        return chosen.merged(stop=(*self.chat_format.stop_strings, *chosen.stop))

    def _prompt_ids(self, prompt: str | Sequence[int], *, raw: bool) -> list[int]:
        """Ids of a prompt; a text goes through the chat template unless raw."""
        if not isinstance(prompt, str):
            return self._checked_ids(prompt)
        if raw:
            return self.tokenizer.encode(prompt, add_eos=False, limit=self.context)
        messages = [{"role": "user", "content": prompt}]
        return self.chat_format.encode(self.tokenizer, messages, limit=self.context)

    def _checked_ids(self, prompt: Sequence[int]) -> list[int]:
        """Ids of the vocabulary, no more than one beyond the context."""
        _check_kind(prompt)
        ids = token_ids("[generate] prompt", prompt, most=self.context)
        if len(ids) > self.context:  # only the beginning was read
            check_length(prompt if isinstance(prompt, Sized) else ids, self.context)
        for token_id in ids:
            if not 0 <= token_id < len(self.tokenizer):
                raise ValueError(
                    f"[generate] prompt: token id {excerpt(token_id)} is outside the vocabulary of "
                    f"{len(self.tokenizer)} entries"
                )
        return ids

    def _chat_ids(self, messages: Sequence[Message]) -> list[int]:
        if isinstance(messages, str):
            raise ValueError("[messages] expected a list of messages, got a text: generate(text) answers it")
        check_dialogue(messages)
        return self.chat_format.encode(self.tokenizer, messages, limit=self.context)

    def _answer(
        self, ids: Sequence[int], settings: SamplingParams, max_tokens: int | None, window: Window
    ) -> Answer:
        return Answer(self.backend, self.tokenizer, ids, settings, max_tokens=max_tokens, window=window)

    def _stream(
        self,
        ids: Sequence[int],
        raw: bool,
        max_tokens: int | None,
        params: SamplingParams | None,
        overflow: Overflow,
        n_keep: int | None,
        sampling: Mapping[str, Any],
    ) -> Stream:
        settings = self.settings(raw=raw, params=params, sampling=sampling)
        n_kept = min(len(ids), self.context // 2) if n_keep is None else n_keep
        answer = self._answer(ids, settings, max_tokens, Window(self.context, overflow, n_kept))
        return Stream(self.backend, answer)


def _prompts(prompts: Any) -> list[Any]:
    """The prompts of a batch. ValueError for what is no iterable of several."""
    if isinstance(prompts, (str, bytes, Mapping)) or not isinstance(prompts, Iterable):
        advice = ": for one prompt write [prompt], or generate(prompt)" if isinstance(prompts, str) else ""
        raise ValueError(f"[batch] prompts: expected a list of prompts, got {excerpt(prompts)}{advice}")
    return list(prompts)


def _check_kind(prompt: Any) -> None:
    """ValueError, with what to write, for some things that are neither a text nor token ids."""
    advice = ""
    if prompt is None:
        advice = "generate('') answers an empty prompt"
    elif isinstance(prompt, (bytes, bytearray)):
        advice = "decode bytes first: prompt.decode('utf-8')"
    elif isinstance(prompt, (list, tuple)) and prompt and all(isinstance(part, str) for part in prompt):
        advice = "generate_batch(prompts) answers several texts"
    elif isinstance(prompt, (list, tuple)) and prompt and all(isinstance(part, Mapping) for part in prompt):
        advice = "chat(messages) answers a dialogue"
    elif isinstance(prompt, Mapping):
        advice = "chat([message]) answers a message"
    if advice:
        raise ValueError(
            f"[generate] prompt: expected a text or a list of integers, got {excerpt(prompt)}: {advice}"
        )


def _params_of_each(params: Any, n_prompts: int) -> list[SamplingParams | None]:
    """The settings of each prompt of a batch. ValueError unless they are one for all, or one per prompt."""
    if params is None or isinstance(params, SamplingParams):
        return [params] * n_prompts
    if isinstance(params, (str, bytes, Mapping)) or not isinstance(params, Iterable):
        raise ValueError(f"[batch] params: expected SamplingParams, or a list of them, got {excerpt(params)}")
    each = list(params)
    if len(each) != n_prompts:
        raise ValueError(f"[batch] params: expected {n_prompts}, one per prompt, got {len(each)}")
    return each
