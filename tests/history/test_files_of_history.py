"""The file: older schemas are backed up and brought on, newer and foreign ones refused, damage named."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy", reason="pip install '.[server]' brings it")

import sqlalchemy
from alembic.script import ScriptDirectory

from belle_edge.history import History, HistoryFileError, database, tables

MIGRATIONS = Path(database.__file__).with_name("migrations")


def older(path: Path) -> str:
    """A history of schema 0001 with one message. Returns the message's id."""
    with History(path) as history:
        chat = history.new_chat(title="老的标题")
        message = history.add_message(chat.id, None, "user", "an old message")
    with closing(sqlite3.connect(path)) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for table in ("chats", "messages"):
            connection.execute(f"DROP TABLE {table}_index")
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
        connection.commit()
    return message.id


def test_the_known_steps_are_those_in_the_folder() -> None:
    scripts = ScriptDirectory(str(MIGRATIONS))
    assert tuple(reversed([script.revision for script in scripts.walk_revisions()])) == tables.KNOWN
    assert scripts.get_current_head() == tables.SCHEMA


def test_the_steps_make_the_tables_that_the_program_knows(empty_history: Path) -> None:
    """Compared by what SQLite itself says of columns and indexes."""
    engine = sqlalchemy.create_engine("sqlite://")
    tables.metadata.create_all(engine)
    with closing(sqlite3.connect(empty_history)) as made, engine.connect() as connection:
        known = connection.connection.driver_connection
        for table in tables.metadata.tables:
            for pragma in ("table_info", "foreign_key_list", "index_list"):
                rows = [list(opened.execute(f"PRAGMA {pragma}({table})")) for opened in (made, known)]
                if pragma == "table_info":
                    assert rows[0] == rows[1], table
                else:  # in the order in which they were made
                    assert sorted(row[2:] for row in rows[0]) == sorted(row[2:] for row in rows[1]), (
                        table,
                        pragma,
                    )


def test_an_older_file_is_backed_up_and_brought_on(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    id = older(path)
    with History(path) as history:
        (backup,) = history.backups
        assert backup.name == "history.db.backup-schema-0001-000001"
        assert [hit.message for hit in history.search("old message")] == [id]
        assert [hit.message for hit in history.search("老的标题")] == [None]
        history.add_message(history.chats()[0].id, id, "assistant", "a new message")
    if sys.platform != "win32":
        assert os.stat(backup).st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(backup)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
        assert connection.execute("SELECT text FROM messages").fetchall() == [("an old message",)]
    with History(path) as history:
        assert history.backups == [backup]  # none where nothing is brought on
    shutil.copy(backup, tmp_path / "again.db")
    with History(tmp_path / "again.db") as history:
        assert history.message(id).text == "an old message"


def test_a_few_backups_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    older(path)
    for number in range(1, 6):
        (tmp_path / f"history.db.backup-schema-0001-{number:06d}").write_bytes(b"old")
    (tmp_path / "history.db.backup-of-mine").write_bytes(b"a person's own")
    with History(path) as history:
        assert [backup.name[-6:] for backup in history.backups] == ["000006", "000005", "000004"]
    assert (tmp_path / "history.db.backup-of-mine").exists()


def test_a_step_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "history.db"
    id = older(path)
    with closing(sqlite3.connect(path)) as connection:  # in the way of the step, which comes to it last
        connection.execute("CREATE TABLE messages_index (a)")
        connection.commit()
    with pytest.raises(HistoryFileError, match="table messages_index already exists"):
        History(path)
    with closing(sqlite3.connect(path)) as connection:
        tables_now = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        assert "chats_index" not in tables_now
        connection.execute("DROP TABLE messages_index")
        connection.commit()
    with History(path) as history:
        assert history.message(id).text == "an old message"


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    History(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0099'")
        connection.commit()
    before = path.read_bytes()
    with pytest.raises(
        HistoryFileError, match=r"schema 0099, of a newer BELLE Edge; .* 0002\. Update .*BELLE_DATA"
    ):
        History(path)
    assert path.read_bytes() == before


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE messages (a)")
        connection.commit()
    with pytest.raises(HistoryFileError, match="is a database of another program"):
        History(path)
    with pytest.raises(HistoryFileError, match="expected a file, found a folder"):
        History(tmp_path)


@pytest.mark.parametrize("kind", ["text", "cut", "inside"])
def test_a_damaged_file_names_the_backups(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "history.db"
    older(path)
    with History(path) as history:
        chat = history.chats()[0]
        for number in range(200):
            history.add_message(chat.id, None, "user", f"message {number} " * 20)
    content = bytearray(path.read_bytes())
    if kind == "text":
        content[:] = b"this is no database" * 1000
    elif kind == "cut":
        del content[len(content) // 2 :]
    else:
        content[len(content) // 4 : len(content) * 3 // 4] = b"\xff" * (
            len(content) * 3 // 4 - len(content) // 4
        )
    path.write_bytes(content)
    with pytest.raises(HistoryFileError, match=r"is damaged .*keep them\. Then copy .*backup-schema-0001"):
        read_all(path, chat.id)


def read_all(path: Path, chat: str) -> None:
    with History(path) as history:
        history.messages(chat)
        history.search("message")
        history.export_all()


def test_a_damaged_file_is_not_migrated(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    older(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 3 :: 7] = b"\xff" * len(content[len(content) // 3 :: 7])
    path.write_bytes(content)
    with pytest.raises(HistoryFileError, match="is damaged"):
        History(path)
    assert path.read_bytes() == content


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match="file"):
        History(tmp_path / "file" / "history.db")


def test_another_process_that_holds_it(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(sqlite3.connect(history.file, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr(database, "BUSY_MS", 50)
        with History(history.file) as second:
            assert second.chats() == []  # reading goes on
            with pytest.raises(HistoryFileError, match="database is locked: another program holds it"):
                second.new_chat()
        connection.execute("ROLLBACK")
    history.new_chat()


def test_threads_and_openings_share_it(history: History) -> None:
    """Many threads with two openings of the file: every call returns, and nothing is lost."""
    from concurrent.futures import ThreadPoolExecutor

    chat = history.new_chat()
    with History(history.file) as second, ThreadPoolExecutor(8) as threads:

        def work(number: int) -> str:
            opened = history if number % 2 else second
            message = opened.add_message(chat.id, None, "user", f"number {number}")
            assert opened.path(message.id) == [message]
            opened.search("number")
            return message.id

        ids = list(threads.map(work, range(60)))
        assert {message.id for message in second.messages(chat.id)} == set(ids)


def test_the_settings_of_the_file(history: History) -> None:
    with closing(sqlite3.connect(history.file)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA application_id").fetchone() == (tables.APPLICATION_ID,)
    with history._database.reading() as reading:
        found = {
            name: reading.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("foreign_keys", "synchronous", "busy_timeout")
        }
    assert found == {"foreign_keys": 1, "synchronous": 2, "busy_timeout": database.BUSY_MS}
