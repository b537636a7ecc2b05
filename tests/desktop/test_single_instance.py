"""The lock and the note of a desktop."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from belle_edge.desktop import first_start
from belle_edge.desktop.single_instance import Instance, Place, first_or_other
from belle_edge.errors import BelleError


def test_the_first_and_the_others(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "data"
    place = Place(port=1234, key="k" * 43, pid=7)
    with first_or_other(folder) as first:
        assert isinstance(first, Instance)
        first.announce(place)
        assert (folder / "desktop.json").stat().st_mode & 0o777 == 0o600
        for _ in range(2):
            with first_or_other(folder) as other:
                assert other == place
        first.announce(Place(port=99, key="other", pid=8))
        with first_or_other(folder) as other:
            assert other == Place(port=99, key="other", pid=8)
    assert not (folder / "desktop.json").exists()
    with first_or_other(folder) as again:
        assert isinstance(again, Instance)


def test_a_start_waits_for_one_that_begins_and_for_one_that_ends(tmp_path: Path) -> None:
    seen: list[Instance | Place] = []

    def later() -> None:
        with first_or_other(tmp_path) as found:
            seen.append(found)

    with first_or_other(tmp_path) as first:
        assert isinstance(first, Instance)
        waiting = threading.Thread(target=later)
        waiting.start()
        time.sleep(0.3)
        assert seen == []
        first.announce(Place(1, "k", 2))
        waiting.join(10)
        assert seen == [Place(1, "k", 2)]
        first.withdraw()
        waiting = threading.Thread(target=later)
        waiting.start()
        time.sleep(0.3)
        assert len(seen) == 1
    waiting.join(10)
    assert isinstance(seen[1], Instance)


@pytest.mark.parametrize(
    "note", ["", "{", "[]", '{"port": "80", "key": "k", "pid": 1}', '{"port": 80}', '{"a": 1}', "\ud83d"]
)
def test_a_note_of_another_form_is_none(tmp_path: Path, note: str) -> None:
    with first_or_other(tmp_path):
        (tmp_path / "desktop.json").write_bytes(note.encode("utf-8", "surrogatepass"))
        with (
            pytest.raises(BelleError, match="does not say where it is"),
            first_or_other(tmp_path, patience_s=0.0),
        ):
            pass


def test_where_nobody_answers(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        place = Place(port, "k", 1)

        def answer(content: bytes) -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(content)

        def shown(content: bytes) -> None:
            thread = threading.Thread(target=answer, args=(content,))
            thread.start()
            try:
                first_start.show(place, [])
            finally:
                thread.join()

        with pytest.raises(OSError, match="expected BELLE Edge"):
            shown(b"SSH-2.0-OpenSSH\r\n")
        body = json.dumps({"error": {"message": "no room"}}).encode()
        with pytest.raises(BelleError, match="open already: no room"):
            shown(b"HTTP/1.1 503 x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        shown(b"HTTP/1.1 204 x\r\n\r\n")
    with pytest.raises(ConnectionError):
        first_start.show(place, [])
