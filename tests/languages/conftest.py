"""The command line in a language, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from belle_edge.cli.main import main
from belle_edge.languages import use_language

Run = Callable[..., str]
_VARIABLES = ("BELLE_LANGUAGE", "LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """run("info", "x.gguf", LANG="zh_CN.UTF-8"): what the command prints, on both streams."""

    def call(*words: str, columns: int = 80, **variables: str) -> str:
        for name in _VARIABLES:
            monkeypatch.delenv(name, raising=False)
        for name, value in {**variables, "COLUMNS": str(columns)}.items():
            monkeypatch.setenv(name, value)
        with suppress(SystemExit):
            main(words)
        printed = capsys.readouterr()
        return printed.out + printed.err

    yield call
    use_language("en")
