"""What a user asks to keep of a vocabulary."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from belle_edge.convert.sources.checkpoint_files import require_regular
from belle_edge.convert.trim.languages import language_codes
from belle_edge.errors import ConversionError
from belle_edge.regular_files import open_regular


@dataclass(frozen=True)
class TrimRequest:
    """Languages, texts, or both. The order in which they were named makes no difference."""

    languages: tuple[str, ...]  # sorted
    corpora: tuple[Path, ...]

    @classmethod
    def from_arguments(cls, vocab: Sequence[str], vocab_from: Sequence[str | Path]) -> TrimRequest | None:
        """None where nothing is asked for. ConversionError for an unknown language, or a file that is not there."""
        if not vocab and not vocab_from:
            return None
        if isinstance(vocab, str):
            vocab = vocab.split(",")
        if isinstance(vocab_from, (str, Path)):
            vocab_from = (vocab_from,)
        paths = tuple(Path(path).expanduser() for path in vocab_from)
        for path in paths:
            require_regular(path)
            if not path.is_file():
                raise ConversionError(
                    f"[{path}] no such file: expected a text or JSON file to take tokens from"
                )
        return cls(language_codes(vocab), paths)

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
