"""A conversation in one file: a line that names the format, a line of JSON, the bytes of the cache."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .answer import moved
from .backends.base import Backend, SequenceState
from .errors import bounded, excerpt
from .strict_json import MAX_BYTES, parse

_MAGIC = b"BELLE EDGE CONVERSATION 1\n"


@dataclass(frozen=True)
class Turn:
    """One message with its answer, and where their ids stand in the history: the prompt in [begin, answer_begin),
    the answer in [answer_begin, end). The ids of a turn that slid out stand nowhere: all of these are equal.

    The answer's tokens in [answer_begin, decoded_end) went through the model one by one; what is left of it goes
    through with the next prompt. rewritten: the template shows the turn in another way since; from `end` on it stands
    in the prompt of a later turn.
    """

    user: str
    answer: str
    begin: int
    answer_begin: int
    end: int
    decoded_end: int
    rewritten: bool = False

    @property
    def stands(self) -> bool:
        """Whether the model sees the turn: it has not slid out of the context."""
        return self.rewritten or self.begin < self.end

    def cut(self, length: int) -> Turn:
        """The turn when only the first `length` ids are left of the history."""
        if self.end <= length:
            return self
        return replace(
            self,
            begin=min(self.begin, length),
            answer_begin=min(self.answer_begin, length),
            end=min(self.end, length),
            decoded_end=min(self.decoded_end, length),
            rewritten=self.stands,
        )

    def after_drop(self, dropped: tuple[int, int]) -> Turn:
        """The turn after the positions `dropped` [begin, end) have left."""
        return replace(
            self,
            begin=moved(self.begin, dropped),
            answer_begin=moved(self.answer_begin, dropped),
            end=moved(self.end, dropped),
            decoded_end=moved(self.decoded_end, dropped),
        )


@dataclass(frozen=True)
class Saved:
    """The part of the file that any engine can read."""

    vocabulary: str  # fingerprint: ids mean something in this vocabulary only
    system: str | None
    n_drawn: int
    ids: tuple[int, ...]
    turns: tuple[Turn, ...]


def fingerprint(tokens: Sequence[str]) -> str:
    """Of a vocabulary."""
    return hashlib.sha256("\0".join(tokens).encode("utf-8", "surrogatepass")).hexdigest()


def write(path: str | os.PathLike[str], saved: Saved, state: bytes) -> None:
    """Write beside `path`, then rename: `path` only ever holds a whole file. Raises OSError."""
    path = Path(path)
    header = json.dumps(asdict(saved), ensure_ascii=False, sort_keys=True).encode()
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines((_MAGIC, header, b"\n", state))
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read(path: str | os.PathLike[str], tokens: Sequence[str]) -> tuple[Saved, bytes]:
    """The conversation and the bytes of its cache, maybe none. Raises OSError, and ValueError for a file that
    is none, is damaged, or belongs to another vocabulary than `tokens`."""
    name = os.fspath(path)
    with open(path, "rb") as file:
        if file.readline(len(_MAGIC)) != _MAGIC:
            raise ValueError(f"[conversation] {name} is no saved conversation")
        header, state = file.readline(MAX_BYTES + 1), file.read()
    try:
        saved = _parsed(parse(header))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"[conversation] {name} is damaged: {bounded(repr(error))}") from error
    if saved.vocabulary != fingerprint(tokens):
        raise ValueError(f"[conversation] {name} was made with another vocabulary: its token ids do not fit")
    if not all(0 <= token_id < len(tokens) for token_id in saved.ids):
        raise ValueError(f"[conversation] {name} is damaged: a token id is out of range")
    return saved, state


def restored(backend: Backend, state: bytes, ids: Sequence[int]) -> SequenceState | None:
    """The saved cache, if this model can use it: not that of other weights, another engine or cache type."""
    if not state:
        return None
    try:
        sequence = backend.restore(state)
    except ValueError:
        return None
    tokens = sequence.tokens().tolist()
    return sequence if tokens == list(ids[: len(tokens)]) else None


def _parsed(header: Any) -> Saved:
    saved = Saved(
        vocabulary=_of(str, header["vocabulary"]),
        system=None if header["system"] is None else _of(str, header["system"]),
        n_drawn=_of(int, header["n_drawn"]),
        ids=tuple(_of(int, token_id) for token_id in _of(list, header["ids"])),
        turns=tuple(_turn(turn) for turn in _of(list, header["turns"])),
    )
    if saved.n_drawn < 0:
        raise ValueError("n_drawn is negative")
    position = 0
    for turn in saved.turns:
        _of(str, turn.user), _of(str, turn.answer)
        if not position <= _of(int, turn.begin) <= _of(int, turn.answer_begin) <= _of(int, turn.end):
            raise ValueError("the turns do not follow each other")
        if not turn.answer_begin <= _of(int, turn.decoded_end) <= turn.end:
            raise ValueError("an answer lies outside its turn")
        _of(bool, turn.rewritten)
        position = turn.end
    if position != len(saved.ids):
        raise ValueError("the turns do not cover the tokens")
    return saved


def _turn(stored: Any) -> Turn:
    """Files of earlier versions do not say where decoding ended: as a rule before the last token."""
    return Turn(**{"decoded_end": max(stored["answer_begin"], stored["end"] - 1), **stored})


def _of(kind: type, value: Any) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"expected {kind.__name__}, got {excerpt(value)}")
    return value
