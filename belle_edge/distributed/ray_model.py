"""A model on Ray's actors, as far as a job knows a `Belle`: its file here, its answers from there."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from .._core import GgufFile
from ..batch.job_identity import sha256_of
from ..generation.batch_results import BatchProgress, BatchResult, OnBatchProgress
from ..generation.streams import Generation
from ..text.chat_format import ChatFormat
from ..text.tokenizer import Tokenizer
from .actor_pool import ActorPool
from .item_worker import Entry


@dataclass(frozen=True)
class _Backend:
    name: str


class RayModel:
    """Answers of actors. Its name is one, so that a job's identity is that of a job without Ray."""

    def __init__(
        self,
        ray: Any,
        file: GgufFile,
        load: Mapping[str, Any],
        *,
        n_actors: int,
        hashed: bool = True,
    ) -> None:
        """file: of the model, which lies under the same path on each machine. load, hashed: as for `ActorPool`.

        Returns when an actor has loaded. Raises what `Belle.load` raises, BackendError, and ValueError for another
        file there.
        """
        self.path = Path(file.path)
        self._file = file
        self.chat_format = ChatFormat.of_file(
            file, family=load.get("family"), chat_template=load.get("chat_template")
        )
        self._pool = ActorPool(ray, str(self.path.absolute()), load, n_actors=n_actors, hashed=hashed)
        try:
            found = self._pool.identity()
            if hashed and found["model"] != sha256_of(self.path):
                raise ValueError(
                    f"[ray] {self.path.name}: the cluster has another file under {self.path.absolute()}"
                )
        except BaseException:
            self._pool.close()
            raise
        self.context = int(found["context"])
        self.backend = _Backend(found["backend"])
        self.details = {name: found[name] for name in ("isa", "kv_type")}

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """Of the file's header."""
        return Tokenizer.from_metadata(self._file)

    def batch(
        self,
        items: Iterable[Mapping[str, Any]],
        *,
        errors: str = "return",
        max_batch: int = 16,
        on_progress: OnBatchProgress | None = None,
        raw: bool = False,
        scored: bool = False,
        **settings: Any,
    ) -> Iterator[BatchResult]:
        """As `Belle.batch`, once. errors: results, never raised. Items have seeds of their own."""
        given: dict[int, Mapping[str, Any]] = {}

        def entries() -> Iterator[Entry]:
            for index, item in enumerate(items):
                given[index] = item
                yield index, dict(item)

        start = time.monotonic()
        n_failed = n_prompt = n_answer = 0
        outcomes = self._pool.answers(entries(), settings, max_batch=max_batch, raw=raw, scored=scored)
        for n_done, (index, outcome) in enumerate(outcomes, start=1):
            item = given.pop(index)
            if isinstance(outcome, Generation):
                result = BatchResult(index, item, outcome)
                n_prompt += outcome.prompt_tokens
                n_answer += outcome.completion_tokens
            else:
                result = BatchResult(index, item, None, outcome)
                n_failed += 1
            if on_progress is not None:
                seconds = time.monotonic() - start
                on_progress(BatchProgress(n_done, n_failed, n_prompt, n_answer, seconds))
            yield result

    def close(self) -> None:
        """End the actors."""
        self._pool.close()

    def __enter__(self) -> RayModel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
