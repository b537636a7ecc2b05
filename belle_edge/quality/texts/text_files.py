"""Files of texts as a command line names them: FILE, or LANGUAGE=FILE; their records, and running text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from belle_edge.convert.data_lines import numbered_lines
from belle_edge.convert.moments.data_files import DataFile, data_files
from belle_edge.convert.moments.data_records import DataText
from belle_edge.quality.texts.language import language_by_script
from belle_edge.text.prompts import Message

_NAMED = re.compile(r"([A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*)=(.+)", re.DOTALL)


@dataclass(frozen=True)
class Record:
    """A text with its language and the place that it is from."""

    language: str
    text: DataText
    path: Path
    line: int  # from 1

    @property
    def place(self) -> str:
        """File and line for reports: never a folder."""
        return f"{self.path.name}:{self.line}"

    @property
    def answer(self) -> str | None:
        """The last message, if the assistant wrote it."""
        last = self.text.messages[-1] if self.text.messages else None
        return last["content"] if last is not None and last["role"] == "assistant" else None

    @property
    def asked(self) -> tuple[Message, ...]:
        """The messages before the answer."""
        return self.text.messages if self.answer is None else self.text.messages[:-1]


def text_files(names: Sequence[str]) -> list[DataFile]:
    """The files that `names` are, with the languages before "=". A file that has "=" in its own name is itself.

    ConversionError for what is no file, and for an empty one.
    """
    return [_text_file(name) for name in names]


def records(file: DataFile) -> Iterator[Record]:
    """The records of a file that are not empty, in order; of plain text, pieces of some thousand characters.

    The language is the one before "=", else the record's own, else what the script tells. ConversionError names file
    and line of what cannot be read.
    """
    for line, text in file.all_texts():
        language = file.language or text.language or language_by_script(_all_text(text))
        yield Record(language, text, file.path, line)


def running_text(file: DataFile) -> str:
    """The whole text of a plain file, without a byte order mark and the line break at its end.

    ConversionError names file and line of what is not UTF-8, and of a line beyond 16 MiB.
    """
    return "".join(line for _, line in numbered_lines(file.path)).removesuffix("\n")


def _text_file(name: str) -> DataFile:
    named = _NAMED.fullmatch(name)
    if named is None or Path(name).expanduser().exists():
        return data_files([Path(name)])[0]
    (file,) = data_files([Path(named[2])])
    return replace(file, language=named[1])


def _all_text(text: DataText) -> str:
    return text.text or "\n".join(message["content"] for message in text.messages)
