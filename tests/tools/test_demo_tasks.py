"""The demonstration tasks are deterministic, cleanly split and strictly scored; the tokenizer fits them."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from belle_edge.demo import checkpoint_path
from belle_edge.demo.questions import DEMO_QUESTIONS
from demo_model import tasks


@pytest.mark.slow
@pytest.mark.parametrize("draw", [tasks.training_items, tasks.held_out_items, tasks.validation_items])
def test_a_seed_always_draws_the_same_items(draw) -> None:
    assert draw(7, 300) == draw(7, 300)
    assert draw(7, 300) != draw(8, 300)


def test_no_instruction_is_in_two_splits() -> None:
    instructions = [{item.instruction for item in tasks.all_items(split)} for split in tasks.SPLITS]
    train, validation, held_out = instructions
    assert not train & held_out
    assert not train & validation
    assert not validation & held_out


def test_changed_training_instructions_stay_out_of_the_other_splits() -> None:
    reserved = {item.instruction for split in ("validation", "held_out") for item in tasks.all_items(split)}
    drawn = {item.instruction for item in tasks.training_items(3, 20_000)}
    assert not drawn & reserved
    assert drawn - {item.instruction for item in tasks.all_items("train")}, "no instruction was varied"


def test_an_instruction_has_one_answer() -> None:
    answers: dict[str, str] = {}
    for split in tasks.SPLITS:
        for item in tasks.all_items(split):
            assert answers.setdefault(item.instruction, item.answer) == item.answer, item


@pytest.mark.parametrize(
    "task", ["add", "subtract", "compare", "sentiment", "sentence_translation", "next_number"]
)
def test_held_out_content_is_unseen_in_any_phrasing(task: str) -> None:
    train = {item.key for item in tasks.all_items("train") if item.task == task}
    held_out = {item.key for item in tasks.all_items("held_out") if item.task == task}
    assert held_out
    assert not train & held_out


def test_held_out_items_are_distinct_and_spread_over_all_tasks() -> None:
    items = tasks.held_out_items(0, 504)
    assert len({item.instruction for item in items}) == 504
    counts = Counter(item.task for item in items)
    assert set(counts) == set(tasks.TASK_WEIGHTS)
    assert max(counts.values()) - min(counts.values()) <= 1


def test_tasks_in_focus_are_drawn_more_often() -> None:
    def share(focus: tuple[str, ...]) -> float:
        return sum(item.task == "weekday" for item in tasks.training_items(1, 5000, focus=focus)) / 5000

    assert share(("weekday",)) > 2 * share(())


def test_too_many_held_out_items_are_refused() -> None:
    with pytest.raises(ValueError, match="expected at most"):
        tasks.held_out_items(0, 10**6)


def test_sums_are_right() -> None:
    checked = 0
    for item in tasks.all_items("held_out"):
        if item.task in ("add", "subtract", "multiply"):
            a, sign, b, result = re.fullmatch(r"(\d+)([+×-])(\d+)=(\d+)", item.answer).groups()  # type: ignore[union-attr]
            expected = {"+": int(a) + int(b), "-": int(a) - int(b), "×": int(a) * int(b)}[sign]
            assert int(result) == expected
            assert re.findall(r"\d+", item.instruction) == [a, b]
            checked += 1
    assert checked > 1000


def test_scoring_is_strict() -> None:
    item = tasks.Item("add", "1+2=?", "1+2=3", "1+2")
    assert tasks.is_correct(item, "1+2=3")
    assert tasks.is_correct(item, " 1+2=3\n")
    for wrong in ("1+2=33", "3", "1+2=3。", "1 + 2 = 3", "1+2=3\nHuman: 1+1=?", ""):
        assert not tasks.is_correct(item, wrong)
    assert not tasks.is_correct(tasks.Item("word_translation", "x", "sol", "x"), "Sol")


def test_prompts_are_in_belles_template() -> None:
    assert tasks.Item("t", "你好", "a", "k").prompt == "Human: 你好\n\nAssistant:"


def test_demo_questions_are_held_out_items_of_several_tasks() -> None:
    held_out = {item.instruction: item for item in tasks.all_items("held_out")}
    for question, answer in DEMO_QUESTIONS:
        assert held_out[question].answer == answer
    assert len({held_out[question].task for question, _ in DEMO_QUESTIONS}) >= 10


def test_every_text_survives_the_tokenizer_and_digits_stay_single() -> None:
    tokenizer = pytest.importorskip("tokenizers").Tokenizer.from_file(
        str(checkpoint_path() / "tokenizer.json")
    )
    characters = {
        c for split in tasks.SPLITS for i in tasks.all_items(split) for c in i.instruction + i.answer
    }
    joined = "".join(sorted(characters))
    assert tokenizer.decode(tokenizer.encode(joined).ids) == joined
    for character in characters - set(" "):
        assert len(tokenizer.encode(character).ids) == 1, f"{character!r} is not one token"
    assert not [token for token in tokenizer.get_vocab() if len(token) > 1 and re.search("[0-9]", token)]
    for item in tasks.held_out_items(0, 1000):
        whole, prompt = tokenizer.encode(item.prompt + item.answer), tokenizer.encode(item.prompt)
        assert tokenizer.decode(whole.ids) == item.prompt + item.answer
        assert whole.ids[: len(prompt.ids)] == prompt.ids, "the prompt is not a prefix in tokens"
