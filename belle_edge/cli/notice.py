"""What a user should know before the first answer: a model's licence and its limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..languages import msg, said, t

if TYPE_CHECKING:
    from ..text.vocabulary import Metadata

_LIMITS = msg(
    "It makes factual errors, reasons and codes weakly, and can write harmful text: check what it says."
)
_RESEARCH_ONLY = msg("BELLE's data and models are for research only, not for commercial use")
_FAMILY_TERMS = {  # where a file states no licence of its own
    "belle": msg("BLOOM's RAIL terms"),
    "belle-llama": msg("Meta's LLaMA terms"),
    "belle-ext": msg("Meta's LLaMA terms"),
    "belle-v2": msg("the LLaMA 2 licence"),
}


def licence_text(metadata: Metadata) -> str:
    """The licence as the file states it, else the terms of its BELLE family, in one line."""
    name, link = metadata.get("general.license.name"), metadata.get("general.license.link")
    stated = name or metadata.get("general.license")
    if isinstance(stated, str) and stated:
        return f"{stated} ({link})" if isinstance(link, str) and link else stated
    family = metadata.get("belle.family")
    terms = _FAMILY_TERMS.get(family) if isinstance(family, str) else None
    if terms is None:
        return msg("not stated in the file")
    return msg(f"not stated in the file; models of family {family}: {terms}; {_RESEARCH_ONLY}")


def start_notice(metadata: Metadata) -> list[str]:
    """The lines that a chat starts with."""
    return [t("licence: {terms}", terms=said(licence_text(metadata))), t(_LIMITS)]
