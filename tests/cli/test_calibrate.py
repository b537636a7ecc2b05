"""`belle-edge calibrate`: its reports, its file, and one line for whatever is wrong with data."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from belle_edge.cli.calibrate import default_output
from belle_edge.cli.main import main
from belle_edge.convert.moments.moments_file import Moments

from ..moments.calibrations import write_texts


@pytest.fixture(scope="module")
def llama(checkpoint: Callable[[str], Path]) -> Path:
    return checkpoint("llama")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_texts(tmp_path / "texts.jsonl")


def calibrated(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """(exit code, standard output, standard error)"""
    code = main(["calibrate", *map(str, arguments)])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_report(llama: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "m.gguf"
    code, said, problems = calibrated(capsys, llama, "--data", data, "--tokens", "300", "-o", out)
    assert (code, problems) == (0, "")
    lines = said.splitlines()
    assert lines[0].split(maxsplit=1) == ["texts", "300 tokens of 3 texts from texts.jsonl"]
    assert lines[1].split(maxsplit=1) == ["inputs", "21 of 36 matrices: second moments and energies"]
    assert lines[-1].startswith(f"wrote {out} (")
    assert Moments.open(out).facts.n_tokens == 300


def test_json_and_quiet(llama: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = tmp_path / "a.gguf", tmp_path / "b.gguf"
    options = ("--data", data, "--tokens", "200", "--imatrix-only", "--threads", "1")
    code, said, _ = calibrated(capsys, llama, *options, "-o", first, "--json")
    report: dict[str, Any] = json.loads(said)
    assert code == 0
    assert (report["n_tokens"], report["has_full"], report["output"]) == (200, False, str(first))
    assert report["output_bytes"] == first.stat().st_size
    assert report["memory_bytes"] > 0
    assert calibrated(capsys, llama, *options, "-o", second, "--quiet") == (0, "", "")
    assert first.read_bytes() == second.read_bytes()


def test_the_name_of_the_output(
    llama: Path,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert calibrated(capsys, llama, "--data", data, "--tokens", "50")[0] == 0
    assert Path(f"{llama.name}-moments.gguf").is_file()
    assert default_output("org/BELLE-7B-2M") == "BELLE-7B-2M-moments.gguf"
    (tmp_path / "x.gguf").touch()
    assert default_output(str(tmp_path / "x.gguf")) == "x-moments.gguf"
    assert default_output(".") == f"{tmp_path.name}-moments.gguf"


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "bad.jsonl",
            b'{"text": "a"}\n{"text": "\xc4\xe3\xba\xc3"}\n',
            "line 2: expected UTF-8, got byte 0xc4 at 10",
        ),
        ("bad.txt", b"one\ntwo\n\xff\n", "line 3: expected UTF-8, got byte 0xff at 0"),
        ("bad.jsonl", b'{"text": "a"}\n{"q": "b", "a": "c"}\n', 'line 2: expected "instruction" with'),
        ("bad.json", b'[{"text": "a"},\n{"text": }]', "line 2: expected JSON, got: Expecting value"),
        ("bad.json", b"", "is empty"),
        ("bad.json", b"[]", "nothing usable in it"),
        ("none.json", None, "no such file"),
    ],
)
def test_what_is_wrong_with_data_is_one_line_that_names_it(
    llama: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    content: bytes | None,
    expected: str,
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    code, said, problems = calibrated(capsys, llama, "--data", path, "-o", tmp_path / "m.gguf")
    assert (code, said) == (1, "")
    assert problems.count("\n") == 1
    assert f"{path}] {expected}" in problems
    assert not list(tmp_path.glob("m.gguf*"))


def test_a_line_of_a_gigabyte(llama: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "huge.jsonl"
    with path.open("wb") as file:
        file.write(b'{"text": "a"}\n{"text": "')
        file.truncate(1 << 30)
    code, _, problems = calibrated(capsys, llama, "--data", path, "-o", tmp_path / "m.gguf")
    assert code == 1
    assert "line 2: expected at most 16 MiB of text, got more: split it" in problems


def test_errors_in_other_languages(llama: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text('{"q": 1}\n')
    options = ("--data", path, "-o", tmp_path / "m.gguf", "--language")
    try:
        assert '第 1 行：应有 "instruction"' in calibrated(capsys, llama, *options, "zh")[2]
        assert 'línea 1: se esperaba "instruction"' in calibrated(capsys, llama, *options, "es")[2]
    finally:
        calibrated(capsys, llama, *options, "en")


@pytest.mark.slow
def test_ctrl_c_and_resume(
    checkpoint: Callable[[str], Path], command: list[str], data: Path, tmp_path: Path
) -> None:
    source, out = checkpoint("large"), tmp_path / "m.gguf"
    options = ["--data", str(data), "--tokens", "400", "--threads", "1"]
    words = [*command, "calibrate", str(source), *options, "-o"]
    process = subprocess.Popen([*words, str(out)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while (
        not (tmp_path / "m.gguf.states").exists() and time.monotonic() < deadline and process.poll() is None
    ):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, problems = process.communicate(timeout=60)
    assert process.returncode == 130, problems
    assert "interrupted; --resume goes on where it stopped" in problems
    assert not out.exists()
    done = subprocess.run(
        [*words, str(out), "--resume", "--json"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    whole = tmp_path / "whole.gguf"
    assert subprocess.run([*words, str(whole)], capture_output=True, timeout=120).returncode == 0
    assert out.read_bytes() == whole.read_bytes()


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are Unicode there")
def test_a_data_file_whose_name_is_no_text(
    llama: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = os.path.join(os.fsencode(tmp_path), b"donn\xe9es.jsonl")
    shutil.copy(os.fsencode(data), path)
    code, said, _ = calibrated(
        capsys, llama, "--data", os.fsdecode(path), "--tokens", "50", "-o", tmp_path / "m.gguf"
    )
    assert code == 0
    assert "donn?es.jsonl" in said
