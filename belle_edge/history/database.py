"""The file of the history: how it is opened, brought to this program's schema, backed up and closed.

Write-ahead logging with synchronous=FULL: a committed change survives `kill -9` and a loss of power.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, text

from ..regular_files import irregular
from .history_errors import HistoryFileError, damaged, named_errors
from .tables import APPLICATION_ID, KNOWN, SCHEMA

BUSY_MS = 10_000  # how long a change waits for one of another process
KEPT_BACKUPS = 3
_OLDEST_SQLITE = (3, 34)  # the first with the trigram tokenizer
_MIGRATIONS = Path(__file__).with_name("migrations")


class Database:
    """One SQLite file with this program's schema. Any number of threads, and other processes, may use it."""

    def __init__(self, path: Path) -> None:
        """Open `path`, or make it; bring it to the newest schema. Raises HistoryFileError, and OSError."""
        if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
            raise HistoryFileError(
                f"[history] it needs SQLite 3.34 or newer, this Python has {sqlite3.sqlite_version}: "
                "install a newer Python"
            )
        self.path = path
        _make_private(path)
        self._engine = _engine(path)
        try:
            with self._named():
                self._prepare()
        except BaseException:
            self._engine.dispose()
            raise

    @property
    def backups(self) -> list[Path]:
        """The copies of the file that were made before migrations, newest first."""
        found = [path for path in self.path.parent.glob(f"{self.path.name}.backup-*") if _number(path)]
        return sorted(found, key=_number, reverse=True)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the file. Raises HistoryFileError."""
        with self._named(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def changing(self) -> Iterator[Connection]:
        """A transaction that is whole or nothing; others wait with theirs. Raises HistoryFileError."""
        with self._named(), self._engine.execution_options(begins="IMMEDIATE").begin() as connection:
            yield connection

    def close(self) -> None:
        """Close all connections; the last one folds the write-ahead log into the file."""
        self._engine.dispose()

    @contextmanager
    def _named(self) -> Iterator[None]:
        with named_errors(self.path, lambda: self.backups):
            yield

    def _prepare(self) -> None:
        """Check whose file it is, and migrate where it is older."""
        with self.reading() as connection:
            found = _revision(connection, self.path)
        if found == SCHEMA:
            return
        with self._engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")  # tables may be made anew; checked below
            connection.commit()
            connection = connection.execution_options(begins="EXCLUSIVE")
            try:
                with connection.begin():
                    self._migrate(connection)
            finally:
                connection.invalidate()  # the next one has its own settings

    def _migrate(self, connection: Connection) -> None:
        """One transaction: a step that fails leaves the old file."""
        found = _revision(connection, self.path)  # another process may have been first
        if found == SCHEMA:
            return
        if found is not None:
            self._check_whole(connection)
            self._back_up(found)
        _upgrade(connection)
        connection.exec_driver_sql(f"PRAGMA application_id={APPLICATION_ID}")
        if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall():
            raise damaged(self.path, f"{len(broken)} rows refer to nothing", self.backups)

    def _check_whole(self, connection: Connection) -> None:
        found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
        if found != "ok":
            raise damaged(self.path, str(found), self.backups)

    def _back_up(self, revision: str) -> None:
        """A copy of the last committed state, next to the file; the oldest ones go."""
        number = 1 + max(map(_number, self.backups), default=0)
        target = self.path.with_name(f"{self.path.name}.backup-schema-{revision}-{number:06d}")
        part = target.with_name(f".{target.name}.part")
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with closing(sqlite3.connect(self.path)) as source, closing(sqlite3.connect(part)) as copy:
            source.backup(copy)
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, target)
        for old in self.backups[KEPT_BACKUPS:]:
            old.unlink(missing_ok=True)


def _make_private(path: Path) -> None:
    """An empty file that its owner alone may read, in a folder of the same kind, where there is none yet."""
    if kind := irregular(path):
        raise HistoryFileError(f"[history] {path}: expected a file, found {kind}")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _engine(path: Path) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"timeout": BUSY_MS / 1000, "check_same_thread": False},
        json_deserializer=_from_json,
        hide_parameters=True,  # errors do not quote what people wrote
        pool_size=4,
        max_overflow=60,  # threads of a server
    )

    @event.listens_for(engine, "connect")
    def _set_up(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # transactions begin below, not where the module thinks
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('begins', '')}")

    return engine


def _from_json(text: str) -> Any:
    """What this program wrote into a column. Most values are empty."""
    return {} if text == "{}" else [] if text == "[]" else json.loads(text)


def _revision(connection: Connection, path: Path) -> str | None:
    """The schema of the file; None for an empty one. HistoryFileError for files that are not this program's."""
    tables = set(connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars())
    if not tables:
        return None
    application = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
    if application != APPLICATION_ID or "alembic_version" not in tables:
        raise HistoryFileError(
            f"[history] {path} is a database of another program: name another folder in BELLE_DATA"
        )
    found = str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one())
    if found not in KNOWN:
        raise HistoryFileError(
            f"[history] {path} has schema {found}, of a newer BELLE Edge; this one knows up to {SCHEMA}. "
            "Update BELLE Edge (pip install -U belle-edge), or name another folder in BELLE_DATA"
        )
    return found


def _upgrade(connection: Connection, target: str = SCHEMA) -> None:
    """Run the steps up to schema `target` inside the connection's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, target)


def _number(backup: Path) -> int:
    """The number at the end of a backup's name; 0 where it has none."""
    end = backup.name.rpartition("-")[2]
    return int(end) if end.isascii() and end.isdigit() else 0


def default_path() -> Path:
    """Where the history of this user lies: history.db in the folder for data, or in $BELLE_DATA."""
    from ..folders import data_folder

    return data_folder() / "history.db"
