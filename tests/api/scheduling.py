"""What tests of the scheduler share: answers to compare, and threads that ask at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from belle_edge import Belle, Generation

SETTINGS: dict[str, Any] = {"raw": True, "temperature": 1.5, "top_logprobs": 2, "banned": [2]}
PATIENCE_S = 120  # a thread that takes longer hangs


def bits(answer: Generation) -> object:
    return answer.text, answer.token_ids, answer.finish_reason, answer.logprobs


def prompt(index: int, length: int, *, shared: int = 0) -> list[int]:
    """Ids of a prompt of its own, but for the first `shared`, which all such prompts have."""
    return [(3 * i if i < shared else 3 * i + 7 * (index + 1)) % 200 + 5 for i in range(length)]


def at_once(works: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each returns, or the exception it raises, when all run in threads of their own."""
    results: list[Any] = [None] * len(works)

    def run(index: int) -> None:
        try:
            results[index] = works[index]()
        except BaseException as error:
            results[index] = error

    threads = [threading.Thread(target=run, args=(index,), daemon=True) for index in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "a thread hangs"
    return results


class CountedPasses:
    """The backend's `forward_sample` and `forward`, with how many rows each sequence had in each pass."""

    def __init__(self, model: Belle, monkeypatch: Any) -> None:
        self.chosen: list[list[int]] = []
        self.pieces: list[list[int]] = []
        for name, sizes in (
            ("forward_sample", self.chosen),
            ("forward_sample_scored", self.chosen),
            ("forward", self.pieces),
        ):
            monkeypatch.setattr(model.backend, name, self._counted(getattr(model.backend, name), sizes))

    @staticmethod
    def _counted(real: Callable[..., Any], sizes: list[list[int]]) -> Callable[..., Any]:
        def counted(batch: Any, **options: Any) -> Any:
            sizes.append([len(entry[1]) for entry in batch])
            return real(batch, **options)

        return counted
