"""Calibration texts as token ids: in the model's own template, cut to a bound, files taking turns."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from belle_edge.convert.moments.data_files import DataFile
from belle_edge.convert.moments.data_records import DataText
from belle_edge.convert.moments.moments_keys import CHUNK_TOKENS
from belle_edge.errors import BelleError, ConversionError
from belle_edge.text.chat_format import ChatFormat
from belle_edge.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class TokenTexts:
    """What a model is calibrated with."""

    ids: NDArray[np.int32]  # [n_tokens], text after text
    lengths: tuple[int, ...]  # of each text, none longer than 512
    files: tuple[DataFile, ...]  # that they are from

    @property
    def n_tokens(self) -> int:
        return int(self.ids.size)

    def warnings(self, n_tokens: int) -> list[str]:
        """What to say where `n_tokens` were asked for."""
        if self.n_tokens >= n_tokens:
            return []
        return [
            f"the data has {self.n_tokens:,} tokens, fewer than the {n_tokens:,} asked for: moments of more texts are"
            " nearer to what a model sees in use"
        ]

    @property
    def sha256(self) -> str:
        """Of the lengths and the ids, as little-endian int32."""
        lengths = np.array([len(self.lengths), *self.lengths], dtype="<i4")
        return hashlib.sha256(lengths.tobytes() + self.ids.astype("<i4").tobytes()).hexdigest()


@dataclass(frozen=True)
class TextEncoder:
    """How the model reads a text."""

    tokenizer: Tokenizer
    chat_format: ChatFormat

    def pieces(self, text: DataText) -> Iterator[list[int]]:
        """Ids of a text, at most 512 at a time; each piece begins as a text does. ValueError for what has none."""
        ids = self._ids(text)
        start = self._start(ids)
        step = CHUNK_TOKENS - len(start)
        for at in range(len(start), len(ids), step):
            yield start + ids[at : at + step]

    def _ids(self, text: DataText) -> list[int]:
        if not text.messages:
            return self.tokenizer.encode(text.text, add_eos=False)
        if self.chat_format.template is None:
            plain = "\n".join(message["content"] for message in text.messages)
            return self.tokenizer.encode(plain, add_eos=False)
        is_answered = text.messages[-1]["role"] == "assistant"
        return self.chat_format.encode(self.tokenizer, text.messages, add_generation_prompt=not is_answered)

    def _start(self, ids: list[int]) -> list[int]:
        """BOS, where this text begins with it."""
        bos = self.tokenizer.vocabulary.bos_id
        return [bos] if bos is not None and ids[:1] == [bos] else []


def token_texts(
    files: Sequence[DataFile], encoder: TextEncoder, *, n_tokens: int, held_out: bool = False
) -> TokenTexts:
    """The first `n_tokens` tokens of `files`, or all that they have; of the texts that are held out, or of the others.

    The next text is from the file that is furthest behind its share of tokens. The last one is cut. Files are read no
    further than that. ConversionError names file and line.
    """
    streams = [_stream(file, encoder, held_out=held_out) for file in files]
    given = [0] * len(files)
    texts: list[list[int]] = []
    left = n_tokens
    waiting = set(range(len(files)))
    while left > 0 and waiting:
        turn = min(waiting, key=lambda place: (given[place] / files[place].share, place))
        piece = next(streams[turn], None)
        if piece is None:
            waiting.discard(turn)
            continue
        texts.append(piece[:left])
        given[turn] += len(piece)
        left -= len(texts[-1])
    for stream in streams:
        stream.close()
    ids = np.array([token for text in texts for token in text], dtype=np.int32)
    used = tuple(file for file, n_given in zip(files, given, strict=True) if n_given)
    return TokenTexts(ids, tuple(map(len, texts)), used)


def _stream(file: DataFile, encoder: TextEncoder, *, held_out: bool) -> Generator[list[int], None, None]:
    for line, text in file.texts(held_out=held_out):
        try:
            yield from encoder.pieces(text)
        except BelleError:
            raise
        except ValueError as error:
            raise ConversionError(f"[{file.path}] line {line}: {error}") from None
