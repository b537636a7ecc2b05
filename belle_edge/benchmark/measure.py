"""The course of a benchmark: engines take turns, and the limits of the machine are measured between.

Memory that others use as well is not as fast in one second as in the next. So decoding is cut into stretches of a few
tokens: each engine does one, right after the speed of memory has been measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from .. import _core
from ..errors import BelleError
from ..memory import available_memory
from .llama_bench import Program, ProgramSide
from .process import Child, MeasuringError, llama_child, native_child, peer_error
from .workload import Workload, warm

PEERS = ("llama.cpp",)
_READ_BYTES = 1 << 30
_LEAST_READ_BYTES = 64 << 20
_READ_PASSES = 6
_PEAK_SECONDS = 0.15
_WARM_UP_TOKENS = 2
_STRETCH_TOKENS = 8
_STRETCH_READ_BYTES = 256 << 20
_STRETCH_READ_PASSES = 4

Say = Callable[[str], None]


@dataclass(frozen=True)
class Peer:
    """An engine to compare with."""

    name: str
    python: str | None  # the Python that has it, a path or a command; None = this one


@dataclass(frozen=True)
class Settings:
    """How to measure."""

    threads: int
    isa: str  # "" = the default
    repeat: int
    peer: Peer | Program | None = None
    profile: bool = False


@dataclass(frozen=True)
class Stretch:
    """Some tokens of one sequence."""

    tokens: int
    seconds: float
    read_rate: float  # bytes per second that memory gave right before


@dataclass
class Run:
    """One repetition."""

    prefill_s: float
    stretches: list[Stretch] = field(default_factory=list)
    batch_s: float = 0.0

    @property
    def decode_s(self) -> float:
        return sum(stretch.seconds for stretch in self.stretches)


@dataclass
class Side:
    """One engine, and what was measured of it."""

    name: str
    start: Callable[[], Child]
    load_request: dict[str, Any]
    python: str | None = None
    loads: list[dict[str, Any]] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)  # to everything
    child: Child | None = None

    def open(self, stack: ExitStack) -> None:
        """A fresh process that loads the model."""
        self.child = stack.enter_context(self.start())
        self.loads.append(self._ask("load", **self.load_request))

    def close(self) -> None:
        if self.child is not None:
            self.child.close()
        self.child = None

    def prompt(self, prompts: list[list[int]]) -> float:
        """Seconds of a pass of new sequences, up to their first tokens."""
        return self._seconds("prompt", prompts=prompts)

    def decode(self, n_tokens: int) -> float:
        """Seconds of more tokens of these sequences."""
        return self._seconds("decode", generate=n_tokens)

    def warm_up(self, workload: Workload) -> None:
        for prompts in ([workload.prompt_ids], workload.batch_ids):
            self.prompt(prompts)
            self.decode(_WARM_UP_TOKENS)

    def most(self, key: str) -> int | None:
        """The largest of a number of bytes over all answers; None where the system does not tell."""
        return max((answer[key] for answer in self.answers if answer.get(key) is not None), default=None)

    def _seconds(self, do: str, **request: Any) -> float:
        seconds = self._ask(do, **request).get("seconds")
        if not isinstance(seconds, (int, float)):
            raise MeasuringError(f"the process answered {do!r} without a time")
        return float(seconds)

    def _ask(self, do: str, **request: Any) -> dict[str, Any]:
        assert self.child is not None
        self.answers.append(self.child.ask(do, **request))
        return self.answers[-1]


@dataclass
class Measurement:
    """All that was measured."""

    own: Side
    peer: Side | None = None
    program: ProgramSide | None = None  # the peer, where it is a program that measures itself
    peer_failure: BelleError | None = None
    together: bool = True  # both engines were loaded at once
    read_rates: list[float] = field(default_factory=list)  # bytes per second
    peak_rates: list[float] = field(default_factory=list)  # operations per second
    profile: dict[str, Any] | None = None

    def sides(self) -> list[Side]:
        return [side for side in (self.own, self.peer) if side is not None]


def measure(workload: Workload, settings: Settings, *, say: Say) -> Measurement:
    """Measure our engine and the peer, and tell `say` what is being done.

    What stops the peer is told in `peer_failure`, and our engine is measured all the same. What stops our engine is
    raised: ValueError for an unknown tier, MeasuringError for what its process reports.
    """
    _core.probe_integer_peak(isa=settings.isa, threads=1, seconds=0)  # refuses an unknown tier
    own = Side(
        "BELLE Edge",
        native_child,
        {"model": str(workload.path), "threads": settings.threads, "isa": settings.isa},
    )
    result = Measurement(own)
    with ExitStack() as stack:
        if isinstance(settings.peer, Program):
            result.program = ProgramSide(settings.peer)
        elif settings.peer is not None:
            _start_peer(result, workload, settings, settings.peer, say)
        alone = result.peer is None and result.program is None
        result.together = alone or workload.both_fit()
        say(f"reading {workload.path.name} into the page cache")
        warm(workload.path)
        if result.program is not None:
            warm(result.program.program.model)
        course = _open_throughout if result.together else _open_one_by_one
        course(result, workload, settings, stack, say)
        if settings.profile:
            say(f"{own.name}: profile")
            result.profile = _profile(own, workload, stack)
    return result


def _open_throughout(
    result: Measurement, workload: Workload, settings: Settings, stack: ExitStack, say: Say
) -> None:
    """Both engines stay loaded, so that their runs follow each other at once; each load is in a fresh process."""
    for number in range(settings.repeat):
        for side in result.sides():
            say(f"{side.name}: load {number + 1} of {settings.repeat}")
            with _peer_may_fail(result, side):
                side.close()
                side.open(stack)
    for side in result.sides():
        say(f"{side.name}: warm-up")
        with _peer_may_fail(result, side):
            side.warm_up(workload)
    for number in range(settings.repeat):
        _probe(result, settings)
        if number % 2:
            _run_program(result, workload, settings, say)
        for side in result.sides():
            say(f"{side.name}: run {number + 1} of {settings.repeat}")
            with _peer_may_fail(result, side):
                side.runs.append(Run(side.prompt([workload.prompt_ids])))
        _decode_in_turns(result, result.sides(), workload, settings)
        if not number % 2:
            _run_program(result, workload, settings, say)


def _open_one_by_one(
    result: Measurement, workload: Workload, settings: Settings, stack: ExitStack, say: Say
) -> None:
    """Memory holds one engine at a time: every run has a process of its own, with its load and its warm-up."""
    for number in range(settings.repeat):
        _probe(result, settings)
        for side in result.sides():
            say(f"{side.name}: load and run {number + 1} of {settings.repeat}")
            with _peer_may_fail(result, side):
                side.open(stack)
                side.warm_up(workload)
                side.runs.append(Run(side.prompt([workload.prompt_ids])))
            _decode_in_turns(result, [side], workload, settings)
            side.close()
        _run_program(result, workload, settings, say)


def _decode_in_turns(result: Measurement, sides: list[Side], workload: Workload, settings: Settings) -> None:
    """The tokens behind a prompt, and those of several sequences, stretch by stretch; who begins alternates."""
    lengths = [_STRETCH_TOKENS] * (workload.generate // _STRETCH_TOKENS)
    lengths += [rest] if (rest := workload.generate % _STRETCH_TOKENS) else []
    for number, n_tokens in enumerate(lengths):
        read_rate = _read_rate(result, settings, _STRETCH_READ_BYTES, _STRETCH_READ_PASSES)
        for side in sides[:: -1 if number % 2 else 1]:
            if side in result.sides():
                with _peer_may_fail(result, side):
                    side.runs[-1].stretches.append(Stretch(n_tokens, side.decode(n_tokens), read_rate))
    for side in sides:
        if side in result.sides():
            with _peer_may_fail(result, side):
                side.prompt(workload.batch_ids)
    for number, n_tokens in enumerate(lengths):
        for side in sides[:: -1 if number % 2 else 1]:
            if side in result.sides():
                with _peer_may_fail(result, side):
                    side.runs[-1].batch_s += side.decode(n_tokens)


def _start_peer(result: Measurement, workload: Workload, settings: Settings, peer: Peer, say: Say) -> None:
    """Find out early whether the peer is there at all."""
    request = {
        "model": str(workload.path),
        "threads": settings.threads,
        "n_ctx": workload.cells,
        "n_batch": workload.largest_pass,
        "n_seq_max": workload.batch,
    }
    say(f"{peer.name}: starting")
    side = Side(peer.name, lambda: llama_child(peer.python), request, python=peer.python)
    result.peer = side
    with _peer_may_fail(result, side), side.start() as side.child:
        if not side.child.ask("hello").get("ready"):
            raise MeasuringError(f"{peer.python} is no Python")


def _run_program(result: Measurement, workload: Workload, settings: Settings, say: Say) -> None:
    """A repetition of the program, if it is the peer and has not failed yet. Who begins alternates."""
    if (side := result.program) is None:
        return
    say(f"{side.program.name}: run {len(side.prefill_tps) + 1} of {settings.repeat}")
    try:
        side.run(workload, threads=settings.threads)
    except BelleError as error:
        result.program, result.peer_failure = None, error


@contextmanager
def _peer_may_fail(result: Measurement, side: Side) -> Iterator[None]:
    """An error of the peer is kept, and the peer takes no further part; errors of our engine pass."""
    try:
        yield
    except BelleError as error:
        if side is result.own:
            raise
        result.peer = None
        result.peer_failure = error
        if isinstance(error, MeasuringError):
            result.peer_failure = peer_error(error, side.child, side.python)
        side.close()


def _probe(result: Measurement, settings: Settings) -> None:
    """The limits, measured now: a machine that others share is not the same in every minute."""
    _read_rate(result, settings, _READ_BYTES, _READ_PASSES)
    peak = _core.probe_integer_peak(isa=settings.isa, threads=settings.threads, seconds=_PEAK_SECONDS)
    result.peak_rates.append(max(peak["ops_per_second"]))


def _read_rate(result: Measurement, settings: Settings, n_bytes: int, passes: int) -> float:
    """The best of some passes over memory, in bytes per second."""
    available = available_memory()
    if available is not None:
        n_bytes = max(min(n_bytes, available.n_bytes // 4), _LEAST_READ_BYTES)
    rates = _core.probe_read_bandwidth(n_bytes=n_bytes, passes=passes, threads=settings.threads)
    result.read_rates += rates
    return max(rates)


def _profile(own: Side, workload: Workload, stack: ExitStack) -> dict[str, Any]:
    """Times by operation, of one more prompt and its tokens."""
    if own.child is None:
        own.open(stack)
        own.warm_up(workload)
    assert own.child is not None
    return own.child.ask("profile", prompt=workload.prompt_ids, generate=workload.generate)
