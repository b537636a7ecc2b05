"""Names of tasks to lm-eval's objects, with their data: ours, those of its collection, a user's YAML file."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import BelleError
from ..tasks.catalogue import FOLDER, OWN_TASKS, OwnTask
from .evaluation_settings import EvaluationSettings, TaskChoice
from .offline import quietly

_RANDOM_SEED, _NUMPY_SEED, _FEWSHOT_SEED = 0, 1234, 1234  # lm-eval's own
_YAML = (".yaml", ".yml")
_GROUP = re.compile(r"^group:\s*[\"']?(?P<name>[^\s\"'#]+)", re.MULTILINE)


class TaskError(BelleError, ValueError):
    """A task cannot be loaded; the message names it and says what to do."""


class LoadedTasks:
    """What lm-eval makes of one name: a task, or a group of them."""

    def __init__(self, choice: TaskChoice, loaded: dict[str, Any]) -> None:
        self.choice = choice
        self.loaded = loaded

    @property
    def tasks(self) -> Mapping[str, Any]:
        """lm-eval's tasks by name."""
        tasks: Mapping[str, Any] = self.loaded["tasks"]
        return tasks

    def configure(self, settings: EvaluationSettings, *, context: int) -> None:
        """Examples, lengths of answers and seeds, as lm-eval's `simple_evaluate` sets them.

        TaskError where there are fewer examples than wanted.
        """
        random.seed(_RANDOM_SEED)
        np.random.seed(_NUMPY_SEED)
        for task in self.tasks.values():
            fixed = task.get_config("num_fewshot")
            if settings.num_fewshot is not None and fixed != 0:
                task.set_config("num_fewshot", settings.num_fewshot)
            elif fixed is None:
                task.set_config("num_fewshot", 0)
            task.set_fewshot_seed(_FEWSHOT_SEED)
            self._check_examples(task)
            self._limit_answers(task, settings.max_tokens, context)

    def _check_examples(self, task: Any) -> None:
        wanted = task.get_config("num_fewshot")
        if self.choice.own is not None and wanted >= len(task.eval_docs):
            n_records = len(task.eval_docs)
            raise TaskError(
                f"[eval] {self.choice.name}: {wanted} examples were asked for, its data have {n_records} records, of "
                "which one is the question"
            )

    def _limit_answers(self, task: Any, max_tokens: int | None, context: int) -> None:
        if task.get_config("output_type") != "generate_until":
            return
        given = task.get_config("generation_kwargs")
        if max_tokens is None and self.choice.own is not None:
            max_tokens = min(given["max_gen_toks"], max(1, context // 2))
        if max_tokens is not None:
            task.set_config("generation_kwargs", {**given, "max_gen_toks": max_tokens})


def load_tasks(choice: TaskChoice, *, references: Mapping[str, str] | None = None) -> LoadedTasks:
    """A task with its data. references: see `belle_edge.quality.tasks.eval_set.dataset`.

    ConversionError that names file and line for data of our tasks that are not as they should be; TaskError for
    anything that is wrong with another task.
    """
    if choice.own is not None:
        return LoadedTasks(choice, _load_own(choice.own, choice.data, references))
    try:
        with quietly():
            loaded = _load_other(choice.name)
    except TaskError:
        raise
    except Exception as error:  # a task's Python and YAML may raise anything
        kind, problem = type(error).__name__, " ".join(str(error).split())
        raise TaskError(
            f"[eval] task {choice.name} cannot be loaded ({kind}: {problem}). "
            "Nothing is downloaded: its data must be local files, or in the folder $HF_DATASETS_CACHE"
        ) from error
    return LoadedTasks(choice, loaded)


def _load_own(own: OwnTask, data: Path | None, references: Mapping[str, str] | None) -> dict[str, Any]:
    from lm_eval.tasks import TaskManager

    metadata = {"data": None if data is None else str(data)}
    with quietly():
        manager = TaskManager(
            include_path=FOLDER,
            include_defaults=False,
            metadata=metadata if references is None else {**metadata, "references": dict(references)},
        )
        loaded: dict[str, Any] = manager.load([own.harness_name])
    return loaded


def _load_other(name: str) -> dict[str, Any]:
    path = Path(name).expanduser()
    if path.suffix.lower() in _YAML:
        if not path.is_file():
            raise TaskError(f"[eval] task {name}: no such file")
        return _load_yaml(path)
    manager = _collection()
    if name not in manager.task_index:
        near = get_close_matches(name, {*OWN_TASKS, *manager.all_tasks}, n=3)
        expected = ", ".join([*OWN_TASKS, *(task for task in near if task not in OWN_TASKS)])
        raise TaskError(
            f"[eval] no task is called {name}: expected {expected}, another task of lm-eval, or the path of a YAML file"
        )
    loaded: dict[str, Any] = manager.load([name])
    return loaded


def _load_yaml(path: Path) -> dict[str, Any]:
    """A task alone; a group by its name, since it may have tasks of its folder and of lm-eval."""
    from lm_eval.tasks import TaskManager

    group = _GROUP.search(path.read_text(encoding="utf-8"))
    manager = TaskManager(include_defaults=False) if group is None else TaskManager(include_path=path.parent)
    loaded: dict[str, Any] = manager.load([str(path) if group is None else group["name"]])
    return loaded


@lru_cache(maxsize=1)
def _collection() -> Any:
    """The index of lm-eval's own tasks: some seconds, once."""
    from lm_eval.tasks import TaskManager

    return TaskManager()
