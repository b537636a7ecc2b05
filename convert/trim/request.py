"""What a user asks to keep of a vocabulary."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from belle_edge.argument_names import explains_fields
from belle_edge.convert.sources.checkpoint_files import require_regular
from belle_edge.convert.trim.languages import language_codes
from belle_edge.errors import ConversionError
from belle_edge.regular_files import open_regular


class TrimSettings(TypedDict, total=False):
    """A `TrimRequest` as keyword arguments, for type checkers and editors."""

    vocab: str | Sequence[str]  # languages
    vocab_from: str | Path | Sequence[str | Path]  # corpora


@explains_fields("trim")
@dataclass(frozen=True)
class TrimRequest:
    """Languages, texts, or both. The order in which they were named makes no difference.

    Raises ConversionError for an unknown language, for a file that is not there, and where nothing is asked for.
    """

    languages: tuple[str, ...] = ()  # "zh", "en", …; sorted
    corpora: tuple[Path, ...] = ()  # text, .json or .jsonl files

    def __post_init__(self) -> None:
        if not self.languages and not self.corpora:
            raise ConversionError("[trim] expected languages or files to keep the tokens of, got none")
        paths = tuple(Path(path).expanduser() for path in self.corpora)
        for path in paths:
            require_regular(path)
            if not path.is_file():
                raise ConversionError(
                    f"[{path}] no such file: expected a text or JSON file to take tokens from"
                )
        object.__setattr__(self, "languages", language_codes(self.languages))
        object.__setattr__(self, "corpora", paths)

    @classmethod
    def from_arguments(
        cls, vocab: str | Sequence[str] = (), vocab_from: str | Path | Sequence[str | Path] = ()
    ) -> TrimRequest | None:
        """From `convert`'s arguments; None where nothing is asked for. Raises as `TrimRequest` does."""
        if not vocab and not vocab_from:
            return None
        languages = vocab.split(",") if isinstance(vocab, str) else vocab
        corpora = [vocab_from] if isinstance(vocab_from, (str, Path)) else vocab_from
        return cls(tuple(languages), tuple(Path(path) for path in corpora))

    def kept(self) -> str:
        """What is kept, for metadata and the report: "en,zh", and a hash for each corpus; never a path."""
        hashes = []
        for path in self.corpora:
            with open_regular(path) as file:
                digest = hashlib.sha256()
                while block := file.read(1 << 20):
                    digest.update(block)
                hashes.append(f"sha256:{digest.hexdigest()}")
        return ",".join((*self.languages, *sorted(set(hashes))))
