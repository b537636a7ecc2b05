"""The output file as a whole: deterministic, exactly predicted, all or nothing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from belle_edge.convert import ConversionProgress, convert
from belle_edge.errors import ConversionError

TYPES = ["f32", "f16", "bf16", "q4_0", "q4_1", "q8_0"]

# Converts while waiting a moment after every block, so that a signal arrives in the middle.
SLOW = """
import sys, time
from belle_edge.cli.main import main
import belle_edge.convert.output as output
encode = output.encode
def slow(*args, **kwargs):
    time.sleep(0.1)
    return encode(*args, **kwargs)
output.encode = slow
sys.exit(main(["convert", *sys.argv[1:]]))
"""


def test_same_input_same_bytes(make_bloom: Any, make_llama: Any, tmp_path: Path) -> None:
    for make in (make_bloom, make_llama):
        folder = make()
        elsewhere = tmp_path / "some" / "where" / "else"
        shutil.copytree(folder, elsewhere)
        convert(folder, tmp_path / "one.gguf", threads=1, force=True)
        time.sleep(0.01)
        convert(elsewhere, tmp_path / "two.gguf", threads=2, force=True)
        data = (tmp_path / "one.gguf").read_bytes()
        assert data == (tmp_path / "two.gguf").read_bytes()
        assert str(tmp_path).encode() not in data
        shutil.rmtree(tmp_path / "some")


@pytest.mark.parametrize("type", TYPES)
def test_dry_run_predicts_the_exact_size(make_bloom: Any, make_llama: Any, tmp_path: Path, type: str) -> None:
    for make, overrides in ((make_bloom, {}), (make_llama, {"intermediate_size": 100})):
        folder = make(**overrides)
        predicted = convert(folder, tmp_path / "out.gguf", type=type, dry_run=True)
        assert not (tmp_path / "out.gguf").exists()
        done = convert(folder, tmp_path / "out.gguf", type=type)
        assert predicted.output_bytes == done.output_bytes == (tmp_path / "out.gguf").stat().st_size
        assert predicted.tensors == done.tensors
        (tmp_path / "out.gguf").unlink()


def test_dry_run_needs_no_output(make_llama: Any) -> None:
    report = convert(make_llama(), dry_run=True)
    assert report.output is None
    with pytest.raises(ConversionError, match="no output"):
        convert(make_llama())


def test_existing_output_needs_force(make_llama: Any, tmp_path: Path) -> None:
    folder = make_llama()
    out = tmp_path / "out.gguf"
    out.write_text("precious")
    with pytest.raises(ConversionError, match="--force"):
        convert(folder, out)
    assert out.read_text() == "precious"
    convert(folder, out, force=True)
    assert out.read_bytes()[:4] == b"GGUF"


def test_failing_conversion_keeps_the_old_output(
    make_llama: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.gguf"
    out.write_text("precious")

    def fail(event: ConversionProgress) -> None:
        if event.done_bytes > event.total_bytes // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(make_llama(), out, force=True, progress=fail)
    assert out.read_text() == "precious"


def test_targets_that_cannot_be(make_llama: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_llama()
    with pytest.raises(ConversionError, match="got a folder"):
        convert(folder, tmp_path)
    with pytest.raises(ConversionError, match="does not exist"):
        convert(folder, tmp_path / "no" / "out.gguf")
    full = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with pytest.raises(ConversionError, match=r"disk space, 1,000 are free"):
        convert(folder, tmp_path / "out.gguf")
    assert list(tmp_path.glob("out.gguf*")) == []


def test_progress_reaches_the_end(make_llama: Any, tmp_path: Path) -> None:
    events: list[ConversionProgress] = []
    report = convert(make_llama(), tmp_path / "out.gguf", progress=events.append)
    done = [event.done_bytes for event in events]
    assert done == sorted(done)
    assert done[-1] == events[-1].total_bytes == report.source_bytes
    assert {event.tensor for event in events} == {tensor.name for tensor in report.tensors}


def start_slow(folder: Path, out: Path) -> subprocess.Popen[str]:
    """A slow conversion, running and past its first tensors."""
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(folder), "-o", str(out)], stderr=subprocess.PIPE, text=True
    )
    journal = out.with_name(out.name + ".journal")
    deadline = time.monotonic() + 60
    while process.poll() is None and not (journal.exists() and "tensors" in journal.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert process.poll() is None, process.stderr and process.stderr.read()
    return process


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_killed_run_leaves_only_what_resumes_it(make_llama: Any, tmp_path: Path) -> None:
    folder, out = make_llama(), tmp_path / "out.gguf"
    process = start_slow(folder, out)
    for settings in ({}, {"resume": True}, {"force": True}):
        with pytest.raises(ConversionError, match="another conversion is writing"):
            convert(folder, out, **settings)
    process.kill()
    process.communicate(timeout=180)
    assert sorted(path.name for path in tmp_path.glob("out*")) == ["out.gguf.journal", "out.gguf.part"]
    assert out.with_name("out.gguf.part").read_bytes()[:4] == bytes(4)  # nobody takes it for a GGUF
    with pytest.raises(ConversionError, match="an interrupted conversion: --resume goes on"):
        convert(folder, out)
    convert(folder, out, force=True)
    assert sorted(path.name for path in tmp_path.glob("out*")) == ["out.gguf"]


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_keeps_what_is_done(make_llama: Any, tmp_path: Path) -> None:
    folder, out = make_llama(), tmp_path / "out.gguf"
    process = start_slow(folder, out)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=180)
    assert process.returncode == 130
    assert errors == "belle-edge: interrupted; --resume goes on where it stopped\n"
    assert not out.exists()
    events: list[ConversionProgress] = []
    convert(folder, out, resume=True, progress=events.append)
    assert events[0].done_bytes > events[0].total_bytes // 20
    convert(folder, tmp_path / "other.gguf")
    assert out.read_bytes() == (tmp_path / "other.gguf").read_bytes()


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_journal_without_its_data_is_not_believed(make_llama: Any, tmp_path: Path) -> None:
    """A run that is killed right after its file got the target's name leaves the journal of that data."""
    folder, out = make_llama(), tmp_path / "out.gguf"
    process = start_slow(folder, out)
    process.kill()
    process.communicate(timeout=180)
    out.with_name("out.gguf.part").unlink()
    convert(folder, out, resume=True)
    convert(folder, tmp_path / "other.gguf")
    assert out.read_bytes() == (tmp_path / "other.gguf").read_bytes()
    assert sorted(path.name for path in tmp_path.glob("out*")) == ["out.gguf"]
