"""Conversions that the page asks for: each in a process of its own, one after the other, cancelled at any time."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from ...languages import msg
from ...strict_json import JsonError, parse
from .page_errors import not_found

_KEPT = 20  # jobs that have ended
_TOLD_EVERY_S = 0.25
_END_S = 10.0
_CHILD = "belle_edge.server.page.conversion_child"

State = Literal["waiting", "running", "finished", "failed", "cancelled"]
_ENDS = ("finished", "failed", "cancelled")
STAGES = (msg("starting"), msg("downloading"), msg("converting"))


@dataclass(frozen=True)
class Job:
    """One conversion."""

    id: str
    kind: str
    source: str
    type: str | None
    state: State = "waiting"
    stage: str = ""
    done: int = 0
    total: int = 0
    began: float = field(default=0.0, compare=False)  # of the stage; perf_counter()
    result: str | None = None  # the model's name
    error: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        elapsed = time.perf_counter() - self.began
        left = elapsed * (self.total - self.done) / self.done if self.done and elapsed > 0.5 else None
        progress = {"stage": self.stage, "done": self.done, "total": self.total, "seconds_left": left}
        return {
            "id": self.id,
            "kind": self.kind,
            "source": self.source,
            "type": self.type,
            "state": self.state,
            "progress": progress if self.state == "running" else None,
            "result": self.result,
            "error": self.error,
        }


class ConversionJobs:
    """For any thread."""

    def __init__(self, folder: Path, *, publish: Callable[[Job], None], add: Callable[[Path], str]) -> None:
        """folder: where models go. publish: told of every change. add: makes a file a model, and says its name."""
        self._folder = folder
        self._publish = publish
        self._add = add
        self._jobs: dict[str, Job] = {}
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1, "belle-page-job")
        self._closed = False

    def all(self) -> list[Job]:
        """The oldest first."""
        return list(self._jobs.values())

    @property
    def n_open(self) -> int:
        """Those that wait or run."""
        return sum(job.state not in _ENDS for job in self.all())

    def start(self, kind: str, source: str, type: str | None) -> Job:
        """Have it done when those before it are. ValueError for an unknown type."""
        if type is not None:
            from ...convert.type_rules import rules_from

            rules_from(type)
        job = Job(uuid4().hex, kind, source, type)
        with self._lock:
            ended = [old.id for old in self._jobs.values() if old.state in _ENDS]
            for old in ended[: max(0, len(self._jobs) - _KEPT)]:
                del self._jobs[old]
            self._jobs[job.id] = job
        self._publish(job)
        self._thread.submit(self._run, job.id)
        return job

    def cancel(self, id: str) -> Job:
        """End it; a later one goes on where it stopped. PageError for an unknown id."""
        with self._lock:
            job = self._jobs.get(id)
            if job is None:
                raise not_found("there is no such conversion")
            if job.state not in _ENDS:
                job = self._jobs[id] = replace(job, state="cancelled")
            child = self._children.get(id)
        if child is not None:
            _end(child)
        self._publish(job)
        return job

    def close(self) -> None:
        """Cancel all, and wait for that."""
        self._closed = True
        for job in self.all():
            if job.state not in _ENDS:
                self.cancel(job.id)
        self._thread.shutdown()

    # ---- one after the other, in a thread

    def _run(self, id: str) -> None:
        job = self._change(id, state="running", stage=STAGES[0], began=time.perf_counter())
        if job.state != "running" or self._closed:
            return
        try:
            result = self._converted(job)
            self._change(id, state="finished", result=self._add(Path(result)))
        except _FailedError as error:
            self._change(id, state="failed", error={"code": "conversion_failed", "message": str(error)})
        except Exception as error:  # a thread has nobody else to tell
            self._change(id, state="failed", error={"code": "conversion_failed", "message": str(error)})

    def _converted(self, job: Job) -> str:
        """The path of the new file."""
        wanted = {"kind": job.kind, "source": job.source, "type": job.type, "folder": str(self._folder)}
        command = [sys.executable, "-m", _CHILD, json.dumps(wanted)]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with self._lock:
            self._children[job.id] = child
            is_wanted = self._jobs[job.id].state == "running"
        try:
            if not is_wanted:
                raise _FailedError("cancelled")
            return self._followed(job.id, child)
        finally:
            _end(child)
            with self._lock:
                self._children.pop(job.id, None)

    def _followed(self, id: str, child: subprocess.Popen[bytes]) -> str:
        assert child.stdout is not None
        due = 0.0
        for line in child.stdout:
            try:
                told = parse(line)
            except JsonError:
                continue
            if "error" in told:
                raise _FailedError(str(told["error"]))
            if "result" in told:
                return str(told["result"])
            now = time.perf_counter()
            is_new_stage = self._jobs[id].stage != told["stage"]
            if is_new_stage or now >= due:
                due = now + _TOLD_EVERY_S
                began = {"began": now} if is_new_stage else {}
                self._change(id, stage=told["stage"], done=told["done"], total=told["total"], **began)
        raise _FailedError(f"the conversion ended unexpectedly (exit code {child.wait()})")

    def _change(self, id: str, **changes: Any) -> Job:
        """A job that was cancelled stays so."""
        with self._lock:
            job = self._jobs[id]
            if job.state in _ENDS:
                return job
            job = self._jobs[id] = replace(job, **changes)
        self._publish(job)
        return job


class _FailedError(Exception):
    """The child said why."""


def _end(child: subprocess.Popen[bytes]) -> None:
    """It ends where its input does; otherwise it is ended."""
    if child.stdin is not None:
        with suppress(OSError):
            child.stdin.close()
    try:
        child.wait(_END_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
