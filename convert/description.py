"""What `belle-edge identify` tells about a source: which BELLE it is, and what a conversion would write for that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from belle_edge.convert.identity import Identity, identify
from belle_edge.convert.releases import SPECIAL_IDS
from belle_edge.convert.sources.checkpoint import Checkpoint
from belle_edge.convert.sources.metadata_only import open_metadata
from belle_edge.convert.sources.opening_options import SourceOptions
from belle_edge.convert.structure import Structure, read_structure
from belle_edge.convert.tokenizer_tables import read_tokenizer
from belle_edge.errors import ConversionError
from belle_edge.text.prompts import FAMILIES, PromptFamily, render

_EXAMPLE = "{x}"  # stands for the question
_MOST_ROWS = 1 << 19  # more than any vocabulary, where the number of rows is not known, or stated only


@dataclass(frozen=True)
class SourceDescription:
    """A source, who it is, and what decides how it is asked."""

    source: str
    identity: Identity
    structure: Structure
    special_ids: Mapping[str, int | None]  # of its tokenizer; without one as published
    special_ids_from: str  # "tokenizer", "as published" or "unknown"

    @property
    def prompt_family(self) -> PromptFamily | None:
        return FAMILIES[self.identity.family] if self.identity.family else None

    @property
    def prompt(self) -> str | None:
        """A first question as the model is asked it, {x} being the question."""
        family = self.prompt_family
        return render(family.chat_template, [{"role": "user", "content": _EXAMPLE}]) if family else None

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary of all of it."""
        identity, family = self.identity, self.prompt_family
        return {
            "source": self.source,
            "family": identity.family,
            "confidence": identity.confidence,
            "name": identity.name,
            "repository": identity.repo_id,
            "license": asdict(identity.license) if identity.license else None,
            "base_model": asdict(identity.base_model) if identity.base_model else None,
            "prompt": self.prompt,
            "chat_template": family.chat_template if family else None,
            "stop_strings": list(family.stop_strings) if family else [],
            "preset": dict(family.preset) if family else {},
            "add_bos": family.add_bos if family else None,
            "special_ids": dict(self.special_ids),
            "special_ids_from": self.special_ids_from,
            "structure": asdict(self.structure),
            "evidence": [piece.to_dict() for piece in identity.evidence],
            "conflicts": list(identity.conflicts),
            "warnings": list(identity.warnings),
            "families": [*FAMILIES, "none"],
        }


def describe_source(
    src: str | Path, *, family: str | None = None, revision: str | None = None
) -> SourceDescription:
    """Identify a folder, a single file or a hub id; weights are not needed, and never downloaded.

    family, revision: as for `convert`. Raises ConversionError, HubError and OSError.
    """
    checkpoint = open_metadata(src, SourceOptions(revision=revision))
    structure = read_structure(checkpoint)
    identity = identify(checkpoint, family=family)
    special_ids, origin = _special_ids(checkpoint, structure, identity)
    return SourceDescription(str(src), identity, structure, special_ids, origin)


def _special_ids(
    checkpoint: Checkpoint, structure: Structure, identity: Identity
) -> tuple[Mapping[str, int | None], str]:
    try:
        tables = read_tokenizer(
            checkpoint, n_vocab_rows=min(structure.n_vocab_rows or _MOST_ROWS, _MOST_ROWS)
        )
    except ConversionError:
        architecture = structure.architecture or ("bloom" if identity.family == "belle" else "llama")
        if structure.architecture is None and identity.family is None:
            return {}, "unknown"
        return dict(SPECIAL_IDS[architecture]), "as published"
    ids = {"bos": tables.bos_id, "eos": tables.eos_id, "unk": tables.unk_id, "pad": tables.pad_id}
    return ids, "tokenizer"
