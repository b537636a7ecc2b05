"""A conversation in one file: lines with the format, a hash of all the rest, and JSON; then the bytes of the cache.

Format 1 had no hash; its files are still read.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from ..backends.base import Backend, SequenceState
from ..errors import bounded, excerpt
from ..folders import user_path
from ..output_files import whole_file
from ..regular_files import open_regular
from ..strict_json import MAX_BYTES, parse
from .answer import moved

_NAME = b"BELLE EDGE CONVERSATION "
_FORMAT = 2
_LONGEST_LINE = 128  # of the lines before the JSON


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


def write(path: str | os.PathLike[str], saved: Saved, state: bytes, *, replace: bool = True) -> None:
    """Write beside `path`, then rename: `path` only ever holds a whole file, which its owner alone may read.

    replace: a saved conversation of this name gives way; nothing else ever does.
    Raises FileExistsError for a name that is taken, and other OSErrors.
    """
    path = user_path("[conversation] path", path)
    if replace and os.path.lexists(path):
        _check_replaceable(path)
    header = json.dumps(asdict(saved), ensure_ascii=False, sort_keys=True).encode() + b"\n"
    with whole_file(path, replace=replace, mode=0o600) as file:
        file.writelines((_first_line(_FORMAT), _hash_line(header, state), header, state))


def read(path: str | os.PathLike[str], tokens: Sequence[str]) -> tuple[Saved, bytes]:
    """The conversation and the bytes of its cache, maybe none. Raises OSError, and ValueError for a file that
    is none, is damaged, was written in a newer format, or belongs to another vocabulary than `tokens`."""
    path = user_path("[conversation] path", path)
    name = os.fspath(path)
    with open_regular(path) as file:
        version = _read_format(file, name)
        stated = file.readline(_LONGEST_LINE) if version > 1 else None
        header, state = file.readline(MAX_BYTES + 1), file.read()
    if stated is not None and stated != _hash_line(header, state):
        raise ValueError(f"[conversation] {name} is damaged: its bytes are not those that were saved")
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


def _first_line(version: int) -> bytes:
    return _NAME + str(version).encode() + b"\n"


def _hash_line(header: bytes, state: bytes) -> bytes:
    digest = hashlib.sha256(_first_line(_FORMAT))
    digest.update(header)
    digest.update(state)
    return digest.hexdigest().encode() + b"\n"


def _read_format(file: BinaryIO, name: str) -> int:
    """The format that the first line names; ValueError for one that this version does not read."""
    line = file.readline(_LONGEST_LINE)
    number = re.fullmatch(re.escape(_NAME) + rb"([1-9][0-9]{0,5})\n", line)
    if number is None:
        raise ValueError(f"[conversation] {name} is no saved conversation")
    version = int(number[1])
    if version > _FORMAT:
        raise ValueError(
            f"[conversation] {name} was written by a newer version of belle-edge (format {version}, this one reads"
            f" up to {_FORMAT}): update belle-edge, or save the conversation anew"
        )
    return version


def _check_replaceable(path: Path) -> None:
    """FileExistsError unless `path` is a saved conversation, of whatever format: no other file is given up for one."""
    with open_regular(path) as file:
        if file.read(len(_NAME)) == _NAME:
            return
    raise FileExistsError(
        errno.EEXIST, "exists and is no saved conversation: choose another name, or move it away", str(path)
    )


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
