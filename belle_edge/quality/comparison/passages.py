"""What both models read: windows of running text and dialogues as token ids, and which of their positions count."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...convert.moments.data_files import DataFile
from ...errors import BelleError, ConversionError
from ...text.chat_format import ChatFormat
from ...text.tokenizer import Tokenizer
from ..texts.language import language_by_script
from ..texts.scored_text import answer_text, windows
from ..texts.text_files import Record, records, running_text
from .result import TextSet

WINDOW_TOKENS = 512  # of running text, as llama.cpp's tools take it
MOST_TOKENS = 2048  # of a dialogue
_QUESTIONS = Path(__file__).resolve().parent / "questions"
_LANGUAGES = ("zh", "en", "other")


@dataclass(frozen=True)
class Passage:
    """Token ids, and the positions [begin, end) at which next tokens are compared: each after all ids up to it."""

    file: str  # name of the file it is from
    language: str
    ids: NDArray[np.int32]  # [n_tokens]
    begin: int
    end: int
    prompt: str | None = None  # of a dialogue: its last question
    answer_at: int = 0  # of a dialogue: the position after which its answer begins

    @property
    def n_positions(self) -> int:
        return self.end - self.begin

    @property
    def targets(self) -> NDArray[np.int32]:
        """The ids that really follow; one fewer than positions where the last position has none."""
        return self.ids[self.begin + 1 : self.end + 1]

    @property
    def prompt_ids(self) -> list[int]:
        """Ids of a dialogue up to its answer."""
        return [int(token) for token in self.ids[: self.answer_at + 1]]


@dataclass(frozen=True)
class PassageReader:
    """Reads files with a model's tokenizer and template."""

    tokenizer: Tokenizer
    chat_format: ChatFormat
    context: int  # tokens that the model takes

    def read(self, files: Sequence[DataFile], *, max_tokens: int) -> tuple[list[Passage], bool]:
        """Passages of at most `max_tokens` ids together, the files taking turns; and whether there would be more.

        Raises ConversionError that names file and line, and for nothing that fits.
        """
        streams = [self._passages(file, max_tokens) for file in files]
        given = [0] * len(files)
        found: list[Passage] = []
        waiting = set(range(len(files)))
        while waiting:
            turn = min(waiting, key=lambda place: (given[place] / files[place].share, place))
            passage = next(streams[turn], None)
            if passage is None:
                waiting.discard(turn)
                continue
            if sum(given) + len(passage.ids) > max_tokens:
                break
            found.append(passage)
            given[turn] += len(passage.ids)
        if not found:
            names = ", ".join(file.name for file in files)
            raise ConversionError(f"[{names}] no text of it has at most {max_tokens:,} tokens: allow more")
        return found, bool(waiting)

    def _passages(self, file: DataFile, max_tokens: int) -> Iterator[Passage]:
        if not file.is_json:
            yield from self._windows(file, max_tokens)
            return
        for record in records(file):
            yield self._dialogue(file, record)

    def _windows(self, file: DataFile, max_tokens: int) -> Iterator[Passage]:
        """As llama.cpp's tools cut a text; one that is shorter than two windows is a passage as it is."""
        text = running_text(file)
        language = file.language or language_by_script(text)
        n_context = min(WINDOW_TOKENS, self.context)
        try:
            if len(ids := self.tokenizer.encode(text, add_eos=False)) < 2 * n_context:
                yield _passage(file.name, language, np.array(ids[: self.context], np.int32), 1)
                return
            most = max_tokens // n_context + 1
            cut = windows(text, self.tokenizer, n_context=n_context, most=most, name=file.name)
        except BelleError:
            raise
        except ValueError as error:
            raise ConversionError(f"[{file.path}] {error}") from None
        yield from (_passage(file.name, language, window.ids, window.first) for window in cut)

    def _dialogue(self, file: DataFile, record: Record) -> Passage:
        """A question with its answer, which is scored; a question alone is scored itself."""
        most = min(MOST_TOKENS, self.context)
        if record.answer is None and record.text.messages:
            ids, begin = np.array(self._question(record), np.int32), 0
            end, answer_at = len(ids), len(ids) - 1
        else:
            text = answer_text(record, self.tokenizer, self.chat_format, most_tokens=most)
            ids, begin, end = text.ids, text.first - 1, len(text.ids) - 1
            answer_at = begin
        if len(ids) < 2 or end <= begin or len(ids) > most:
            raise ConversionError(
                f"[{record.path}] line {record.line}: expected a text of 2 to {most:,} tokens with its answer"
            )
        prompt = record.asked[-1]["content"] if record.asked else None
        return Passage(file.name, record.language, ids, begin, end, prompt, answer_at)

    def _question(self, record: Record) -> list[int]:
        if self.chat_format.template is None:
            return self.tokenizer.encode(
                "".join(f"{message['content']}\n" for message in record.asked), add_eos=False
            )
        try:
            return self.chat_format.encode(self.tokenizer, record.asked)
        except BelleError:
            raise
        except ValueError as error:
            raise ConversionError(f"[{record.path}] line {record.line}: {error}") from None


def bundled_questions() -> list[DataFile]:
    """The questions with answers that come with the package; no calibration has seen them."""
    return [
        DataFile(_QUESTIONS / f"{language}.jsonl", f"belle-edge:{language}", language, share)
        for language, share in zip(_LANGUAGES, (0.45, 0.35, 0.2), strict=True)
    ]


def text_sets(passages: Sequence[Passage]) -> tuple[TextSet, ...]:
    """What was read, by file and language in the order in which they first come."""
    groups: dict[tuple[str, str], list[Passage]] = {}
    for passage in passages:
        groups.setdefault((passage.language, passage.file), []).append(passage)
    return tuple(
        TextSet(language, name, _sha256(group), len(group), sum(len(passage.ids) for passage in group))
        for (language, name), group in groups.items()
    )


def _sha256(passages: Sequence[Passage]) -> str:
    """Of the ids of all, each behind their number, as little-endian int32."""
    digest = hashlib.sha256()
    for passage in passages:
        digest.update(np.array([len(passage.ids), *passage.ids], "<i4").tobytes())
    return digest.hexdigest()


def _passage(file: str, language: str, ids: NDArray[np.int32], first: int) -> Passage:
    return Passage(file, language, ids, first - 1, len(ids) - 1)
