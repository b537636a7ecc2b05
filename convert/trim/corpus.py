"""The texts of corpus files, in pieces that tokenize as the whole does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from belle_edge.convert.data_lines import numbered_lines
from belle_edge.errors import ConversionError
from belle_edge.strict_json import JsonError, parse
from belle_edge.text.prompts import render

_MAX_BYTES = 4 << 30  # of a data set, which is the user's own
_PIECE_CHARS = 1 << 16  # of plain text: enough to be fast, little enough to be held
_EXCERPT_CHARS = 200  # of a long text's start and end, where it meets the words of a prompt
_QUESTION, _ANSWER = "\ue000", "\ue001"  # private characters, which stand for texts in a rendered prompt


def corpus_texts(path: Path) -> Iterator[str]:
    """The texts of one file: of .json and .jsonl every string value, of any other file its lines, many at a time.

    Raises ConversionError for a file that is not UTF-8, not JSON, or without any text.
    """
    texts = _json_strings(path) if path.suffix.lower() in (".json", ".jsonl") else _plain_pieces(path)
    n_texts = 0
    try:
        for text in texts:
            if text.strip():
                text.encode()
                n_texts += 1
                yield text
    except UnicodeEncodeError as error:
        raise ConversionError(
            f"[{path}] a text that is not valid Unicode ({error.reason}): remove it"
        ) from None
    except UnicodeDecodeError as error:
        raise ConversionError(
            f"[{path}] expected UTF-8, got byte {error.object[error.start]:#04x}: convert the file to UTF-8"
        ) from None
    if not n_texts:
        raise ConversionError(
            f"[{path}] expected texts to take tokens from, found none: give a file with text"
        )


def prompt_frame(template: str | None) -> str | None:
    """A conversation of two turns in the model's prompt format, for `in_prompt`; None without a usable template."""
    if template is None:
        return None
    turn = [{"role": "user", "content": _QUESTION}, {"role": "assistant", "content": _ANSWER}]
    try:
        return render(template, [*turn, *turn])
    except ValueError:  # a foreign template with demands of its own
        return None


def in_prompt(frame: str, text: str) -> str:
    """`text` as question and answer. Beside the words of a prompt its ends are tokenized differently than alone."""
    if len(text) > 2 * _EXCERPT_CHARS:
        text = text[:_EXCERPT_CHARS] + text[-_EXCERPT_CHARS:]
    return frame.replace(_QUESTION, text).replace(_ANSWER, text)


def _plain_pieces(path: Path) -> Iterator[str]:
    """Whole lines, cut only before a letter or digit that begins one: every pre-tokenizer begins a word there."""
    lines: list[str] = []
    n_chars = 0
    for _, line in numbered_lines(path, most_bytes=_MAX_BYTES):
        if n_chars >= _PIECE_CHARS and line[0].isalnum() and lines[-1].endswith("\n"):
            yield "".join(lines)
            lines, n_chars = [], 0
        lines.append(line)
        n_chars += len(line)
    yield "".join(lines)


def _json_strings(path: Path) -> Iterator[str]:
    """The strings of one JSON value, or of one on each line, whichever the file is."""
    if path.suffix.lower() == ".json":
        content = path.read_text(encoding="utf-8-sig")
        try:
            yield from _strings(_parsed(content))
            return
        except JsonError as error:
            if "Extra data" not in str(error):
                raise _damaged(path, error) from None
    for number, line in numbered_lines(path, most_bytes=_MAX_BYTES):
        if line.strip():
            try:
                yield from _strings(_parsed(line))
            except JsonError as error:
                raise _damaged(path, f"line {number}: {error}") from None


def _parsed(text: str) -> Any:
    """Data sets may be large, and have NaN where a number is missing."""
    return parse(text, max_bytes=_MAX_BYTES, max_containers=_MAX_BYTES, allow_nan=True)


def _damaged(path: Path, error: JsonError | str) -> ConversionError:
    return ConversionError(
        f"[{path}] expected JSON, or JSON lines, got: {error}; plain text needs another suffix, such as .txt"
    )


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
