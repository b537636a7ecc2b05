"""How many threads a worker has: what Ray, Spark or Dask gave the process that this runs in."""

from __future__ import annotations

import sys
from collections.abc import Callable

from .._core import cpu_info


def worker_threads() -> int:
    """The share of this worker, at most the processors that this process may use; outside of a worker all of these."""
    usable: int = cpu_info()["usable_threads"]
    shares: tuple[Callable[[], float | None], ...] = (_of_ray, _of_spark, _of_dask)
    for share in shares:
        if (found := share()) is not None:
            return max(1, min(int(found), usable))
    return usable


def _of_ray() -> float | None:
    """The CPUs assigned to the task or actor; 1 where it has none, as Ray counts it for other libraries."""
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return None
    context = ray.get_runtime_context()
    if context.get_actor_id() is None and context.get_task_id() is None:  # the driver
        return None
    return float(context.get_assigned_resources().get("CPU", 1))


def _of_spark() -> float | None:
    """`spark.task.cpus`."""
    pyspark = sys.modules.get("pyspark")
    context = None if pyspark is None else pyspark.TaskContext.get()
    return None if context is None else float(context.cpus())


def _of_dask() -> float | None:
    """The threads of the worker, which answer together with one model."""
    get_worker = getattr(sys.modules.get("distributed"), "get_worker", None)
    if get_worker is None:  # or it is somebody's module of that name
        return None
    try:
        return float(get_worker().state.nthreads)
    except ValueError:  # not in a task
        return None
