"""Servers with a page, each with a folder for data of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..conftest import Start
from ..server_process import ServerProcess
from .page_client import PageClient

for _package in ("httpx", "sqlalchemy", "nh3", "markdown_it"):
    pytest.importorskip(_package, reason="pip install '.[server]' brings it")

StartPage = Callable[..., tuple[ServerProcess, PageClient]]


@pytest.fixture(scope="module")
def start_page(start: Start, demo_file: Path, tmp_path_factory: pytest.TempPathFactory) -> StartPage:
    """start_page(*flags, data=folder, model=file) -> a server, and a window. None: a new folder, the demo model."""
    numbers = itertools.count()

    def begin(
        *flags: str | Path, data: Path | None = None, model: Path | None = None
    ) -> tuple[ServerProcess, PageClient]:
        folder = data or tmp_path_factory.mktemp(f"data-{next(numbers)}")
        server = start(model or demo_file, *flags, BELLE_DATA=str(folder))
        return server, PageClient(server.address)

    return begin


@pytest.fixture(scope="module")
def page(start_page: StartPage) -> Iterator[PageClient]:
    """A window of a server that the module's tests share."""
    _, client = start_page()
    yield client
    client.http.close()
