"""The tree of messages: paths and their windows, branches, answers while they are written, recovery."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy", reason="pip install '.[server]' brings it")

from belle_edge.history import History, HistoryError, HistoryMissingError, Message


def grow(history: History, chat: str, n_messages: int) -> list[Message]:
    """A chat of turns in a row."""
    found: list[Message] = []
    for number in range(n_messages):
        parent = found[-1].id if found else None
        role = "assistant" if number % 2 else "user"
        found.append(history.add_message(chat, parent, role, f"message {number}"))  # type: ignore[arg-type]
    return found


def test_a_message_is_as_it_was_added(history: History) -> None:
    chat = history.new_chat()
    message = history.add_message(
        chat.id,
        None,
        "assistant",
        "text \x00 \U0001f600",
        state="length",
        token_ids=[1, 250_879, 0],
        answer_begin=1,
        decoded_end=3,
        model="belle",
        settings={"seed": 7},
        timings={"decode_s": 1.5},
        layout={"prompt": [1, 2]},
        error={"code": "no_memory"},
        dropped=["a", "b"],
    )
    assert history.message(message.id) == message
    assert (message.token_ids, message.text, message.state) == (
        (1, 250_879, 0),
        "text \x00 \U0001f600",
        "length",
    )
    assert (message.settings, message.timings, message.error) == (
        {"seed": 7},
        {"decode_s": 1.5},
        {"code": "no_memory"},
    )
    assert message.layout == {"prompt": [1, 2]}
    assert (message.answer_begin, message.decoded_end, message.dropped) == (1, 3, ["a", "b"])
    assert history.chat(chat.id).leaf == message.id


def test_paths_and_windows(history: History) -> None:
    chat = history.new_chat()
    way = grow(history, chat.id, 7)
    ids = [message.id for message in way]
    assert history.path(ids[-1]) == way
    assert [message.id for message in history.path(ids[3])] == ids[:4]
    assert history.path_ids(ids[-1]) == ids
    assert history.messages_by_id([ids[5], ids[0]]) == [way[5], way[0]]
    window = history.path(ids[-1], limit=3)
    assert [message.id for message in window] == ids[4:]
    window = history.path(ids[-1], limit=3, before=window[0].id)
    assert [message.id for message in window] == ids[1:4]
    window = history.path(ids[-1], limit=3, before=window[0].id)
    assert [message.id for message in window] == ids[:1]
    assert history.path(ids[-1], limit=3, before=ids[0]) == []
    assert history.path(ids[-1], limit=0) == []
    with pytest.raises(HistoryMissingError):
        history.path("nobody")
    with pytest.raises(HistoryMissingError):
        history.path_ids("nobody")
    with pytest.raises(HistoryMissingError, match="'nobody'"):
        history.messages_by_id([ids[0], "nobody"])


def test_branches(history: History) -> None:
    chat = history.new_chat()
    way = grow(history, chat.id, 4)
    edited = history.add_message(chat.id, way[1].id, "user", "edited")
    answer = history.add_message(chat.id, edited.id, "assistant", "another")
    other_root = history.add_message(chat.id, None, "user", "from the start", make_leaf=False)
    assert history.chat(chat.id).leaf == answer.id
    assert history.siblings(edited.id) == history.siblings(way[2].id) == [way[2].id, edited.id]
    assert history.siblings(other_root.id) == history.roots(chat.id) == [way[0].id, other_root.id]
    assert history.siblings_of([answer.id, way[2].id, "nobody"]) == {
        answer.id: [answer.id],
        way[2].id: [way[2].id, edited.id],
    }
    assert history.children(way[1].id) == [way[2].id, edited.id]
    assert history.children(answer.id) == []
    assert history.leaf_below(way[0].id) == answer.id  # the newest one
    assert history.leaf_below(way[2].id) == way[3].id
    assert history.leaf_below(answer.id) == answer.id
    for call in (history.siblings, history.children, history.leaf_below, history.message):
        with pytest.raises(HistoryMissingError, match="there is no message 'nobody'"):
            call("nobody")


def test_trees_do_not_cross(history: History) -> None:
    one, two = history.new_chat(), history.new_chat()
    message = history.add_message(one.id, None, "user", "hello")
    with pytest.raises(HistoryError, match="belongs to another chat"):
        history.add_message(two.id, message.id, "assistant", "hi")
    with pytest.raises(HistoryMissingError, match="no chat 'nobody'"):
        history.add_message("nobody", None, "user", "hello")
    assert history.siblings(message.id) == [message.id]


def test_an_answer_while_it_is_written(history: History) -> None:
    chat = history.new_chat()
    question = history.add_message(chat.id, None, "user", "q", token_ids=[1, 2])
    answer = history.add_message(chat.id, question.id, "assistant", "", state="writing")
    history.write_answer(answer.id, "half", [3, 4], answer_begin=0, decoded_end=2)
    seen = history.message(answer.id)
    assert (seen.text, seen.token_ids, seen.state, seen.decoded_end) == ("half", (3, 4), "writing", 2)
    done = history.finish_answer(
        answer.id, "finished", text="half and half", token_ids=(3, 4, 5), timings={"tokens": 3}
    )
    assert (done.text, done.token_ids, done.state, done.timings) == (
        "half and half",
        (3, 4, 5),
        "finished",
        {"tokens": 3},
    )
    assert history.message(answer.id) == done
    with pytest.raises(HistoryMissingError):
        history.write_answer("nobody", "x")


def test_what_a_dead_process_was_writing_is_cut(tmp_path: Path) -> None:
    """Closing without finishing looks like death to the next one. An answer of a live one is left alone."""
    path = tmp_path / "history.db"
    dead = History(path)
    chat = dead.new_chat()
    answer = dead.add_message(chat.id, None, "assistant", "", state="writing")
    dead.write_answer(answer.id, "half", [1])
    with History(path) as living:
        other = living.add_message(chat.id, None, "assistant", "", state="writing")
        assert living.recover() == []  # both are open
        dead.close()
        assert living.recover() == [answer.id]
        assert living.recover() == []
        assert [living.message(id).state for id in (answer.id, other.id)] == ["cut", "writing"]
        assert living.message(answer.id).text == "half"
        continued = living.finish_answer(answer.id, "writing")
        assert continued.state == "writing"
        assert living.recover() == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"role": "robot"}, "role: expected user or assistant, got 'robot'"),
        ({"state": "odd"}, "state: expected .*finished.*, got 'odd'"),
        ({"token_ids": [2**31]}, "token_ids: expected numbers from 0 to 2147483647"),
        ({"text": "\ud800"}, "text: .*lone surrogate"),
    ],
)
def test_what_is_no_message(history: History, arguments: dict[str, object], message: str) -> None:
    chat = history.new_chat()
    with pytest.raises(ValueError, match=message):
        history.add_message(chat.id, None, **{"role": "user", "text": "t", **arguments})  # type: ignore[arg-type]
    assert history.messages(chat.id) == []
