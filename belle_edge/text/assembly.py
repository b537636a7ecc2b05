"""From tokens to text that is certain: no half character, no beginning of a stop string."""

from __future__ import annotations

from collections.abc import Sequence

from .tokenizer import StreamDecoder


class TextAssembler:
    """Tokens in, text out that can no longer become part of a stop string."""

    def __init__(self, decoder: StreamDecoder, stop_strings: Sequence[str]) -> None:
        self._decoder = decoder
        self._stop_strings = tuple(stop_strings)
        self._pieces: list[str] = []
        self._held = ""
        self._ends: list[int] = []  # characters decoded up to and with each token
        self._n_decoded = 0
        self.stopped = False  # a stop string came; nothing is written after it

    @property
    def text(self) -> str:
        """All that was released."""
        return "".join(self._pieces)

    def push(self, token_id: int) -> str:
        """The text that `token_id` makes certain; may be empty."""
        text = self._decoder.push(token_id)
        self._n_decoded += len(text)
        self._ends.append(self._n_decoded)
        return self._release(text, final=False)

    def flush(self) -> str:
        """What is still held when no more tokens come. The bytes of an unfinished character are not text."""
        return self._release("", final=True)

    def whole_tokens(self) -> tuple[int, str]:
        """How many tokens carry the released text, and the rest of it that the token after them holds, where
        a stop string begins inside that token. Tokens that add no character at the end do not count."""
        text = self.text
        covered = max((end for end in self._ends if end <= len(text)), default=0)
        n_tokens = self._ends.index(covered) + 1 if covered else 0
        return n_tokens, text[covered:]

    def _release(self, text: str, *, final: bool) -> str:
        if self.stopped:
            return ""
        text = self._held + text
        found = [at for at in (text.find(stop) for stop in self._stop_strings) if at >= 0]
        if found:
            self.stopped = True
            keep = len(text) - min(found)
        else:
            keep = 0 if final else max((_overlap(text, stop) for stop in self._stop_strings), default=0)
        released, held = text[: len(text) - keep], text[len(text) - keep :]
        self._held = "" if self.stopped else held
        self._pieces.append(released)
        return released


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that is a beginning of `stop`, but not all of it."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
