"""Values of single documents, as lm-eval returns them, to metrics with intervals, and by class."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..tasks.aggregation import percent
from .bootstrap import interval
from .evaluation_result import GroupResult, Metric, Value

Aggregation = Callable[[Sequence[Any]], float]


def metrics_of(task: Any, samples: Sequence[Mapping[str, Any]], *, by_class: bool) -> tuple[Metric, ...]:
    """Every metric that the samples of a task have, in their order.

    task: lm-eval's, for how it aggregates. by_class: the documents are ours, and say their class under "kind".
    """
    filters = list(dict.fromkeys(sample["filter"] for sample in samples))
    found = []
    for filter_name in filters:
        rows = [sample for sample in samples if sample["filter"] == filter_name]
        for name in dict.fromkeys(name for row in rows for name in row["metrics"]):
            scored = [row for row in rows if name in row["metrics"]]
            shown = name if len(filters) == 1 else f"{name},{filter_name}"
            found.append(_metric(shown, name, aggregation_of(task, name), scored, by_class=by_class))
    return tuple(found)


def aggregation_of(task: Any, metric: str) -> Aggregation:
    """How lm-eval makes one value of many; the mean where a task does not say."""
    from lm_eval.api.metrics import mean

    found: Aggregation = task.aggregation().get(metric, mean)
    return found


def groups_of(results: Mapping[str, Any]) -> tuple[GroupResult, ...]:
    """The groups among lm-eval's results."""
    return tuple(
        GroupResult(
            name, {key.split(",")[0]: value for key, value in values.items() if _is_value(key, value)}
        )
        for name, values in results.get("groups", {}).items()
    )


def _is_value(key: str, value: object) -> bool:
    return "," in key and "_stderr" not in key and isinstance(value, (int, float))


def _metric(
    shown: str, name: str, aggregation: Aggregation, rows: Sequence[Mapping[str, Any]], *, by_class: bool
) -> Metric:
    kinds = list(dict.fromkeys(row["doc"]["kind"] for row in rows)) if by_class else []
    classes = {
        kind: _value([row[name] for row in rows if row["doc"]["kind"] == kind], aggregation) for kind in kinds
    }
    total = _value([row[name] for row in rows], aggregation)
    return Metric(shown, total, classes if len(classes) > 1 else {})


def _value(values: Sequence[Any], aggregation: Aggregation) -> Value:
    from lm_eval.api.metrics import mean

    bounds = interval(values, aggregation, is_mean=aggregation in (mean, percent))
    low, high = bounds if bounds is not None else (None, None)
    return Value(float(aggregation(values)), len(values), low, high)
