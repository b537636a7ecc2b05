"""What is evaluated, and how: checked once, before anything is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...settings import integer
from ..tasks.catalogue import OWN_TASKS, OwnTask

_MOST = 1 << 31


@dataclass(frozen=True)
class TaskChoice:
    """A task, and the file that it reads in place of its own."""

    name: str  # one of ours, one of lm-eval's, or the path of a YAML file
    data: Path | None = None

    @property
    def own(self) -> OwnTask | None:
        """None for a task that is not ours."""
        return OWN_TASKS.get(self.name)


@dataclass(frozen=True)
class EvaluationSettings:
    """tasks: in the order in which they run. limit: documents of each task, the first ones; None: all. num_fewshot:
    examples before a question; None: as the task says. max_tokens: of an answer; None: as the task says, of ours at
    most half of the context. apply_chat_template: to tasks that are not ours; ours are always asked in the file's
    template.

    ValueError for a number out of range, a task that comes twice, and a file for a task that takes none.
    """

    tasks: tuple[TaskChoice, ...]
    limit: int | None = None
    num_fewshot: int | None = None
    max_tokens: int | None = None
    apply_chat_template: bool = False

    def __post_init__(self) -> None:
        for name, low in (("limit", 1), ("num_fewshot", 0), ("max_tokens", 1)):
            if (value := getattr(self, name)) is not None:
                integer(f"[eval] {name}", value, low=low, high=_MOST)
        if not self.tasks:
            raise ValueError(f"[eval] tasks: expected one at least, as {', '.join(OWN_TASKS)}")
        names = [task.name for task in self.tasks]
        for task in self.tasks:
            if names.count(task.name) > 1:
                raise ValueError(f"[eval] task {task.name}: it comes twice")
            if task.data is not None and task.own is None:
                raise ValueError(
                    f"[eval] data for {task.name}: this task names its own, in its YAML file; "
                    f"a file can be given for {', '.join(OWN_TASKS)}"
                )

    @property
    def needs_template(self) -> bool:
        """Whether a question is put into the file's chat template."""
        return self.apply_chat_template or any(task.own is not None for task in self.tasks)
