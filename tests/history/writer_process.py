"""A program for the tests: writes an answer in small steps, and says each time what it has been promised is kept.

    python writer_process.py DATABASE

It prints a line per call that has returned: the ids of a question and its finished answer, or how much is written.
"""

from __future__ import annotations

import sys
from pathlib import Path

from belle_edge.history import History


def main() -> None:
    history = History(Path(sys.argv[1]))
    chat = history.new_chat(title="killed")
    print("chat", chat.id, flush=True)
    parent = None
    number = 0
    while True:
        question = history.add_message(
            chat.id, parent, "user", f"question {number}", token_ids=[1, 2, number]
        )
        answer = history.add_message(chat.id, question.id, "assistant", "", state="writing")
        print("question", question.id, answer.id, flush=True)
        for step in range(1, 6):
            history.write_answer(answer.id, "word " * step * 200, range(step * 200))
            print("written", answer.id, step, flush=True)
        history.finish_answer(answer.id, "finished", timings={"tokens": 1000})
        print("finished", answer.id, flush=True)
        parent = answer.id
        number += 1


if __name__ == "__main__":
    main()
