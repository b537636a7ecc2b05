"""Where the page keeps what it keeps, and how models are read before they are loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...folders import data_folder

DEFAULT_CACHE_BYTES = 4_000_000_000


@dataclass(frozen=True)
class PageSettings:
    """Of one page."""

    history: Path | None = None  # the database; None: history.db in the user's folder for data
    models_folder: Path | None = None  # None: models in that folder
    chat_cache_bytes: int = (
        DEFAULT_CACHE_BYTES  # of the files from which chats go on after a restart; 0: none
    )
    chat_format: Mapping[str, Any] = field(
        default_factory=dict
    )  # family, chat_template: as models are loaded
    context: int | None = None  # tokens, as models are loaded
    kv: str = "auto"

    @property
    def data(self) -> Path:
        """The folder of the database."""
        return data_folder() if self.history is None else self.history.absolute().parent

    @property
    def history_file(self) -> Path:
        return self.data / "history.db" if self.history is None else self.history

    @property
    def models(self) -> Path:
        """Where converted and downloaded models go."""
        return data_folder() / "models" if self.models_folder is None else self.models_folder

    @property
    def caches(self) -> Path:
        """Where the caches of chats lie."""
        return self.data / "chat-caches"
