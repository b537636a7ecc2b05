"""An evaluation as lines for people: a table by task, beside the figures that BELLE's authors published."""

from __future__ import annotations

from collections.abc import Iterator

from ...languages import t, tn
from ...languages.columns import padded, right
from ..tasks.catalogue import OWN_TASKS
from .evaluation_result import Evaluation, Metric, TaskResult, Value
from .published import CAUTION, FIGURES, METRIC_NAMES, MODELS

_LABEL, _VALUE, _INTERVAL, _COUNT = 34, 9, 19, 7  # cells
_GAP = "  "
_LARGE = 10_000


def table(evaluation: Evaluation) -> Iterator[str]:
    """The lines."""
    engine = evaluation.engine
    yield f"{evaluation.model.name}   {engine['backend']}, {engine['isa']}, {engine['kv_type']}"
    if evaluation.reference is not None:
        yield t("reference: {name}", name=evaluation.reference.name)
    shows_published = any(
        (task.name, metric.name) in FIGURES for task in evaluation.tasks for metric in task.metrics
    )
    yield _heading(with_published=shows_published)
    for task in evaluation.tasks:
        yield from _task(task)
    for group in evaluation.groups:
        yield t("group {name}", name=group.name)
        for name, value in group.values.items():
            yield f"  {padded(_name(name), _LABEL - 2)}{right(_number(value, 4), _VALUE)}"
    if shows_published:
        yield from map(t, CAUTION)


def _heading(*, with_published: bool) -> str:
    cells = [
        padded("", _LABEL) + right(t("value"), _VALUE),
        right(t("95% interval"), _INTERVAL),
        right("n", _COUNT),
    ]
    return _GAP.join([*cells, *(MODELS if with_published else ())])


def _task(task: TaskResult) -> Iterator[str]:
    source = "" if task.data is None else f" ({task.data.name})"
    shots = "" if not task.n_shot else ", " + tn("{n} example", "{n} examples", n=task.n_shot)
    yield f"{task.name}{source}{shots}"
    for metric in task.metrics:
        yield from _metric(task.name, metric)
    if task.n_left_out:
        yield "  " + tn(
            "{n} question without a standard answer was left out: --reference MODEL compares with a model's",
            "{n} questions without a standard answer were left out: --reference MODEL compares with a model's",
            n=task.n_left_out,
        )
    if task.n_cut:
        yield "  " + tn(
            "{n} prompt did not fit into the context: its beginning was cut",
            "{n} prompts did not fit into the context: their beginnings were cut",
            n=task.n_cut,
        )


def _metric(task: str, metric: Metric) -> Iterator[str]:
    digits = 1 if task in OWN_TASKS else 4
    line = _row(f"  {_name(metric.name)}", metric.total, digits)
    figures = FIGURES.get((task, metric.name), ())
    cells = [right(f"{figure:.1f}", len(model)) for figure, model in zip(figures, MODELS, strict=False)]
    yield _GAP.join([line, *cells])
    for kind, value in metric.classes.items():
        yield _row(f"    {kind}", value, digits)


def _row(label: str, value: Value, digits: int) -> str:
    low_high = (
        ""
        if value.low is None or value.high is None
        else f"{_number(value.low, digits)} – {_number(value.high, digits)}"
    )
    cells = [padded(label, _LABEL) + right(_number(value.value, digits), _VALUE), right(low_high, _INTERVAL)]
    return _GAP.join([*cells, right(str(value.n), _COUNT)])


def _number(value: float, digits: int) -> str:
    """A perplexity may be any size."""
    return f"{value:.{digits}f}" if abs(value) < _LARGE else f"{value:.2e}"


def _name(metric: str) -> str:
    return t(METRIC_NAMES[metric]) if metric in METRIC_NAMES else metric
