"""Text to token ids and back, rebuilt from GGUF metadata alone.

Byte-level BPE vocabularies (BLOOM) run on `tokenizers`, SentencePiece ones (LLaMA) on `sentencepiece`.
Decoding is the same for both: every id stands for some bytes, the bytes are joined and read as UTF-8.

Special tokens. Text is plain by default: `</s>` typed by a user is four characters. With `parse_special=True`
the texts of control tokens become those tokens; that is for the text of a chat template. User text inside a
rendered template is kept plain by `shield`, which puts a guard character into whatever would read as a
control token; `encode` drops the guard again after it has looked for control tokens.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from ..errors import ContextLengthError, excerpt
from ..settings import token_ids
from .encoders import bpe_encoder, byte_level_bytes, sentencepiece_bytes, sentencepiece_encoder
from .long_text import LongText
from .vocabulary import Metadata, TokenType, Vocabulary

_REPLACEMENT = "\ufffd"
_SPACE_MARK = "\u2581"  # SentencePiece's stand-in for a space
# Unicode's White_Space, which is less than what str.strip takes.
_WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)


class Tokenizer:
    """Encodes and decodes with one vocabulary. Safe to share between threads."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        spm = vocabulary.model == "llama"
        self._encode_plain = sentencepiece_encoder(vocabulary) if spm else bpe_encoder(vocabulary)
        self._long_text: LongText | None = LongText(vocabulary)
        self._inner: Callable[[str], list[int]] | None = None  # made for the first long text
        self._to_bytes = sentencepiece_bytes if spm else byte_level_bytes()
        self._special = vocabulary.texts_of({TokenType.CONTROL, TokenType.UNKNOWN})
        self._added = vocabulary.texts_of(
            {TokenType.USER_DEFINED}
        )  # cut out of every text, as control tokens may be
        self._special_pattern = _any_of(self._special)
        self._added_pattern = _any_of(self._added)

    @classmethod
    def from_metadata(cls, metadata: Metadata) -> Tokenizer:
        """Build from `tokenizer.ggml.*` keys. Raises ModelFormatError or UnsupportedModelError."""
        return cls(Vocabulary.from_metadata(metadata))

    def __len__(self) -> int:
        return len(self.vocabulary)

    @property
    def bos_token(self) -> str:
        """Text of BOS; empty when the vocabulary has none."""
        return "" if self.vocabulary.bos_id is None else self.vocabulary.tokens[self.vocabulary.bos_id]

    @property
    def eos_token(self) -> str:
        """Text of EOS; empty when the vocabulary has none."""
        return "" if self.vocabulary.eos_id is None else self.vocabulary.tokens[self.vocabulary.eos_id]

    def encode(
        self,
        text: str,
        *,
        add_bos: bool | None = None,
        add_eos: bool | None = None,
        parse_special: bool = False,
        guard: str = "",
        limit: int | None = None,
    ) -> list[int]:
        """Ids of `text`, computed in pieces where it is long: memory for the ids is all that it takes.

        add_bos, add_eos: None = as the file's settings say. parse_special: texts of control tokens become
        those tokens. guard: a character that `shield` put into user text, dropped here. limit: a long text
        that has more tokens is refused before all of it is encoded; a short one may return more ids.
        Raises ValueError for text that is not valid Unicode, one beyond the limit, or when a BOS or EOS is asked
        for that does not exist.
        """
        self._refuse_too_long(text, _utf8_length(text), guard, limit)
        vocabulary = self.vocabulary
        ids: list[int] = []
        if vocabulary.add_bos if add_bos is None else add_bos:
            ids.append(_existing(vocabulary.bos_id, "BOS"))
        is_first = True
        for plain, token_id in self._segments(text, parse_special=parse_special, guard=guard):
            if token_id is not None:
                ids.append(token_id)
            elif plain:
                self._extend(ids, plain, limit, prefix=self._wants_space(plain, is_first=is_first))
            is_first = False
        if vocabulary.add_eos if add_eos is None else add_eos:
            ids.append(_existing(vocabulary.eos_id, "EOS"))
        return ids

    def encode_inside(self, text: str) -> list[int]:
        """Ids of a text as it goes on within another: nothing is put before it, and nothing in it is special."""
        return self._encode_inner(text)

    def _refuse_too_long(self, text: str, n_bytes: int, guard: str, limit: int | None) -> None:
        """ValueError for a text that must have more tokens. Where tokens take in white space nothing is known."""
        vocabulary = self.vocabulary
        if limit is None or self._long_text is None or vocabulary.strip_left or vocabulary.strip_right:
            return
        n_guards = text.count(guard) if guard else 0
        n_bytes -= n_guards * len(guard.encode())
        if self._long_text.fewest_tokens(len(text) - n_guards, n_bytes) > limit:
            raise too_long(limit)

    def _segments(self, text: str, *, parse_special: bool, guard: str) -> list[tuple[str, int | None]]:
        """`text` as plain parts (text, None) and tokens ("", id), in order, with the white space that tokens take in
        removed."""
        segments: list[tuple[str, int | None]] = []
        special = self._special_pattern if parse_special else None
        for part, token_id in _partition(text, special, self._special):
            if token_id is not None:
                segments.append(("", token_id))
                continue
            part = part.replace(guard, "") if guard else part
            found = _partition(part, self._added_pattern, self._added)
            segments += [(plain if added is None else "", added) for plain, added in found if plain]
        left, right = self.vocabulary.strip_left, self.vocabulary.strip_right
        if left or right:
            for at, (plain, token_id) in enumerate(segments):
                if token_id is None and at and segments[at - 1][1] in right:
                    plain = plain.lstrip(_WHITE_SPACE)
                if token_id is None and at + 1 < len(segments) and segments[at + 1][1] in left:
                    plain = plain.rstrip(_WHITE_SPACE)
                segments[at] = (plain, token_id)
        return segments

    def _wants_space(self, plain: str, *, is_first: bool) -> bool:
        """Whether SentencePiece's space goes before this part of a text, in a vocabulary that has one."""
        scheme = self.vocabulary.space_prefix or "each"
        if scheme == "each":
            return True
        return not plain.startswith((" ", _SPACE_MARK)) and (is_first or scheme == "always")

    def _extend(self, ids: list[int], plain: str, limit: int | None, *, prefix: bool) -> None:
        """Add the ids of a plain text."""
        pieces = iter([plain]) if self._long_text is None else self._long_text.pieces(plain)
        ids.extend(self._encode_plain(next(pieces)) if prefix else self._encode_inner(next(pieces)))
        for piece in pieces:
            if limit is not None and len(ids) > limit:
                raise too_long(limit)
            ids.extend(self._encode_inner(piece))

    def _encode_inner(self, plain: str) -> list[int]:
        """As _encode_plain, for a text that goes on another: without SentencePiece's space in front."""
        if not self.vocabulary.add_space_prefix or self.vocabulary.model != "llama":
            return self._encode_plain(plain)
        if self._inner is None:
            self._inner = sentencepiece_encoder(replace(self.vocabulary, add_space_prefix=False))
        return self._inner(plain)

    def shield(self, text: str, guard: str) -> str:
        """`text` with `guard` inside all that `encode(parse_special=True)` would take for a control token."""
        if not any(special in text for special in self._special):
            return text
        return re.sub(f"(?={self._special_pattern.pattern})(.)", rf"\g<2>{guard}", text, flags=re.DOTALL)

    def decode(self, ids: Iterable[int], *, skip_special: bool = True) -> str:
        """Text of `ids`; bytes that are not UTF-8 become U+FFFD.

        A SentencePiece vocabulary puts one space before a text; exactly that one is taken off again.
        Raises ValueError for an id outside the vocabulary.
        """
        decoder = StreamDecoder(self, skip_special=skip_special)
        return (
            "".join([decoder.push(token_id) for token_id in token_ids("[tokenizer] ids", ids)])
            + decoder.flush()
        )

    def token_bytes(self, token_id: int, *, skip_special: bool = True) -> bytes:
        """The bytes of one id; none for control and unused entries, or with skip_special=False their text."""
        vocabulary = self.vocabulary
        if not 0 <= token_id < len(vocabulary):
            raise ValueError(
                f"[tokenizer] id {excerpt(token_id)} is outside the vocabulary of {len(vocabulary)} entries"
            )
        text, kind = vocabulary.tokens[token_id], vocabulary.types[token_id]
        if kind in (TokenType.CONTROL, TokenType.UNUSED):
            return b"" if skip_special else text.encode("utf-8", "replace")
        if kind == TokenType.UNKNOWN:
            return (_REPLACEMENT if skip_special else text).encode("utf-8", "replace")
        return self._to_bytes(text, kind)

    def is_special(self, token_id: int) -> bool:
        """Whether an id is a control token: it carries no text of its own."""
        return 0 <= token_id < len(self.vocabulary) and self.vocabulary.types[token_id] == TokenType.CONTROL


