"""evaluate(): tasks on a model. The tasks' data are read first, then a reference answers, then the model itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..tasks.catalogue import EVAL_SET
from .evaluation_result import Evaluation, GroupResult, Source, TaskResult
from .evaluation_settings import EvaluationSettings, TaskChoice
from .identities import data_source, engine_of, source_of
from .offline import quietly, stay_offline
from .workplace import ANSWERS, REFERENCE_ANSWERS, Workplace

if TYPE_CHECKING:
    from ...model import Belle
    from .answer_journal import AnswerJournal
    from .task_loading import LoadedTasks

Progress = Callable[[str, int, int], None]  # (task, answers so far, of how many)
Opener = Callable[[], "Belle"]


def evaluate(
    open_model: Opener,
    settings: EvaluationSettings,
    *,
    open_reference: Opener | None = None,
    output: Path | None = None,
    resume: bool = False,
    force: bool = False,
    progress: Progress | None = None,
    verbose: bool = False,
) -> Evaluation:
    """Answer the questions of tasks and score the answers, offline.

    open_model: loads the model, after the data of all tasks have been read. open_reference: loads the model whose
    answers stand for standard ones that BELLE's evaluation set lacks; it is closed before the other is loaded.
    output: a folder for answers, scored samples and results; None: they are in the cache until the end.
    resume: go on with an interrupted evaluation of the same settings, no request of which is asked again.
    force: overwrite an earlier one. progress: called after every answer. verbose: lm-eval may log.

    Raises BackendMissingError without lm-eval, ConversionError that names file and line of bad data, TaskError,
    EvaluationChangedError, EvaluationExistsError, and what loading a model raises.
    """
    from ..harness.installed import require_harness

    require_harness()
    stay_offline()
    place = Workplace(output, resume=resume, force=force)
    run = _Run(settings, place, progress, verbose)
    run.load(refers=open_reference is not None)
    reference = run.ask_reference(open_reference) if open_reference is not None else None
    found = run.ask(open_model, reference)
    place.finish(found.to_dict())
    return found


@dataclass
class _Run:
    """One evaluation, step by step."""

    settings: EvaluationSettings
    place: Workplace
    progress: Progress | None
    verbose: bool

    def load(self, *, refers: bool) -> None:
        """Read the data of all tasks."""
        from .task_loading import load_tasks

        refers = refers and any(task.own is EVAL_SET for task in self.settings.tasks)
        self.references: dict[str, str] | None = {} if refers else None
        self.loaded = [
            load_tasks(task, references=self.references if task.own is EVAL_SET else None)
            for task in self.settings.tasks
        ]

    def ask_reference(self, open_reference: Opener) -> Source | None:
        """The answers of another model to the questions without a standard one; None where there are none such."""
        from ..harness.language_model import BelleLM
        from .journalled_model import JournalledModel
        from .task_loading import load_tasks

        if self.references is None:
            return None
        place = next(n for n, one in enumerate(self.loaded) if one.choice.own is EVAL_SET)
        loaded = self.loaded[place]
        with open_reference() as model:
            self._require_template(model)
            source = source_of(model.path)
            loaded.configure(self.settings, context=model.context)
            with self._journal(REFERENCE_ANSWERS, model, source, [loaded.choice], None) as journal:
                asked = JournalledModel(BelleLM(model), journal, count=self._count(loaded.choice.name))
                self.references = _answers_of(asked, *loaded.tasks.values(), limit=self.settings.limit)
        self.loaded[place] = load_tasks(loaded.choice, references=self.references)
        return source

    def ask(self, open_model: Opener, reference: Source | None) -> Evaluation:
        """Every task in turn."""
        tasks: list[TaskResult] = []
        groups: list[GroupResult] = []
        with open_model() as model:
            self._require_template(model)
            source = source_of(model.path)
            for loaded in self.loaded:
                loaded.configure(self.settings, context=model.context)
            with self._journal(ANSWERS, model, source, self.settings.tasks, reference) as journal:
                for loaded in self.loaded:
                    found, of_groups = self._evaluate(model, loaded, journal)
                    tasks += found
                    groups += of_groups
            return Evaluation(source, engine_of(model), tuple(tasks), tuple(groups), reference)

    def _evaluate(
        self, model: Belle, loaded: LoadedTasks, journal: AnswerJournal
    ) -> tuple[list[TaskResult], Sequence[GroupResult]]:
        """One task, or one group of them."""
        from lm_eval.evaluator import evaluate as evaluate_tasks

        from ..harness.language_model import BelleLM
        from .journalled_model import JournalledModel
        from .scoring import groups_of

        own = loaded.choice.own
        asked = JournalledModel(BelleLM(model), journal, count=self._count(loaded.choice.name))
        with quietly(verbose=self.verbose):
            results = evaluate_tasks(
                asked,
                loaded.loaded,
                limit=self.settings.limit,
                bootstrap_iters=0,  # ours are in bootstrap.py
                apply_chat_template=own is not None or self.settings.apply_chat_template,
                fewshot_as_multiturn=True,
            )
        found = [
            self._result(loaded, name, results["samples"][name], n_cut=asked.n_cut) for name in loaded.tasks
        ]
        return found, groups_of(results)

    def _result(
        self, loaded: LoadedTasks, name: str, samples: Sequence[Mapping[str, Any]], *, n_cut: int
    ) -> TaskResult:
        from .scoring import metrics_of

        task, choice = loaded.tasks[name], loaded.choice
        shown = choice.name if choice.own is not None else name
        self.place.write_samples(shown, _records(task, samples))
        return TaskResult(
            shown,
            n=len({sample["doc_id"] for sample in samples}),
            n_shot=int(task.get_config("num_fewshot") or 0),
            metrics=metrics_of(task, samples, by_class=choice.own is not None),
            data=data_source(choice),
            n_left_out=_left_out(choice) if self.references is None else 0,
            n_cut=n_cut,
        )

    def _journal(
        self,
        name: str,
        model: Belle,
        source: Source,
        tasks: Sequence[TaskChoice],
        reference: Source | None,
    ) -> AnswerJournal:
        data = {task.name: data_source(task) for task in tasks}
        return self.place.journal(
            name,
            {
                "model": {"name": source.name, "sha256": source.sha256},
                "engine": engine_of(model),
                "data": {
                    task: found and {"name": found.name, "sha256": found.sha256}
                    for task, found in data.items()
                },
                "num_fewshot": self.settings.num_fewshot,
                "max_tokens": self.settings.max_tokens,
                "apply_chat_template": self.settings.apply_chat_template,
                "reference": reference and reference.sha256,
            },
        )

    def _require_template(self, model: Belle) -> None:
        if self.settings.needs_template and model.chat_format.template is None:
            raise ValueError(
                f"[eval] {model.path.name} has no chat template: name its family (--family), or give a template "
                "(--chat-template)"
            )

    def _count(self, task: str) -> Callable[[int, int], None]:
        def count(done: int, total: int) -> None:
            if self.progress is not None:
                self.progress(task, done, total)

        return count


def _left_out(choice: TaskChoice) -> int:
    """How many questions of BELLE's evaluation set have no standard answer."""
    from ..tasks import eval_set
    from ..tasks.documents import data_file, documents_in

    if choice.own is not EVAL_SET:
        return 0
    path = data_file(EVAL_SET.home, None if choice.data is None else str(choice.data))
    found = documents_in(path, eval_set.documents_of)
    return len(found) - len(eval_set.answered(found))


def _answers_of(asked: Any, task: Any, *, limit: int | None) -> dict[str, str]:
    """Question -> answer, of those without a standard answer."""
    with quietly():
        task.build_all_requests(
            limit=limit,
            apply_chat_template=True,
            fewshot_as_multiturn=True,
            chat_template=asked.apply_chat_template,
            tokenizer_name=asked.tokenizer_name,
        )
        requests = [request for request in task.instances if not request.doc["answers"]]
        answers = asked.generate_until(requests)
    return {request.doc["prompt"]: answer for request, answer in zip(requests, answers, strict=True)}


def _records(task: Any, samples: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The samples as they are written: document, prompts, answers, scores."""
    from .scoring import aggregation_of

    for sample in samples:
        scores = {name: sample[name] for name in sample["metrics"]}
        if isinstance(scores.get("bleu"), list):  # counts, which say nothing by themselves
            scores["bleu"] = aggregation_of(task, "bleu")([scores["bleu"]])
        yield {
            "doc_id": sample["doc_id"],
            "document": sample["doc"],
            "prompts": [arguments[0] for arguments in sample["arguments"]],
            "answers": sample["filtered_resps"],
            "filter": sample["filter"],
            "scores": scores,
        }
