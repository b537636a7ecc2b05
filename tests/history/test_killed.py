"""kill -9 while an answer is written: what was promised is there, the answer is there and marked."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy", reason="pip install '.[server]' brings it")

from belle_edge.history import History

PROGRAM = Path(__file__).with_name("writer_process.py")
TIMES = 4  # one process each


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is POSIX")
def test_killed_at_random_moments(tmp_path: Path) -> None:
    """The same history again and again: each process finds what the ones before it left."""
    path = tmp_path / "history.db"
    chance = random.Random(7)
    for _ in range(TIMES):
        said = killed_after(path, chance.uniform(0.05, 0.3))
        check(path, said)
    with History(path) as history:
        assert len(history.chats()) == TIMES
        marks = [name for name in os.listdir(tmp_path) if ".writer-" in name]
        assert len(marks) == 1  # that of this test


def killed_after(path: Path, seconds: float) -> list[list[str]]:
    """What a process said before it was killed, `seconds` after its first answer was finished."""
    with subprocess.Popen(
        [sys.executable, str(PROGRAM), str(path)], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("finished"):
                break
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        lines += list(process.stdout)
    return [line.split() for line in lines if line.endswith("\n")]


def check(path: Path, said: list[list[str]]) -> None:
    """All that was said to be kept is kept; what was being written is cut, with the text of its last step."""
    with History(path) as history:
        cut = history.recover()
        ended = {words[1] for words in said if words[0] == "finished"}
        assert ended
        for words in said:
            if words[0] == "finished":
                answer = history.message(words[1])
                assert (answer.state, answer.text) == ("finished", "word " * 1000)
                assert (answer.timings, answer.token_ids) == ({"tokens": 1000}, tuple(range(1000)))
            elif words[0] == "question":
                question = history.message(words[1])
                assert question.state == "finished"
                assert question.token_ids[:2] == (1, 2)
            elif words[0] == "written" and words[1] not in ended:
                answer = history.message(words[1])
                assert answer.state in ("cut", "finished")
                assert len(answer.text) >= len("word ") * 200 * int(words[2])
                assert len(answer.token_ids) == len(answer.text) // len("word ")
        assert len(cut) <= 1
        assert all(history.message(id).state == "cut" for id in cut)
        chat = history.chat(said[0][1])
        way = history.path(chat.leaf or "")
        assert [message.role for message in way[:2]] == ["user", "assistant"]
        assert way[0].id in [hit.message for hit in history.search("question 0", limit=1000)]
        assert history.recover() == []
