"""`belle-edge bench` as a user runs it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from belle_edge.benchmark.plot import plot

from .conftest import COMMAND, SHORT_COMMAND

pytestmark = pytest.mark.slow
Tiny = Callable[[str], Path]
SMALL = ["--prompt", "8", "--generate", "2", "--batch", "2", "--repeat", "1", "--threads", "1"]


def bench(*arguments: str | Path, command: list[str] = SHORT_COMMAND) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, encoding="utf-8", timeout=120
    )


def test_json_and_nothing_else(tiny: Tiny) -> None:
    """With the probes as long as they are for users."""
    done = bench(tiny("llama"), *SMALL, "--json", "--profile", "--isa", "scalar", command=COMMAND)
    assert (done.returncode, done.stderr) == (0, "")
    values = json.loads(done.stdout)
    expected = {
        "isa", "threads", "prefill_tps", "decode_tps", "batch_tps", "ttft_ms", "load_s", "peak_rss_bytes",
        "anonymous_peak_bytes", "bytes_per_token", "read_gbps_probe", "decode_bandwidth_fraction",
        "peak_ops_probe", "prefill_peak_fraction", "against", "ratio", "model", "prompt", "generate", "batch",
        "repeat", "repetitions", "profile",
    }  # fmt: skip
    assert expected <= set(values)
    assert values["isa"] == "scalar"


def test_text(tiny: Tiny) -> None:
    done = bench(tiny("bloom"), *SMALL, "--profile", "--verbose")
    assert done.returncode == 0, done.stderr
    for word in ("prefill 8", "decode 2", "batch of 2", "GB/s", "TOPS", "ffn_gate_up", "unaccounted"):
        assert word in done.stdout
    assert "run 1 of 1" in done.stderr


def test_a_failed_comparison_is_reported_after_our_figures(tiny: Tiny, tmp_path: Path) -> None:
    done = bench(tiny("bloom"), *SMALL, "--json", "--against", f"llama.cpp={tmp_path / 'python'}")
    assert done.returncode == 1
    assert json.loads(done.stdout)["decode_tps"] > 0
    assert done.stderr.count("\n") == 1
    assert str(tmp_path) in done.stderr


def test_against_the_llama_cpp_of_another_python(llama_cpp: Any, tiny: Tiny) -> None:
    done = bench(tiny("llama"), *SMALL, "--json", "--against", f"llama.cpp={sys.executable}")
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["ratio"]) == {"prefill", "decode", "batch", "load"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["--synthetic", "belle-13b".replace("13b", "7b")]),
        (["MODEL", "--synthetic", "belle-7b"], ["--synthetic"]),
        (["MODEL", "--isa", "bogus"], ["bogus", "scalar"]),
        (["MODEL", "--against", "vllm"], ["vllm", "llama.cpp"]),
        (["MODEL", "--prompt", "0"], ["--prompt", "expected an integer from 1"]),
        (["MODEL", "--prompt", "1000"], ["1000", "256"]),
        (["none.gguf"], ["none.gguf"]),
        (["."], ["folder"]),
        (["MODEL", "--plot", "x.txt"], ["x.txt", ".png"]),
    ],
)
def test_errors(tiny: Tiny, arguments: list[str], words: list[str]) -> None:
    if "--plot" in arguments:
        pytest.importorskip("matplotlib")
    done = bench(*(str(tiny("bloom")) if word == "MODEL" else word for word in arguments))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    for word in words:
        assert word in done.stderr


def test_an_unknown_synthetic_model_is_wrong_usage() -> None:
    done = bench("--synthetic", "gpt-5")
    assert done.returncode == 2
    assert "belle-llama-13b" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_ctrl_c_ends_every_process(tiny: Tiny) -> None:
    """At once and quietly; the measured process does not outlive the command."""
    command = [*COMMAND, str(tiny("llama")), "--prompt", "200", "--generate", "50", "--repeat", "100000"]
    process = subprocess.Popen(
        [*command, "--verbose"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "load 2 of" in line:
            break
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, encoding="utf-8"
    ).stdout.split()
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{child}").exists() for child in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{child}").exists() for child in children)


def test_plot(tiny: Tiny, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    image = tmp_path / "rates.png"
    done = bench(tiny("bloom"), *SMALL, "--json", "--plot", image)
    assert done.returncode == 0, done.stderr
    assert image.read_bytes().startswith(b"\x89PNG")
    values = json.loads(done.stdout)
    values["against"] = {**values, "name": "llama.cpp", "version": "1"}
    values["ratio"] = {}
    plot(values, tmp_path / "rates.svg")
    text = (tmp_path / "rates.svg").read_text(encoding="utf-8")
    assert text.count("limit") == 2
    done = bench(tiny("bloom"), *SMALL, "--plot", image)  # refused before anything is measured
    assert (done.returncode, done.stdout) == (1, "")
    assert "exists already" in done.stderr
    (tmp_path / "link.png").symlink_to(image)
    before = image.read_bytes()
    plot(values, tmp_path / "link.png", replace=True)
    assert image.read_bytes() == before
    with pytest.raises(FileExistsError):
        plot(values, tmp_path / "link.png")
    assert not list(tmp_path.glob(".*"))


def test_plot_without_matplotlib(tiny: Tiny, tmp_path: Path) -> None:
    """The error comes before anything is measured."""
    program = (
        "import sys; sys.modules['matplotlib'] = None; from belle_edge.cli.main import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", program, "bench", str(tiny("bloom")), "--plot", str(tmp_path / "x.png")]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60)
    assert done.returncode == 1
    assert "belle-edge[plot]" in done.stderr
    assert done.stderr.count("\n") == 1
