"""llama-bench programs as peers: ik_llama.cpp's, or llama.cpp's. Every repetition is a process of its own."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from ..errors import BackendError, BackendMissingError, excerpt
from ..strict_json import JsonError, parse
from .workload import Workload

NAMES = ("ik", "llama-bench")  # of such programs after --against
_HELP_SECONDS = 60
_RUN_SECONDS = 3600
_MAX_OUTPUT = 1 << 20  # bytes of a report
_OWN_OPTIONS = frozenset(
    {
        *("-m", "--model", "-p", "--n-prompt", "-n", "--n-gen", "-pg", "-gp", "-d", "--n-depth"),
        *("-r", "--repetitions", "-o", "--output"),
    }
)
_FACTS = ("build_number", "build_commit", "cpu_info", "model_type", "model_size")


@dataclass(frozen=True)
class Program:
    """A llama-bench, and how it is to be run."""

    name: str
    path: str
    options: tuple[str, ...]  # of the user: its own best settings
    model: Path
    decodes_behind_a_prompt: (
        str  # the option for that: "-gp" (ik_llama.cpp), "-d" (llama.cpp), "" where it has none
    )

    def commands(self, workload: Workload, *, threads: int) -> list[list[str]]:
        """What measures a prompt and the tokens behind it."""
        start = [self.path, "-m", str(self.model), "-t", str(threads), "-r", "1", "-o", "json", *self.options]
        prompt, generate = str(workload.prompt), str(workload.generate)
        prefill = ["-p", prompt, "-n", "0"]
        if self.decodes_behind_a_prompt == "-gp":  # it reads such pairs beside other tests
            return [[*start, *prefill, "-gp", f"{prompt},{generate}"]]
        depth = ["-d", prompt] if self.decodes_behind_a_prompt else []
        return [[*start, *prefill], [*start, "-p", "0", "-n", generate, *depth]]


@dataclass
class ProgramSide:
    """A program, and what was measured of it."""

    program: Program
    prefill_tps: list[float] = field(default_factory=list)
    decode_tps: list[float] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)  # what it says about itself and the file
    shown: str = ""  # the commands of a repetition

    def run(self, workload: Workload, *, threads: int) -> None:
        """One repetition. BackendError for a program that fails, refuses the file or reports something else."""
        commands = self.program.commands(workload, threads=threads)
        self.shown = " ; ".join(map(shlex.join, commands))
        tests = [test for command in commands for test in self._report(command)]
        rates = {
            "prefill_tps": [test for test in tests if test.get("n_gen") == 0],
            "decode_tps": [test for test in tests if test.get("n_gen") == workload.generate],
        }
        for name, found in rates.items():
            rate = found[0].get("avg_ts") if len(found) == 1 else None
            if not isinstance(rate, (int, float)) or rate <= 0:
                raise self._error(f"its report has no rate of {name.removesuffix('_tps')}")
            getattr(self, name).append(float(rate))
        self.facts = {key: tests[0].get(key) for key in _FACTS}

    def result(self) -> dict[str, Any]:
        """Medians, and what was run, for the report; None for what such a program does not measure."""
        facts = self.facts
        prefill, decode = median(self.prefill_tps), median(self.decode_tps)
        size = facts["model_size"]
        return {
            "name": self.program.name,
            "version": f"build {facts['build_number']} ({facts['build_commit']})",
            "cpu_flags": facts["cpu_info"],
            "command": self.shown,
            "model": self.program.model.name,
            "model_bytes": self.program.model.stat().st_size,
            "model_type": facts["model_type"],
            "weight_bytes": size if isinstance(size, int) else None,
            "prefill_tps": prefill,
            "decode_tps": decode,
            "decodes_behind_the_prompt": bool(self.program.decodes_behind_a_prompt),
            "repetitions": {"prefill_tps": self.prefill_tps, "decode_tps": self.decode_tps},
        }

    def _report(self, command: list[str]) -> list[dict[str, Any]]:
        done = _run(command, seconds=_RUN_SECONDS, name=self.program.name)
        if done.returncode != 0:
            raise self._error(f"it ended with code {done.returncode}: {_reason(done.stderr or done.stdout)}")
        try:
            tests = parse(done.stdout, max_bytes=_MAX_OUTPUT)
        except JsonError as error:
            raise self._error(f"its report is no JSON ({error})") from error
        if not isinstance(tests, list) or not tests or not all(isinstance(test, dict) for test in tests):
            raise self._error(f"expected a list of tests as JSON, got {excerpt(done.stdout)}")
        return tests

    def _error(self, what: str) -> BackendError:
        return BackendError(
            f"[bench] {self.program.name} ({self.program.path}), {self.program.model.name}: {what}"
        )


def find_program(name: str, command: str, model: Path) -> Program:
    """The program of `--against NAME=COMMAND`: a path and its options, as a shell would read them.

    Raises ValueError for options that the benchmark sets itself, FileNotFoundError, BackendMissingError for a program
    that is not there, and BackendError for one that is no llama-bench.
    """
    try:
        path, *options = shlex.split(command)
    except ValueError as error:
        raise ValueError(
            f"--against {name}: expected a program and its options, got {excerpt(command)}: {error}"
        ) from error
    taken = sorted(_OWN_OPTIONS & {option.partition("=")[0] for option in options})
    if taken:
        raise ValueError(
            f"--against {name}: {', '.join(taken)} is set by this command; --peer-model names another file"
        )
    if not model.is_file():
        raise FileNotFoundError(f"no such file: {model}")
    found = shutil.which(path)
    if found is None:
        raise BackendMissingError(
            f"[bench] --against {name}: no program {path}: expected the path of a llama-bench that may be executed"
        )
    done = _run([found, "--help"], seconds=_HELP_SECONDS, name=name)
    text = done.stdout + done.stderr
    if "--n-prompt" not in text or "--n-gen" not in text or "json" not in text:
        raise BackendError(
            f"[bench] --against {name}: {path} is no llama-bench: its --help has no --n-prompt, --n-gen and json"
        )
    behind = "-gp" if "-gp <" in text else "-d" if "--n-depth" in text else ""
    return Program(name, found, tuple(options), model, behind)


def _run(command: list[str], *, seconds: float, name: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired:
        raise BackendError(f"[bench] {name}: no answer within {seconds:g} s: {shlex.join(command)}") from None
    except OSError as error:
        raise BackendError(f"[bench] {name} does not start: {error}") from error


def _reason(output: str) -> str:
    """The lines that say what went wrong; a usage text may follow them."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower() or "failed" in line.lower()]
    return " / ".join((telling or lines)[-3:]) or "without a word"
