"""What a model gives under transformers' names: outputs of a pass and of `generate`, and its shapes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass
class ModelOutput:
    """Of a forward pass: `logits` float32 [n_rows, n_tokens, n_vocab]."""

    logits: Any

    def __getitem__(self, key: int | str) -> Any:
        return {0: self.logits, "logits": self.logits}[key]


@dataclass
class GenerateOutput:
    """Of `generate(return_dict_in_generate=True)`: `sequences` int64 [n_rows, n_tokens].

    scores, logits: for each step float32 [n_rows, n_vocab], where they were asked for; scores as the settings make
    them of the logits. A row that has ended has zeros.
    """

    sequences: Any
    scores: tuple[Any, ...] | None = None
    logits: tuple[Any, ...] | None = None

    def __getitem__(self, key: int | str) -> Any:
        if isinstance(key, str):
            return getattr(self, key)
        return [value for value in (self.sequences, self.scores, self.logits) if value is not None][key]


class ModelConfig(dict[str, Any]):
    """Architecture and shapes under transformers' names, as entries and as attributes."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def to_dict(self) -> dict[str, Any]:
        return dict(self)
