"""`belle-edge convert`: exit codes, messages, the closing table, --json."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from belle_edge.cli.main import main

# The command, waiting a moment after every block.
SLOW = """
import sys, time
from belle_edge.cli.main import main
import belle_edge.convert.output as output
encode = output.encode
def slow(*args, **kwargs):
    time.sleep(0.05)
    return encode(*args, **kwargs)
output.encode = slow
sys.exit(main(["convert", *sys.argv[1:]]))
"""


def run(*arguments: str | Path) -> int:
    return main(["convert", *map(str, arguments)])


def test_table(make_llama: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_llama(intermediate_size=100)
    capsys.readouterr()  # what transformers printed
    assert run(folder, "-o", tmp_path / "out.gguf") == 0
    output = capsys.readouterr()
    assert output.err == ""
    for text in ("→ iq4_m", "iq4_nl", "f16", "f32", "4.50", "bits per weight", "wrote ", "no chat template"):
        assert text in output.out, text
    assert (
        "kept as f16: 2 matrices, blk.{0-1}.ffn_down.weight (rows of 100 are not a multiple of 32)"
        in output.out
    )
    assert "norms and biases" in output.out


def test_json_is_all_there_is(make_llama: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = make_llama(intermediate_size=100), tmp_path / "out.gguf"
    capsys.readouterr()
    assert run(folder, "-o", out, "--json", "--type", "q8_0") == 0
    output = capsys.readouterr()
    report = json.loads(output.out)
    assert output.err == ""
    assert report["output_bytes"] == out.stat().st_size
    assert report["type"] == "q8_0"
    assert report["fallbacks"] == ["blk.0.ffn_down.weight", "blk.1.ffn_down.weight"]
    assert report["types"]["f16"]["tensors"] == 2
    assert report["bits_per_weight"] == pytest.approx(
        8 * report["weight_bytes"] / report["n_parameters"], 1e-4
    )


def test_dry_run(make_llama: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(make_llama(), "--dry-run") == 0
    assert "nothing written" in capsys.readouterr().out
    assert list(tmp_path.glob("*.gguf*")) == []


def test_failures_are_one_line(make_llama: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_llama()
    (tmp_path / "there.gguf").touch()
    capsys.readouterr()
    cases: list[tuple[int, tuple[str | Path, ...]]] = [
        (2, (folder,)),
        (1, (folder, "-o", tmp_path / "there.gguf")),
        (1, (tmp_path / "nothing", "-o", tmp_path / "out.gguf")),
        (1, (folder, "-o", tmp_path / "no" / "out.gguf", "--json")),
    ]
    for code, arguments in cases:
        assert run(*arguments) == code
        output = capsys.readouterr()
        assert output.out == ""
        assert output.err.startswith("belle-edge: error: ")
        assert output.err.count("\n") == 1
    with pytest.raises(SystemExit, match="2"):
        run(folder, "-o", tmp_path / "out.gguf", "--type", "q7_0")


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
def test_progress_on_a_terminal(make_llama: Any, tmp_path: Path) -> None:
    import pty

    folder, out = make_llama(), tmp_path / "out.gguf"
    terminal, other_end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(folder), "-o", str(out)],
        stdout=other_end,
        stderr=other_end,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"},
    )
    os.close(other_end)
    shown = b""
    with contextlib.suppress(OSError):  # reading fails when the other end is closed
        while data := os.read(terminal, 65536):
            shown += data
    os.close(terminal)
    assert process.wait(timeout=180) == 0
    for text in (b"blk.", b"B/s", b"0:00:0", b"bits per weight"):
        assert text in shown, text
    assert out.exists()
