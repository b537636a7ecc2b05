"""A loaded demonstration model for all integrations. Nothing leaves this computer: tracing is off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from belle_edge import Belle


@pytest.fixture(autouse=True)
def _no_tracing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2"):
        monkeypatch.setenv(name, "false")


@pytest.fixture(scope="module")
def demo(converted: Callable[[str, str], Path]) -> Path:
    return converted("bloom", "q4_0")


@pytest.fixture(scope="module")
def belle(demo: Path) -> Iterator[Belle]:
    with Belle.load(demo) as model:
        yield model
