"""Saved conversations go on without a prefill, on other weights with one; damaged files are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from belle_edge import Belle
from belle_edge.generation import conversation_file
from belle_edge.generation.conversation_file import Saved, Turn

from .turns import QUESTIONS, cached_tokens, last_answer_anew


def test_a_saved_conversation_goes_on_without_a_prefill(tiny_zh: Belle, tmp_path: Path) -> None:
    conversation = tiny_zh.conversation(system="简短。", temperature=0, max_tokens=16)
    for text in QUESTIONS[:3]:
        conversation.say(text)
    path = tmp_path / "chat.belle"
    conversation.save(path)
    conversation.save(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["chat.belle"]
    loaded = tiny_zh.load_conversation(path, temperature=0, max_tokens=16)
    assert loaded.messages == conversation.messages
    assert loaded.token_ids == conversation.token_ids
    assert cached_tokens(loaded) == cached_tokens(conversation)
    expected, got = conversation.say("继续"), loaded.say("继续")
    assert (got.text, got.prefilled_tokens) == (expected.text, expected.prefilled_tokens)
    assert loaded.undo() == "继续"
    assert loaded.system == "简短。"


def test_other_weights_compute_the_stored_ids(tiny_zh: Belle, converted, tmp_path: Path) -> None:
    conversation = tiny_zh.conversation(temperature=0, max_tokens=10)
    conversation.say("你好")
    conversation.save(tmp_path / "a")
    conversation.save(tmp_path / "b", cache=False)
    assert (tmp_path / "a").stat().st_size > (tmp_path / "b").stat().st_size
    with Belle.load(converted("belle-tiny-zh", "q8_0")) as other:
        for name in "ab":
            loaded = other.load_conversation(tmp_path / name, temperature=0, max_tokens=10)
            assert cached_tokens(loaded) == 0
            assert loaded.messages == conversation.messages
            result = loaded.say("继续")
            assert result.prefilled_tokens == loaded._history.turns[-1].answer_begin
            assert last_answer_anew(other, loaded, 10).token_ids == result.token_ids


def first_format(path: Path) -> tuple[bytes, bytes, bytes]:
    """(magic, header, cache) of a file as format 1 had it: without the hash."""
    magic, _, header, state = path.read_bytes().split(b"\n", 3)
    assert magic == b"BELLE EDGE CONVERSATION 2"
    return b"BELLE EDGE CONVERSATION 1", header, state


def test_files_of_earlier_versions_go_on(tiny_zh: Belle, tmp_path: Path) -> None:
    """They say neither where decoding ended nor whether a template rewrote a turn."""
    conversation = tiny_zh.conversation(temperature=0, max_tokens=8)
    for text in QUESTIONS[:2]:
        conversation.say(text)
    path = tmp_path / "chat"
    conversation.save(path)
    magic, header, state = first_format(path)
    saved = json.loads(header)
    for turn in saved["turns"]:
        del turn["decoded_end"], turn["rewritten"]
    path.write_bytes(b"\n".join((magic, json.dumps(saved).encode(), state)))
    loaded = tiny_zh.load_conversation(path, temperature=0, max_tokens=8)
    assert loaded._history.turns == conversation._history.turns
    assert loaded.say("继续").token_ids == conversation.say("继续").token_ids


def test_files_that_are_no_conversation_of_this_model(tiny_zh: Belle, stories: Belle, tmp_path: Path) -> None:
    conversation = tiny_zh.conversation(temperature=0, max_tokens=5)
    conversation.say("你好")
    path = tmp_path / "chat"
    conversation.save(path)
    with pytest.raises(ValueError, match="vocabulary"):
        stories.load_conversation(path)
    magic, header, state = first_format(path)  # in which nothing but the parser stands in the way
    good = json.loads(header)
    changes = (
        {"ids": [*good["ids"][:-1], 10**9]},
        {"ids": good["ids"][:-1]},
        {"ids": "x"},
        {"turns": [{**good["turns"][0], "begin": 5, "answer_begin": 3}]},
        {"turns": [{}]},
        {"turns": [{**good["turns"][0], "rewritten": "x"}]},
        {"n_drawn": -1},
        {"system": 3},
    )
    contents = [b"\n".join((magic, json.dumps({**good, **change}).encode(), state)) for change in changes]
    contents += [magic + b"\n" + b"[" * 100_000 + b"\n", magic + b"\n" + b"[" * 500 + b"]" * 500 + b"\n"]
    contents += [b"", b"GGUF", magic + b"\n", magic + b"\n[]\n", magic + b"\n{\n" + state]
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"\[conversation\].*(damaged|no saved)"):
            tiny_zh.load_conversation(path)
    path.write_bytes(b"\n".join((magic, header, state[: len(state) // 2])))  # a broken cache is computed anew
    assert cached_tokens(tiny_zh.load_conversation(path)) == 0
    with pytest.raises(FileNotFoundError):
        tiny_zh.load_conversation(tmp_path / "none")
    with pytest.raises(OSError, match=r"\S"):
        conversation.save(tmp_path / "no" / "folder")
    assert [entry.name for entry in tmp_path.iterdir()] == ["chat"]


def test_a_file_of_the_first_format(tiny_zh: Belle, tmp_path: Path) -> None:
    conversation = tiny_zh.conversation(system="简短。", temperature=0, max_tokens=5)
    conversation.say("你好")
    conversation.save(tmp_path / "new")
    (tmp_path / "old").write_bytes(b"\n".join(first_format(tmp_path / "new")))
    loaded = tiny_zh.load_conversation(tmp_path / "old", temperature=0, max_tokens=5)
    assert (loaded.messages, loaded.token_ids) == (conversation.messages, conversation.token_ids)
    assert cached_tokens(loaded) == cached_tokens(conversation) > 0
    loaded.save(tmp_path / "old")  # replaces it, in the new format
    assert (tmp_path / "old").read_bytes() == (tmp_path / "new").read_bytes()


def test_every_flipped_bit_is_refused(tmp_path: Path) -> None:
    turn = Turn("你好", "您好！", 0, 2, 4, 3)
    tokens = ["a", "b", "c"]
    saved = Saved(conversation_file.fingerprint(tokens), "简短。", 1, (0, 1, 2, 0), (turn,))
    path = tmp_path / "chat"
    conversation_file.write(path, saved, bytes(range(40)))
    assert conversation_file.read(path, tokens) == (saved, bytes(range(40)))
    content = path.read_bytes()
    for bit in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"\[conversation\]"):
            conversation_file.read(path, tokens)
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"\[conversation\]"):
            conversation_file.read(path, tokens)


def test_a_file_of_a_later_format(tmp_path: Path) -> None:
    for line in (b"3", b"17"):
        (tmp_path / "chat").write_bytes(b"BELLE EDGE CONVERSATION " + line + b"\n???")
        with pytest.raises(ValueError, match=r"newer version of belle-edge \(format 3|17.*update"):
            conversation_file.read(tmp_path / "chat", [])


def test_saving_replaces_saved_conversations_alone(tiny_zh: Belle, tmp_path: Path) -> None:
    """A model, a checkpoint, a text: nothing else is given up for a conversation, under whatever name."""
    conversation = tiny_zh.conversation(temperature=0, max_tokens=5)
    conversation.say("你好")
    precious = tmp_path / "model.gguf"
    precious.write_bytes(b"GGUF precious")
    (tmp_path / "link").symlink_to(precious)
    for path in (precious, tmp_path / "link", tmp_path / ".." / tmp_path.name / "model.gguf"):
        with pytest.raises(FileExistsError, match="no saved conversation"):
            conversation.save(path)
    assert precious.read_bytes() == b"GGUF precious"
    conversation.save(tmp_path / "chat", replace=False)
    with pytest.raises(FileExistsError):
        conversation.save(tmp_path / "chat", replace=False)
    (tmp_path / "dangling").symlink_to(tmp_path / "none")
    with pytest.raises(FileExistsError):
        conversation.save(tmp_path / "dangling", replace=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["chat", "dangling", "link", "model.gguf"]