class StreamDecoder:
    """Ids in one by one, text out as soon as it is certain; never half a character.

    The pieces and the final `flush` together equal `Tokenizer.decode` of all ids.
    """

    def __init__(self, tokenizer: Tokenizer, *, skip_special: bool = True, at_start: bool = True) -> None:
        """at_start False: the ids continue a text, so a leading space is a real one."""
        self._tokenizer = tokenizer
        self._skip_special = skip_special
        self._strip_space = at_start and tokenizer.vocabulary.add_space_prefix
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token_id: int) -> str:
        """The text that `token_id` completes; may be empty."""
        data = self._tokenizer.token_bytes(token_id, skip_special=self._skip_special)
        if self._strip_space and data and not self._tokenizer.is_special(token_id):
            self._strip_space = False
            data = data[1:] if data.startswith(b" ") else data
        return self._utf8.decode(data)

    def flush(self) -> str:
        """What was held back: U+FFFD for a character that never became complete."""
        return self._utf8.decode(b"", final=True)


def _utf8_length(text: str) -> int:
    if not isinstance(text, str):
        raise ValueError(f"[tokenizer] expected a text, got {excerpt(text)}")
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        raise ValueError(
            f"[tokenizer] the text is not valid Unicode: lone surrogate at index {error.start}"
        ) from None


def too_long(limit: int) -> ContextLengthError:
    """The error for a text of more than `limit` tokens."""
    return ContextLengthError(
        f"[tokenizer] the text has more than {limit} tokens, and no more fit into the context: shorten it"
    )


def _existing(token_id: int | None, name: str) -> int:
    if token_id is None:
        raise ValueError(f"[tokenizer] this vocabulary has no {name} token")
    return token_id


def _any_of(texts: Iterable[str]) -> re.Pattern[str]:
    """A pattern of one group that matches the longest of `texts` first; of nothing, it never matches."""
    longest_first = sorted(texts, key=len, reverse=True)
    return re.compile("(" + "|".join(map(re.escape, longest_first)) + ")" if longest_first else "((?!))")


def _partition(
    text: str, pattern: re.Pattern[str] | None, ids: dict[str, int]
) -> Iterator[tuple[str, int | None]]:
    """`text` cut at the matches of `pattern`: (plain text, None) and (matched text, its id), in order."""
    if pattern is None or not ids:
        yield text, None
        return
    for index, part in enumerate(pattern.split(text)):
        yield part, ids[part] if index % 2 else None
