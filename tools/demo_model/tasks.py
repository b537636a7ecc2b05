"""The demonstration tasks: every item the small checkpoint is trained and measured on.

All items of a task are enumerated once from fact tables, and a hash of an item's key puts it into the
training, validation or held-out split for good. Where operands can be unseen (sums, comparisons, reviews,
sentences and so on) the key is the content: a held-out sum never occurs in training in any phrasing. For plain
facts (capitals, opposites and so on) the key is the instruction: a held-out item is an unseen way of asking
about a known fact.
"""

import hashlib
import random
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from .facts import FUNCTION_WORDS
from .language_items import fact_words, language_items
from .number_items import number_items

Split = Literal["train", "validation", "held_out"]
SPLITS: tuple[Split, ...] = ("train", "validation", "held_out")

PROMPT_TEMPLATE = "Human: {instruction}\n\nAssistant:"
TURN_SEPARATOR = "\n"

# Relative share of each task in training: sums need many examples, small tables few.
TASK_WEIGHTS: dict[str, float] = {
    "add": 4.0,
    "subtract": 4.0,
    "multiply": 1.0,
    "compare": 1.5,
    "parity": 0.7,
    "next_number": 1.5,
    "counting": 1.0,
    "numerals": 0.8,
    "units": 1.0,
    "weekday": 1.2,
    "month": 0.6,
    "capital": 1.0,
    "capital_reverse": 1.0,
    "opposite": 1.0,
    "sentiment": 0.8,
    "category": 0.8,
    "measure_word": 0.7,
    "word_translation": 2.0,
    "sentence_translation": 2.0,
    "chat": 0.8,
    "out_of_scope": 0.6,
}


@dataclass(frozen=True)
class Item:
    """One instruction with its only accepted answer."""

    task: str
    instruction: str
    answer: str
    key: str

    @property
    def prompt(self) -> str:
        """The instruction in BELLE's template, ready for the model."""
        return PROMPT_TEMPLATE.format(instruction=self.instruction)


def split_of(task: str, key: str) -> Split:
    """Return the split an item belongs to: 1/8 held out, 1/32 validation, the rest training."""
    bucket = hashlib.blake2s(f"{task}\0{key}".encode()).digest()[0]
    return "held_out" if bucket < 32 else "validation" if bucket < 40 else "train"


@lru_cache(maxsize=1)
def _by_split() -> dict[Split, dict[str, list[Item]]]:
    table: dict[Split, dict[str, list[Item]]] = {name: {task: [] for task in TASK_WEIGHTS} for name in SPLITS}
    for task, instruction, answer, key in (*number_items(), *language_items()):
        table[split_of(task, key)][task].append(Item(task, instruction, answer, key))
    return table


def all_items(split: Split) -> list[Item]:
    """Return every item of a split, in a fixed order."""
    return [item for items in _by_split()[split].values() for item in items]


def training_items(seed: int, n: int, *, focus: Collection[str] = ()) -> list[Item]:
    """Draw `n` training items with replacement, tasks in the proportions of TASK_WEIGHTS, `focus` tripled.

    A quarter of them get a small change of punctuation or a polite prefix; a changed instruction that happens
    to be a validation or held-out instruction is left as it was.
    """
    rng = random.Random(seed)
    table = _by_split()["train"]
    reserved = _reserved_instructions()
    items = []
    weights = [weight * (3 if task in focus else 1) for task, weight in TASK_WEIGHTS.items()]
    for task in rng.choices(list(TASK_WEIGHTS), weights=weights, k=n):
        item = rng.choice(table[task])
        if rng.random() < 0.25:
            changed = _vary(item.instruction, rng)
            if changed not in reserved:
                item = Item(item.task, changed, item.answer, item.key)
        items.append(item)
    return items


def held_out_items(seed: int, n: int) -> list[Item]:
    """Draw `n` distinct held-out items, as evenly over the tasks as their sizes allow."""
    return _balanced("held_out", seed, n)


def validation_items(seed: int, n: int) -> list[Item]:
    """Draw `n` distinct validation items; they choose the checkpoint and are never in reported numbers."""
    return _balanced("validation", seed, n)


def is_correct(item: Item, text: str) -> bool:
    """Whether a text is exactly the answer, apart from surrounding white space and Unicode composition."""
    return _normalize(text) == _normalize(item.answer)


def vocabulary_words() -> list[str]:
    """Return the words the tokenizer keeps whole: facts, foreign words, function words and the template."""
    words = dict.fromkeys([*fact_words(), *FUNCTION_WORDS, "Human:", "Assistant:", "\n\n"])
    return list(words)


def _normalize(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()


def _vary(instruction: str, rng: random.Random) -> str:
    stem = instruction.rstrip("？。！：?")
    ending = instruction[len(stem) :]
    choice = rng.randrange(4)
    if choice == 0:
        return stem
    if choice == 1:
        return stem + {"？": "?", "。": "！", "！": "。", "": "？"}.get(ending, ending)
    if choice == 2 and not instruction.startswith(("请", "你好", "您好")):
        return "请问，" + instruction if ending == "？" else "请" + instruction
    return instruction.replace("“", '"').replace("”", '"')


@lru_cache(maxsize=1)
def _reserved_instructions() -> frozenset[str]:
    return frozenset(item.instruction for split in SPLITS[1:] for item in all_items(split))


def _balanced(split: Split, seed: int, n: int) -> list[Item]:
    rng = random.Random(seed)
    pools = {task: rng.sample(items, len(items)) for task, items in _by_split()[split].items()}
    if n > sum(len(pool) for pool in pools.values()):
        raise ValueError(f"[demo] expected at most {sum(map(len, pools.values()))} {split} items, got {n}")
    chosen: list[Item] = []
    for item in _round_robin(pools):
        if len(chosen) == n:
            break
        chosen.append(item)
    return chosen


def _round_robin(pools: dict[str, list[Item]]) -> Iterator[Item]:
    while any(pools.values()):
        for pool in pools.values():
            if pool:
                yield pool.pop()
