"""The cache of one chat in a file: a line of JSON with what was decoded, then the state as the engine saves it.

The state has its own checksums, and says which weights, which build of the cache and which ids it belongs to.
"""

from __future__ import annotations

import json
import mmap
from pathlib import Path

from ...backends.base import Backend
from ...generation.conversation_file import Turn
from ...generation.history import History
from ...output_files import whole_file
from ...regular_files import open_regular
from ...strict_json import parse

_FORMAT = "belle-edge chat cache 1"
_LONGEST_LINE = 1 << 20


def write_cache(path: Path, history: History) -> None:
    """Raises OSError, and what saving the sequence raises."""
    sequence = history.sequence
    if sequence is None:
        raise ValueError("[chat cache] expected a history with a cache")
    spans = [
        [turn.answer_begin, turn.decoded_end]
        for turn in history.turns
        if turn.answer_begin < turn.decoded_end
    ]
    state = sequence.save()
    header = json.dumps({"format": _FORMAT, "decoded": spans}).encode()
    with whole_file(path, replace=True, mode=0o600) as file:
        file.writelines((header, b"\n", state))


def read_cache(path: Path, backend: Backend) -> History:
    """A history of ids, decoded places and cache, without texts. OSError; ValueError for what does not fit here."""
    with open_regular(path) as file:
        line = file.readline(_LONGEST_LINE)
        header = parse(line)
        if not isinstance(header, dict) or header.get("format") != _FORMAT:
            raise ValueError("[chat cache] no file of this version")
        with (
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
            memoryview(content) as whole,
            whole[len(line) :] as state,  # each has to be let go before what it looks at
        ):
            sequence = backend.restore(state)
    turns = tuple(_turn(span) for span in header["decoded"])
    return History(tuple(sequence.tokens().tolist()), turns, sequence)


def _turn(span: object) -> Turn:
    if not isinstance(span, list) or len(span) != 2 or not all(type(place) is int for place in span):
        raise ValueError("[chat cache] the file is damaged")
    begin, end = span
    return Turn("", "", begin, begin, end, end)
