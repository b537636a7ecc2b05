"""Which BELLE is this? The evidence is weighed; the result is a prompt family, a licence, and how sure that is.

Shapes alone cannot say it: BLOOMZ-7B1 and LLaMA have exactly those of the BELLE models made from them. So something has
to name BELLE. But a name is not believed against the weights: a family that they rule out is never chosen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from belle_edge.convert.evidence import Evidence, collect, read_model_card
from belle_edge.convert.releases import FAMILIES_OF, BaseModel, License, vocabulary_kind
from belle_edge.convert.sources.checkpoint import Checkpoint
from belle_edge.convert.structure import Structure, read_structure
from belle_edge.errors import ConversionError
from belle_edge.languages import msg
from belle_edge.text.prompts import FAMILIES

_DECISIVE = 5  # the weight of a piece of evidence that decides by itself
_CERTAIN = 8  # the weight of all evidence from which on a released name counts as certain
_AGAINST = 3  # the weight from which on evidence for another family is a conflict
_TWO_TEMPLATES = (
    "belle-ext is documented with two templates: answers begin with 'Belle: ' (used here) or 'Assistant: ';"
    " if the model does not stop, try --family belle-llama"
)

# In the family. given: the user said so; none: not a known BELLE.
CONFIDENCES = (msg("certain"), msg("likely"), msg("guess"), msg("given"), msg("none"))


@dataclass(frozen=True)
class Identity:
    """What is known about a checkpoint besides its numbers. Nothing here depends on where the folder lies."""

    family: str | None  # a key of prompts.FAMILIES
    name: str | None  # display name
    repo_id: str | None
    license: License | None = None
    base_model: BaseModel | None = None
    confidence: str = "none"  # one of CONFIDENCES
    evidence: tuple[Evidence, ...] = ()
    conflicts: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def supported_by(self) -> list[str]:
        """Where the evidence for the family is: sources without what was found there, which may be private."""
        if self.confidence == "given":
            return ["--family"]
        supporting = (piece for piece in self.evidence if self.family in piece.weights or piece.is_vague_name)
        return list(dict.fromkeys(piece.source for piece in supporting))


def identify(
    checkpoint: Checkpoint,
    *,
    architecture: str | None = None,
    n_vocab_rows: int | None = None,
    family: str | None = None,
) -> Identity:
    """Identify a checkpoint; its weights may be missing.

    architecture, n_vocab_rows: where they are known already, in place of what weights and config.json say.
    family: overrides the result ("none" for no family). Raises ConversionError for a family that does not exist.
    """
    if family is not None and family != "none" and family not in FAMILIES:
        raise ConversionError(
            f"[family] unknown family {family!r}: expected one of {', '.join(FAMILIES)}, none"
        )
    structure = read_structure(checkpoint)
    structure = replace(
        structure,
        architecture=architecture if architecture in FAMILIES_OF else structure.architecture,
        n_vocab_rows=n_vocab_rows or structure.n_vocab_rows,
    )
    evidence = collect(checkpoint, structure)
    excluded = _excluded(structure)
    found = _best_family(evidence, excluded)
    conflicts = _conflicts(evidence, found, excluded, structure)
    identity = _with_provenance(checkpoint, evidence, found)
    if family is not None:
        given = None if family == "none" else family
        return replace(
            identity, family=given, confidence="given", evidence=tuple(evidence), conflicts=conflicts
        )
    confidence = _confidence(evidence, found, excluded, conflicts)
    return replace(
        identity,
        family=found,
        confidence=confidence,
        evidence=tuple(evidence),
        conflicts=conflicts,
        warnings=tuple(_warnings(found, confidence, conflicts)),
    )


def _excluded(structure: Structure) -> dict[str, str]:
    """Families that the numbers rule out, with the reason."""
    excluded: dict[str, str] = {}
    if structure.architecture:
        allowed = FAMILIES_OF[structure.architecture]
        reason = f"the architecture is {structure.architecture}"
        excluded = {family: reason for family in FAMILIES if family not in allowed}
    kind, rows = vocabulary_kind(structure.n_vocab_rows), structure.n_vocab_rows
    if kind == "llama" and structure.architecture == "llama":
        excluded["belle-ext"] = f"the vocabulary has {rows:,} rows, it is not extended"
    if kind == "extended" and structure.architecture == "llama":
        excluded["belle-llama"] = f"the vocabulary has {rows:,} rows, it is extended"
    return excluded


def _totals(evidence: Sequence[Evidence]) -> dict[str, int]:
    return {family: sum(e.weights.get(family, 0) for e in evidence) for family in FAMILIES}


def _best_family(evidence: Sequence[Evidence], excluded: Mapping[str, str]) -> str | None:
    """The family with the most weight that nothing rules out, if anything names BELLE; of equals the first."""
    if not any(piece.names_belle for piece in evidence):
        return None
    totals = {family: total for family, total in _totals(evidence).items() if family not in excluded}
    best = max(totals, key=lambda family: totals[family], default=None)
    return best if best is not None and totals[best] > 0 else None


def _conflicts(
    evidence: Sequence[Evidence], family: str | None, excluded: Mapping[str, str], structure: Structure
) -> tuple[str, ...]:
    """Evidence of some weight that speaks for other families only, with what is against it."""
    conflicts = [structure.conflict] if structure.conflict else []
    for piece in evidence:
        if family is None or family in piece.weights or piece.weight < _AGAINST:
            continue
        others = ", ".join(piece.weights)
        reason = next(
            (excluded[other] for other in piece.weights if other in excluded), "other evidence weighs more"
        )
        conflicts.append(f"{piece.source} {piece.found!r} speaks for {others}, but {reason}")
    return tuple(conflicts)


def _confidence(
    evidence: Sequence[Evidence],
    family: str | None,
    excluded: Mapping[str, str],
    conflicts: Sequence[str],
) -> str:
    if family is None:
        return "none"
    if conflicts:
        return "guess"
    supporting = [piece for piece in evidence if family in piece.weights]
    if any(piece.release for piece in supporting) and _totals(evidence)[family] >= _CERTAIN:
        return "certain"
    only_one = len(FAMILIES) - len(excluded) == 1
    return "likely" if only_one or any(p.weight >= _DECISIVE for p in supporting) else "guess"


def _with_provenance(checkpoint: Checkpoint, evidence: Sequence[Evidence], family: str | None) -> Identity:
    """Name, licence and base model: of the release that was recognised, else as the model card says."""
    released = [e for e in evidence if e.release is not None and family in e.weights]
    released.sort(key=lambda piece: -piece.weight)
    release = released[0].release if released else None
    name = next((piece.name for piece in released if piece.name), None)
    card = read_model_card(checkpoint.files.read("README.md") or b"")
    return Identity(
        family=family,
        name=name or (checkpoint.repo_id.split("/")[-1] if checkpoint.repo_id else None),
        repo_id=checkpoint.repo_id,
        license=release.license if release else _card_license(card),
        base_model=release.base_model if release else _card_base_model(card),
    )


def _warnings(family: str | None, confidence: str, conflicts: Sequence[str]) -> list[str]:
    if confidence == "guess":
        why = f" ({'; '.join(conflicts)})" if conflicts else ""
        return [f"prompt family {family} is a guess{why}; give --family if the model does not stop"]
    return [_TWO_TEMPLATES] if family == "belle-ext" else []


def _card_license(card: Mapping[str, str]) -> License | None:
    if not card.get("license"):
        return None
    return License(card["license"], card.get("license_name", ""), card.get("license_link", ""))


def _card_base_model(card: Mapping[str, str]) -> BaseModel | None:
    match = re.fullmatch(r"([\w.-]+)/([\w.-]+)", card.get("base_model", ""))
    if not match:
        return None
    return BaseModel(match[2], match[1], f"https://huggingface.co/{match[1]}/{match[2]}")
