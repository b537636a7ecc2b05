"""Histories for the tests: one file each."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from belle_edge.history import History


@pytest.fixture(scope="session")
def empty_history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a history without chats: to make one takes longer than to copy it."""
    pytest.importorskip("sqlalchemy", reason="pip install '.[server]' brings it")
    from belle_edge.history import History

    path = tmp_path_factory.mktemp("history") / "history.db"
    History(path).close()
    return path


@pytest.fixture
def history(tmp_path: Path, empty_history: Path) -> Iterator[History]:
    """A history without chats in a folder of its own."""
    from belle_edge.history import History

    (tmp_path / "data").mkdir(mode=0o700)
    shutil.copy(empty_history, tmp_path / "data" / "history.db")
    with History(tmp_path / "data" / "history.db") as opened:
        yield opened
