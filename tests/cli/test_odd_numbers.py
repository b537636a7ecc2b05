"""Odd numbers on the command line: an error in one line that names the option or setting, and no work done."""

from __future__ import annotations

from pathlib import Path

import pytest

from belle_edge.cli.main import main

from ..api.tiny_models import write_tiny_model


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_model(tmp_path_factory.mktemp("odd") / "m.gguf", "llama"))


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("generate MODEL q --max-tokens 0", "--max-tokens"),
        ("generate MODEL q --max-tokens 1.5", "max-tokens"),
        ("generate MODEL q --threads 1000000", "threads"),
        ("generate MODEL q --context 1.5", "context"),
        ("generate MODEL q --context 100000000000000000000", "context"),
        ("generate MODEL q --temperature nan", "temperature"),
        ("generate MODEL q --temperature 1e-40", "temperature"),
        ("generate MODEL q --temperature 1e400", "temperature"),
        ("generate MODEL q --top-k -1", "--top-k"),
        ("generate MODEL q --seed 18446744073709551616", "seed"),
        ("generate MODEL q --json --logprobs 2147483648", "--logprobs"),
        ("chat MODEL --max-tokens 0", "--max-tokens"),
        ("info MODEL --context 0", "context"),
        ("verify MODEL --threads 1000000", "threads"),
        ("convert MODEL -o OUT --threads -1", "threads"),
        ("convert MODEL -o OUT --threads 1000000", "threads"),
        ("bench MODEL --batch 1000000000", "batch"),
        ("bench MODEL --prompt 0", "prompt"),
        ("bench MODEL --generate 1000000000000000000000", "generate"),
        ("bench MODEL --threads 1000000", "threads"),
    ],
)
def test_odd_numbers(
    path: str, tmp_path: Path, command: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [{"MODEL": path, "OUT": str(tmp_path / "out.gguf")}.get(word, word) for word in command.split()]
    try:
        code = main(words)
    except SystemExit as error:  # argparse
        code = int(str(error.code))
    printed = capsys.readouterr()
    assert code in (1, 2)
    assert name in printed.err.splitlines()[-1]
    assert "damaged" not in printed.err
    assert not (tmp_path / "out.gguf").exists()


def test_a_file_of_megabytes_is_refused(
    path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "long.txt").write_text("a" * (4 << 20), encoding="utf-8")
    assert main(["generate", path, "--file", str(tmp_path / "long.txt")]) == 1
    assert "more than 128 tokens" in capsys.readouterr().err
