"""One generation: the token loop, the text it yields and where it ends; its stream and its result."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from .backends.base import Backend
from .sampling import SamplingParams
from .tokenizer import StreamDecoder, Tokenizer

FinishReason = Literal["stop", "length", "stop_string"]


@dataclass(frozen=True)
class Timings:
    """Wall time in seconds: reading the prompt (and choosing the first token), then writing the rest."""

    prefill_s: float
    decode_s: float


@dataclass(frozen=True)
class Generation:
    """What a model wrote; `str()` of it is the text.

    finish_reason: "stop" (the model ended its answer), "stop_string" (one of the stop strings came), or
    "length" (max_tokens, or the end of the context). token_ids are all chosen tokens but the one that ends
    the answer; the text ends before a stop string, the ids do not.
    """

    text: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    prompt_tokens: int
    timings: Timings

    @property
    def completion_tokens(self) -> int:
        return len(self.token_ids)

    @property
    def tokens_per_second(self) -> float:
        """Decoding speed; the first token belongs to the prefill. 0 with fewer than two tokens."""
        steps = self.completion_tokens - (self.finish_reason != "stop")
        return steps / self.timings.decode_s if steps > 0 and self.timings.decode_s > 0 else 0.0

    def __str__(self) -> str:
        return self.text


class TextAssembler:
    """Tokens in, text out that can no longer become part of a stop string."""

    def __init__(self, decoder: StreamDecoder, stop_strings: Sequence[str]) -> None:
        self._decoder = decoder
        self._stop_strings = tuple(stop_strings)
        self._held = ""
        self.stopped = False  # a stop string came; nothing is written after it

    def push(self, token_id: int) -> str:
        """The text that `token_id` makes certain; may be empty."""
        return self._release(self._decoder.push(token_id), final=False)

    def flush(self) -> str:
        """What is still held when no more tokens come."""
        return self._release(self._decoder.flush(), final=True)

    def _release(self, text: str, *, final: bool) -> str:
        if self.stopped:
            return ""
        text = self._held + text
        found = [at for at in (text.find(stop) for stop in self._stop_strings) if at >= 0]
        if found:
            self.stopped = True
            self._held = ""
            return text[: min(found)]
        keep = 0 if final else max((_overlap(text, stop) for stop in self._stop_strings), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that is a beginning of `stop`, but not all of it."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0


class Stream(Iterator[str]):
    """Pieces of text as they become certain; joined they equal `result.text`. It may be left early."""

    def __init__(
        self,
        backend: Backend,
        tokenizer: Tokenizer,
        prompt_ids: Sequence[int],
        params: SamplingParams,
        *,
        max_tokens: int,
        context: int,
    ) -> None:
        """Nothing is computed before the first piece is asked for.

        max_tokens: of the answer; context: of prompt and answer, both in tokens.
        Raises ValueError for an empty prompt, one longer than the context, or max_tokens below 1.
        """
        if max_tokens < 1:
            raise ValueError(f"[generate] max_tokens: expected at least 1, got {max_tokens}")
        check_length(prompt_ids, context)
        self._backend = backend
        self._tokenizer = tokenizer
        self._prompt_ids = list(prompt_ids)
        self._params = params
        self._n_limit = min(max_tokens, context - len(self._prompt_ids) + 1)  # the last token need not be fed
        self._result: Generation | None = None
        self._pieces = self._run()

    def __next__(self) -> str:
        return next(self._pieces)

    @property
    def result(self) -> Generation:
        """The whole generation. Raises RuntimeError before the last piece was taken."""
        if self._result is None:
            raise RuntimeError("[stream] not finished: there is a result only after the last piece")
        return self._result

    def close(self) -> None:
        """End the generation now and let go of its memory."""
        self._pieces.close()

    def _run(self) -> Generator[str, None, None]:
        backend, params, end_ids = self._backend, self._params, self._tokenizer.vocabulary.end_ids
        at_start = all(self._tokenizer.is_special(token_id) for token_id in self._prompt_ids)
        assembler = TextAssembler(StreamDecoder(self._tokenizer, at_start=at_start), params.stop)
        sequence = backend.new_sequence()
        sampler = backend.new_sampler(params)
        sampler.accept(self._prompt_ids)
        ids: list[int] = []
        pieces: list[str] = []
        reason: FinishReason = "length"

        start = time.perf_counter()
        token_id = backend.forward_sample([(sequence, self._prompt_ids, sampler)])[0]
        first = time.perf_counter()
        while True:
            if token_id in end_ids:
                reason = "stop"
                break
            ids.append(token_id)
            if piece := assembler.push(token_id):
                pieces.append(piece)
                yield piece
            if assembler.stopped or len(ids) == self._n_limit:
                break
            token_id = backend.forward_sample([(sequence, [token_id], sampler)])[0]
        if piece := assembler.flush():
            pieces.append(piece)
            yield piece
        self._result = Generation(
            text="".join(pieces),
            token_ids=tuple(ids),
            finish_reason="stop_string" if assembler.stopped else reason,
            prompt_tokens=len(self._prompt_ids),
            timings=Timings(prefill_s=first - start, decode_s=time.perf_counter() - first),
        )


def check_length(ids: Sequence[int], context: int) -> None:
    """ValueError unless there are 1 to `context` ids."""
    if len(ids) == 0:
        raise ValueError(
            "[generate] the prompt is empty and the tokenizer adds no BOS token: nothing to start from"
        )
    if len(ids) > context:
        raise ValueError(
            f"[generate] the prompt has {len(ids)} tokens, the context holds {context}: shorten the prompt"
        )
