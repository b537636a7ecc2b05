"""The held-out texts that benchmarks/quality.py measures on: sets of token ids, none of which calibration saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fidelity import passage_tokens, read_items
from fidelity_engines import Ids

from belle_edge import _core
from belle_edge.text.chat_format import ChatFormat
from belle_edge.text.prompts import render
from belle_edge.text.tokenizer import Tokenizer

Item = dict[str, str]
QUESTIONS, ANSWERS = ("instruction", "question"), ("output", "std_answer")


@dataclass(frozen=True)
class TextSet:
    """Texts of one kind, under the name that tables show."""

    name: str
    texts: tuple[Ids, ...]

    @property
    def n_tokens(self) -> int:
        return sum(map(len, self.texts))


class TextReader:
    """Reads sets of texts for one model, in its own chat template.

    gguf: a file of the model, whose tokenizer and template are taken. seen: files of instructions that calibration had;
    they are left out. Of each set whole items are taken, of at most `max_tokens` tokens each, up to `n_tokens` tokens.
    """

    def __init__(self, gguf: Path, *, seen: Sequence[Path], n_tokens: int, max_tokens: int) -> None:
        metadata = _core.GgufFile(gguf)
        self._tokenizer = Tokenizer.from_metadata(metadata)
        self._template = ChatFormat.of_file(metadata).template
        self._seen = {question_of(item) for path in seen for item in read_items(path)}
        self._n_tokens, self._max_tokens = n_tokens, max_tokens

    def read(self, described: str) -> TextSet:
        """A set as the command line has it, NAME=FILE. JSON has instructions, other files are running text."""
        name, separator, path = described.partition("=")
        if not separator:
            raise ValueError(f"[quality] texts: expected NAME=FILE, got {described!r}")
        texts = tuple(self._up_to_size(self._texts(Path(path))))
        if not texts:
            raise ValueError(f"[quality] {path} has no text that calibration did not see")
        return TextSet(name, texts)

    def _up_to_size(self, texts: Iterator[Ids]) -> Iterator[Ids]:
        left = self._n_tokens
        for ids in texts:
            if left <= 0:
                return
            left -= len(ids)
            yield ids

    def _texts(self, path: Path) -> Iterator[Ids]:
        if path.suffix not in (".json", ".jsonl"):
            n_passages = max(1, self._n_tokens // self._max_tokens)
            yield from passage_tokens(
                self._encode, path.read_text(encoding="utf-8"), n_passages, self._max_tokens
            )
            return
        for item in read_items(path):
            if self._is_held_out(item):
                yield np.asarray(self._instruction(item)[: self._max_tokens], dtype=np.int32)

    def _is_held_out(self, item: Item) -> bool:
        return bool(answer_of(item).strip()) and question_of(item) not in self._seen

    def _instruction(self, item: Item) -> list[int]:
        turns = [
            {"role": "user", "content": question_of(item)},
            {"role": "assistant", "content": answer_of(item)},
        ]
        if self._template is None:
            return self._encode("\n".join(turn["content"] for turn in turns))
        text = render(
            self._template,
            turns,
            bos_token=self._tokenizer.bos_token,
            eos_token=self._tokenizer.eos_token,
            add_generation_prompt=False,
        )
        return self._tokenizer.encode(str(text), add_bos=False, add_eos=False, parse_special=True)

    @property
    def _encode(self) -> Callable[[str], list[int]]:
        return lambda text: self._tokenizer.encode(text, add_bos=False, add_eos=False)


def question_of(item: Item) -> str:
    """The instruction of an item, with its input where there is one."""
    question = next((item[name] for name in QUESTIONS if name in item), "")
    return "\n".join(filter(None, (question, item.get("input", ""))))


def answer_of(item: Item) -> str:
    return next((item[name] for name in ANSWERS if name in item), "")
