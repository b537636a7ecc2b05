"""The tasks that come with the package, by the names that the command line has for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

FOLDER = Path(__file__).parent  # of the YAML files


@dataclass(frozen=True)
class OwnTask:
    """A task of ours."""

    name: str  # on the command line
    home: str  # its YAML file, its module and its samples
    published: str | None = None  # the metric that published figures of this task have

    @property
    def harness_name(self) -> str:
        """Among lm-eval's tasks."""
        return f"belle_{self.home}"


EVAL_SET = OwnTask("eval-set", "eval_set")
OWN_TASKS: Mapping[str, OwnTask] = MappingProxyType(
    {
        task.name: task
        for task in (
            OwnTask("translation", "translation", "bleu"),
            OwnTask("summarization", "summarization", "rouge_l"),
            OwnTask("question-answering", "question_answering", "f1"),
            EVAL_SET,
        )
    }
)
