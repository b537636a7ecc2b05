"""What an evaluation finds: plain numbers, by task, metric and class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Value:
    """A metric over some documents, with its 95% interval where there are several."""

    value: float
    n: int
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Metric:
    """A metric of a task; of documents in classes also each class."""

    name: str  # as the task has it; with the name of lm-eval's filter where there are several
    total: Value
    classes: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """A file that was read: never its folder."""

    name: str
    sha256: str


@dataclass(frozen=True)
class TaskResult:
    """A task."""

    name: str
    n: int  # documents
    n_shot: int
    metrics: tuple[Metric, ...]
    data: Source | None = None  # None: what the task itself names
    n_left_out: int = 0  # documents without anything to compare with
    n_cut: int = 0  # prompts whose beginning did not fit into the context


@dataclass(frozen=True)
class GroupResult:
    """The mean over tasks, as lm-eval computes it."""

    name: str
    values: Mapping[str, float]


@dataclass(frozen=True)
class Evaluation:
    """Everything that an evaluation found. Neither a folder nor a clock time is in it."""

    model: Source
    engine: Mapping[str, Any]
    tasks: tuple[TaskResult, ...]
    groups: tuple[GroupResult, ...] = ()
    reference: Source | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)
