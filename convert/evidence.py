"""What a checkpoint's names, documents, numbers and tokenizer say about which BELLE it is; each piece with a weight."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from belle_edge.convert.releases import (
    EXT_ROWS,
    FAMILIES_OF,
    RELEASES,
    SHAPES,
    TOKENIZER_HASHES,
    Release,
    vocabulary_kind,
)
from belle_edge.convert.sources.checkpoint import Checkpoint
from belle_edge.convert.structure import Structure
from belle_edge.errors import ConversionError, bounded
from belle_edge.languages import msg
from belle_edge.text.prompts import FAMILIES

_ENCRYPTED = re.compile(r".+\.[0-9a-f]{64}\.enc")
_MAX_FOUND_CHARS = 200  # of what a file says, as it is shown
_CARD_BYTES = 1 << 16  # of a model card that are looked at


@dataclass(frozen=True)
class Evidence:
    """One finding. `weights`: family → how much it speaks for it; 5 and more decide where nothing is against it."""

    source: str
    found: str
    weights: Mapping[str, int] = field(default_factory=dict)
    names_belle: bool = False  # whether it says that this is a BELLE at all: shapes alone never do
    release: Release | None = None
    name: str | None = None  # of the release, as spelled there

    def __post_init__(self) -> None:
        object.__setattr__(self, "found", bounded(self.found, _MAX_FOUND_CHARS))

    @property
    def weight(self) -> int:
        return max(self.weights.values(), default=0)

    @property
    def is_vague_name(self) -> bool:
        """Whether it names BELLE without saying which one."""
        return self.names_belle and not self.weights

    def to_dict(self) -> dict[str, Any]:
        return {"source": self.source, "found": self.found, "weights": dict(self.weights)}


def collect(checkpoint: Checkpoint, structure: Structure) -> list[Evidence]:
    """All evidence, names first. Damaged documents say nothing here; reading the model reports them."""
    return [
        *_names(checkpoint),
        *_file_names(checkpoint),
        *_model_card(checkpoint),
        *_numbers(structure),
        *_tokenizer(checkpoint, structure),
        *_sampling(checkpoint),
    ]


def _names(checkpoint: Checkpoint) -> Iterator[Evidence]:
    adapter = _json(checkpoint, "adapter_config.json")
    official = (checkpoint.repo_id or "").lower().startswith("bellegroup/")
    candidates = (
        (msg("hub id"), checkpoint.repo_id, 8 if official else 6),
        (msg("config.json _name_or_path"), checkpoint.config.get("_name_or_path"), 6),
        (msg("folder name"), checkpoint.files.name, 6),
        (msg("adapter_config.json base model"), adapter.get("base_model_name_or_path"), 6),
    )
    for source, value, weight in candidates:
        if isinstance(value, str) and value:
            name = value.replace("\\", "/").rstrip("/").split("/")[-1]
            yield from _named(source, name, weight, official=official and source == "hub id")


def _named(source: str, name: str, weight: int, *, official: bool = False) -> Iterator[Evidence]:
    """What one name says: a release, or a relative of one by the words in it."""
    lower = name.lower()
    for release in RELEASES:
        if re.fullmatch(release.name_pattern, lower):
            yield Evidence(source, name, {release.family: weight}, True, release, name)
            return
    if official or re.match(r"belle(?![a-z])", lower):
        family = _family_by_words(lower)
        yield Evidence(source, name, {family: 3} if family else {}, names_belle=True)


def _family_by_words(name: str) -> str | None:
    words = re.split(r"[^a-z0-9.]+", name)
    if "llama2" in name or "llama-2" in name:
        return "belle-v2"
    if "ext" in words:
        return "belle-ext"
    return "belle-llama" if "llama" in name else "belle" if "bloom" in name else None


def _file_names(checkpoint: Checkpoint) -> Iterator[Evidence]:
    """Weight files that carry their model's name, and BELLE's encrypted form."""
    names = [source.name for source in checkpoint.weight_files] or checkpoint.files.names()
    for release in RELEASES:
        for name in names:
            if release.file_pattern and re.fullmatch(release.file_pattern, name.lower()):
                yield Evidence("file name", name, {release.family: 6}, True, release)
                break
    encrypted = sum(_ENCRYPTED.fullmatch(name) is not None for name in checkpoint.files.names())
    if encrypted:
        found = (
            f"{encrypted} files in BELLE's encrypted form"
            if encrypted > 1
            else "1 file in BELLE's encrypted form"
        )
        yield Evidence("file name", found, {"belle-llama": 2, "belle-ext": 2}, names_belle=True)


def _model_card(checkpoint: Checkpoint) -> Iterator[Evidence]:
    content = (checkpoint.files.read("README.md") or b"")[:_CARD_BYTES]
    card, text = read_model_card(content), content.decode("utf-8", errors="replace")
    base = card.get("base_model", "").split("/")[-1]
    yield from _named("model card base_model", base, 5)
    if "llama-2-" in base.lower():
        yield Evidence("model card base_model", base, {"belle-v2": 2})
    heading = re.search(r"^#[ \t]+(?:Model Card for )?([\w./-]+)[ \t]*$", text, re.MULTILINE)
    if heading:
        yield from _named("model card title", heading[1].split("/")[-1], 5)
    mentioned = {
        release.family: match[0]
        for release in RELEASES
        if (match := re.search(rf"(?<![\w-]){release.name_pattern}", text, re.IGNORECASE))
    }
    if len(mentioned) == 1:  # a card that compares several says nothing about its own
        ((family, found),) = mentioned.items()
        yield Evidence("model card text", found, {family: 2})


def _numbers(structure: Structure) -> Iterator[Evidence]:
    kind, rows = vocabulary_kind(structure.n_vocab_rows), structure.n_vocab_rows
    if structure.architecture:
        yield Evidence(
            "architecture", structure.architecture, dict.fromkeys(FAMILIES_OF[structure.architecture], 1)
        )
    if structure.conflict:
        yield Evidence("architecture", structure.conflict)
    if rows == EXT_ROWS:
        yield Evidence("vocabulary", f"{rows:,} rows: BELLE-LLaMA-EXT's", {"belle-ext": 5}, names_belle=True)
    elif kind == "bloom":
        yield Evidence("vocabulary", f"{rows:,} rows: BLOOM's", {"belle": 3})
    elif kind == "llama":
        yield Evidence("vocabulary", f"{rows:,} rows: LLaMA's", {"belle-llama": 2, "belle-v2": 2})
    elif kind == "extended" and structure.architecture == "llama":
        yield Evidence("vocabulary", f"{rows:,} rows: LLaMA's, extended", {"belle-ext": 3})
    if structure.hidden and structure.n_layers:
        families = SHAPES.get((structure.hidden, structure.n_layers), ())
        if families:
            found = f"hidden size {structure.hidden}, {structure.n_layers} layers"
            yield Evidence("shape", found, dict.fromkeys(families, 1))
    if structure.architecture == "llama" and (structure.context or 0) >= 4096:
        yield Evidence("context", f"{structure.context} positions: LLaMA 2 and later", {"belle-v2": 2})


def _tokenizer(checkpoint: Checkpoint, structure: Structure) -> Iterator[Evidence]:
    model = checkpoint.files.read("tokenizer.model")
    known = TOKENIZER_HASHES.get(hashlib.sha256(model).hexdigest()) if model else None
    if known:
        yield Evidence("tokenizer.model", f"SHA-256 of {known[0]}", dict.fromkeys(known[1], 1))
    template = _json(checkpoint, "tokenizer_config.json").get("chat_template")
    if not isinstance(template, str) or "Human:" not in template:
        return
    if "Belle:" in template:
        yield Evidence("chat template", "Human: / Belle:", {"belle-ext": 5}, names_belle=True)
    elif re.search(r"Human: ?(\\n|\n)", template) and re.search(r"Assistant: ?(\\n|\n)", template):
        yield Evidence("chat template", r"Human: \n / Assistant: \n", {"belle-v2": 5}, names_belle=True)
    elif "Assistant:" in template:  # other models ask so, too
        family = "belle" if structure.architecture == "bloom" else "belle-llama"
        yield Evidence("chat template", "Human: / Assistant:", {family: 2})


def _sampling(checkpoint: Checkpoint) -> Iterator[Evidence]:
    """A generation_config.json with a published preset."""
    config = _json(checkpoint, "generation_config.json")
    given = {
        key: config[key] for key in ("temperature", "top_k", "top_p", "repetition_penalty") if key in config
    }
    if len(given) < 3:
        return
    families = [
        name for name, family in FAMILIES.items() if all(family.preset[k] == v for k, v in given.items())
    ]
    if families:
        found = ", ".join(f"{key} {value}" for key, value in given.items())
        yield Evidence("generation_config.json", found, dict.fromkeys(families, 1))


def read_model_card(content: bytes) -> dict[str, str]:
    """The simple `key: value` lines of a model card's front matter; empty without one."""
    text = content.decode("utf-8", errors="replace")
    if not text.startswith("---"):
        return {}
    front_matter = text[3:].split("\n---", 1)[0]
    lines = (re.match(r"^(\w+):[ \t]*(\S.*?)[ \t]*$", line) for line in front_matter.splitlines())
    return {match[1]: match[2].strip("'\"") for match in lines if match}


def _json(checkpoint: Checkpoint, name: str) -> dict[str, Any]:
    try:
        return checkpoint.json(name) or {}
    except (ConversionError, RecursionError):
        return {}
