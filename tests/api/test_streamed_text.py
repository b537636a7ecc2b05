"""Whatever tokens a model chooses: a stream never holds half a character nor a part of a stop string."""

from __future__ import annotations

import random

import pytest

from belle_edge import Belle
from belle_edge.text.assembly import TextAssembler
from belle_edge.text.tokenizer import StreamDecoder, Tokenizer

TEXTS = ["你好，世界。\nHuman: 再见", "a\nHu\nHum\nHuman:b", "🙂🙂é\nHuman:", "\nHuman:", "no stop at all 中"]
STOPS = ["\nHuman:", "。", "🙂", "中"]


def _byte_ids(tokenizer: Tokenizer, data: bytes, random_cuts: random.Random) -> list[int]:
    """Token ids for `data`, cut at random into the pieces that the vocabulary has; every byte is one."""
    by_bytes = {
        tokenizer.token_bytes(token_id): token_id
        for token_id in range(len(tokenizer))
        if tokenizer.token_bytes(token_id)
    }
    ids, position = [], 0
    while position < len(data):
        fitting = [
            n for n in range(1, 12) if data[position : position + n] in by_bytes and position + n <= len(data)
        ]
        length = random_cuts.choice(fitting)
        ids.append(by_bytes[data[position : position + length]])
        position += length
    return ids


@pytest.mark.slow
@pytest.mark.parametrize("stop", STOPS)
def test_every_way_to_cut_a_text_into_tokens(tiny: Belle, stop: str) -> None:
    cuts = random.Random(9)
    for text in TEXTS * 40:
        ids = _byte_ids(tiny.tokenizer, text.encode(), cuts)
        assembler = TextAssembler(StreamDecoder(tiny.tokenizer, at_start=False), [stop])
        pieces = []
        for token_id in ids:
            pieces.append(assembler.push(token_id))
            assert "\ufffd" not in pieces[-1]
            assert text.startswith("".join(pieces))
            assert stop not in "".join(pieces)
            if assembler.stopped:
                break
        pieces.append(assembler.flush())
        expected = text[: text.index(stop)] if stop in text else text
        assert "".join(pieces) == assembler.text == expected
        n_tokens, rest = assembler.whole_tokens()
        whole = b"".join(map(tiny.tokenizer.token_bytes, ids[:n_tokens]))
        assert whole.decode() + rest == expected


def test_the_tokens_of_an_unfinished_character_are_not_whole(tiny: Belle) -> None:
    ids = _byte_ids(tiny.tokenizer, "é中".encode()[:-1], random.Random(1))
    assembler = TextAssembler(StreamDecoder(tiny.tokenizer, at_start=False), [])
    text = "".join(assembler.push(token_id) for token_id in ids) + assembler.flush()
    assert text == "é", "the bytes of an unfinished character are not text"
    n_tokens, rest = assembler.whole_tokens()
    assert (b"".join(map(tiny.tokenizer.token_bytes, ids[:n_tokens])).decode(), rest) == ("é", "")


def test_noise_from_a_random_model(tiny: Belle) -> None:
    """Bytes at random: invalid ones become U+FFFD where they stand, and nothing else is lost or doubled."""
    for seed in range(40):
        stream = tiny.stream([5], raw=True, seed=seed, temperature=1.5, max_tokens=40, banned=[2])
        pieces = list(stream)
        assert all(pieces)
        text = "".join(pieces)
        assert text == stream.result.text
        data = b"".join(map(tiny.tokenizer.token_bytes, stream.result.token_ids))
        whole = data.decode("utf-8", "replace")
        assert whole == text or (whole.startswith(text) and set(whole[len(text) :]) == {"\ufffd"})
        if len(text) > 3:
            stop = text[1:3]
            stopped = tiny.stream(
                [5], raw=True, seed=seed, temperature=1.5, max_tokens=40, banned=[2], stop=[stop]
            )
            joined = ""
            for piece in stopped:
                joined += piece
                assert stop not in joined
            assert joined == text[: text.index(stop)]
            assert stopped.result.finish_reason == "stop_string"


@pytest.mark.slow
def test_a_conversation_of_noise_stays_consistent(tiny: Belle) -> None:
    for seed in range(12):
        conversation = tiny.conversation(
            seed=seed, temperature=1.5, top_k=0, top_p=1.0, max_tokens=9, stop=["a", "é"]
        )
        for index in range(3):
            conversation.say(f"{index}")
            turn = conversation._history.turns[-1]
            ids = conversation.token_ids[turn.answer_begin :]
            answer = b"".join(map(tiny.tokenizer.token_bytes, ids)).decode("utf-8", "replace")
            assert answer.rstrip("\ufffd") == turn.answer.rstrip("\ufffd")
            sequence = conversation._history.sequence
            assert sequence is not None
            assert sequence.tokens().tolist() == list(conversation.token_ids[: sequence.length])
