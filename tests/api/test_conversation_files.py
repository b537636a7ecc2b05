"""Saved conversations go on without a prefill, on other weights with one; damaged files are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from belle_edge import Belle

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


def test_files_of_earlier_versions_go_on(tiny_zh: Belle, tmp_path: Path) -> None:
    """They say neither where decoding ended nor whether a template rewrote a turn."""
    conversation = tiny_zh.conversation(temperature=0, max_tokens=8)
    for text in QUESTIONS[:2]:
        conversation.say(text)
    path = tmp_path / "chat"
    conversation.save(path)
    magic, header, state = path.read_bytes().split(b"\n", 2)
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
    magic, header, state = path.read_bytes().split(b"\n", 2)
    good = json.loads(header)
    with pytest.raises(ValueError, match="vocabulary"):
        stories.load_conversation(path)
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
