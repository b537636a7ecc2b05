"""llama-bench programs beside ours: turns, the table, and programs that are none or fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from belle_edge.benchmark.llama_bench import Program, ProgramSide, find_program
from belle_edge.benchmark.measure import Settings, measure
from belle_edge.benchmark.plot import plot
from belle_edge.benchmark.report import report
from belle_edge.benchmark.report_text import table
from belle_edge.benchmark.workload import Workload, read_workload
from belle_edge.errors import BackendError, BackendMissingError

from .conftest import SHORT_COMMAND

Tiny = Callable[[str], Path]
SMALL = ["--prompt", "8", "--generate", "2", "--batch", "2", "--repeat", "1", "--threads", "1"]
pytestmark = pytest.mark.usefixtures("short_probes")
SCRIPT = Path(__file__).with_name("stand_in_bench.py")


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """An executable that speaks like llama-bench; a space in its name."""
    if os.name != "posix":
        pytest.skip("the stand-in is a shell script")
    path = tmp_path / "llama bench"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{SCRIPT}" "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    return path


def workload_of(path: Path) -> Workload:
    return read_workload(path, prompt=8, generate=2, batch=2)


def measured(path: Path, peer: Program, *, repeat: int = 2) -> tuple[dict[str, Any], list[str]]:
    said: list[str] = []
    workload, settings = workload_of(path), Settings(threads=1, isa="", repeat=repeat, peer=peer)
    return report(measure(workload, settings, say=said.append), workload, settings), said


@pytest.mark.slow
def test_turns_and_the_same_table(tiny: Tiny, program: Path, tmp_path: Path) -> None:
    model, other = tiny("llama"), tiny("bloom")
    values, said = measured(model, find_program("ik", f"'{program}' -rtr 1", other), repeat=3)
    runs = [line.partition(":")[0] for line in said if ": run " in line]
    assert runs == ["BELLE Edge", "ik", "ik", "BELLE Edge", "BELLE Edge", "ik"]
    peer = values["against"]
    assert peer["command"] == (f"'{program}' -m {other} -t 1 -r 1 -o json -rtr 1 -p 8 -n 0 -gp 8,2")
    assert (peer["version"], peer["model"], peer["model_type"]) == (
        "build 42 (abc123)",
        "bloom.gguf",
        "llama 7B IQ4_KS",
    )
    assert (peer["prefill_tps"], peer["decode_tps"], peer["batch_tps"]) == (8.0, 0.5, None)
    assert peer["repetitions"] == {"prefill_tps": [8.0] * 3, "decode_tps": [0.5] * 3}
    assert (values["model_bytes"], peer["model_bytes"]) == (model.stat().st_size, other.stat().st_size)
    assert peer["bytes_per_token"] is None, "another file: what it reads is not known"
    assert values["ratio"]["decode"] == values["decode_tps"] / 0.5
    assert values["ratio"]["batch"] is None
    text = "\n".join(table(values))
    assert peer["command"] in text
    assert sum(values["bytes_by_type"].values()) < model.stat().st_size
    for kind in ("q4_0 ", "f32 "):
        assert kind in next(line for line in text.splitlines() if line.startswith("Weights: "))
    pytest.importorskip("matplotlib")
    plot(values, tmp_path / "rates.svg")


@pytest.mark.slow
def test_on_the_same_file_the_bytes_are_known(tiny: Tiny, program: Path) -> None:
    model = tiny("llama")
    values, _ = measured(model, find_program("llama-bench", f"'{program}'", model), repeat=1)
    assert values["against"]["bytes_per_token"] > 0
    assert values["against"]["prefill_peak_fraction"] > 0


def test_how_each_kind_is_asked(tiny: Tiny) -> None:
    path, workload = Path("m.gguf"), workload_of(tiny("llama"))
    prefill = ["b", "-m", "m.gguf", "-t", "3", "-r", "1", "-o", "json", "-fa", "1", "-p", "8", "-n", "0"]
    decode = [*prefill[:-4], "-p", "0", "-n", "2"]
    for option, expected in (
        ("-gp", [[*prefill, "-gp", "8,2"]]),
        ("-d", [prefill, [*decode, "-d", "8"]]),
        ("", [prefill, decode]),
    ):
        assert Program("ik", "b", ("-fa", "1"), path, option).commands(workload, threads=3) == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("-bad 1", ["ended with code 1", "invalid parameter for argument: -bad"]),
        ("-markdown 1", ["no JSON"]),
        ("-half 1", ["no rate of prefill"]),
    ],
)
def test_reports_that_say_nothing(tiny: Tiny, program: Path, option: str, words: list[str]) -> None:
    side = ProgramSide(find_program("ik", f"'{program}' {option}", tiny("llama")))
    with pytest.raises(BackendError) as caught:
        side.run(workload_of(tiny("llama")), threads=1)
    for word in (*words, "llama.gguf", str(program)):
        assert word in str(caught.value)


@pytest.mark.slow
def test_a_file_that_it_refuses_leaves_our_figures(tiny: Tiny, program: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.bin"
    other.write_bytes(b"GGUF")
    values, _ = measured(tiny("llama"), find_program("ik", f"'{program}'", other), repeat=1)
    assert "failed to load model" in values["against"]["error"]
    assert values["ratio"] is None
    assert values["decode_tps"] > 0


@pytest.mark.slow
def test_what_is_no_llama_bench(tmp_path: Path, tiny: Tiny) -> None:
    model = tiny("llama")
    with pytest.raises(BackendMissingError, match="no program"):
        find_program("ik", str(tmp_path / "none"), model)
    with pytest.raises(BackendError, match=r"is no llama-bench: its --help"):
        find_program("ik", sys.executable, model)
    with pytest.raises(FileNotFoundError, match=r"none\.gguf"):
        find_program("ik", sys.executable, tmp_path / "none.gguf")
    with pytest.raises(ValueError, match="-m, -p is set by this command; --peer-model"):
        find_program("ik", f"{sys.executable} -p 512 -m x", model)
    with pytest.raises(ValueError, match="expected a program and its options"):
        find_program("ik", "'unclosed", model)


def bench(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SHORT_COMMAND, *map(str, arguments)], capture_output=True, encoding="utf-8", timeout=120
    )


@pytest.mark.slow
def test_as_a_command(tiny: Tiny, program: Path) -> None:
    against = ["--against", f"ik='{program}' -rtr 1", "--peer-model", tiny("bloom")]
    done = bench(tiny("llama"), *SMALL, "--json", *against)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["against"]["model"] == "bloom.gguf"
    done = bench(tiny("llama"), *SMALL, "--against", f"ik='{program}' -bad 1")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "-bad" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["MODEL", "--against", "ik"], ["ik=/path/to/llama-bench"]),
        (["MODEL", "--against", "ik="], ["ik=/path/to/llama-bench"]),
        (["MODEL", "--against", "ik=/none"], ["no program /none"]),
        (["MODEL", "--peer-model", "x.gguf"], ["--peer-model", "ik"]),
        (["MODEL", "--against", "llama.cpp", "--peer-model", "x.gguf"], ["--peer-model", "the same file"]),
        (["MODEL", "--type", "q8_0"], ["--type", "--synthetic"]),
        (["--synthetic", "belle-7b", "--type", "q9"], ["q9", "q4_0"]),
    ],
)
def test_wrong_arguments(tiny: Tiny, arguments: list[str], words: list[str]) -> None:
    done = bench(*(str(tiny("bloom")) if word == "MODEL" else word for word in arguments))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    for word in words:
        assert word in done.stderr
