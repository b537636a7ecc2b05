"""Which BELLE is this? From the name of a repository or folder to prompt family, base model and licence.

A name is the only evidence: BLOOMZ-7B1 and LLaMA have exactly the shapes of the BELLE models made from them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from belle_edge.convert.sources.checkpoint import Checkpoint
from belle_edge.errors import ConversionError
from belle_edge.prompts import FAMILIES

_RESEARCH_ONLY = "BELLE weights: research use only, no commercial use"
_LLAMA_ROWS = 32000  # an embedding clearly larger than this is the extended Chinese vocabulary


@dataclass(frozen=True)
class License:
    """`id` as model hubs spell it, the full name, and where to read it."""

    id: str
    name: str = ""
    link: str = ""


@dataclass(frozen=True)
class BaseModel:
    name: str
    organization: str
    repo_url: str = ""


@dataclass(frozen=True)
class Identity:
    """What is known about a checkpoint besides its numbers. Nothing here depends on where the folder lies."""

    family: str | None  # a key of prompts.FAMILIES
    name: str | None  # display name
    repo_id: str | None
    license: License | None = None
    base_model: BaseModel | None = None
    warnings: tuple[str, ...] = ()


_BLOOM_LICENSE = License(
    "bigscience-bloom-rail-1.0",
    f"BigScience BLOOM RAIL 1.0; {_RESEARCH_ONLY}",
    "https://huggingface.co/spaces/bigscience/license",
)
_LLAMA_LICENSE = License(
    "other",
    f"LLaMA licence of Meta (research); {_RESEARCH_ONLY}",
    "https://github.com/facebookresearch/llama/blob/llama_v1/LICENSE",
)
_LLAMA2_LICENSE = License(
    "llama2", f"LLaMA 2 Community License; {_RESEARCH_ONLY}", "https://ai.meta.com/llama/license/"
)
_BLOOMZ = BaseModel("bloomz-7b1-mt", "bigscience", "https://huggingface.co/bigscience/bloomz-7b1-mt")


@dataclass(frozen=True)
class _Released:
    """A released model, recognised by its name (case aside)."""

    pattern: str
    architecture: str
    family: str
    license: License
    base_model: BaseModel


_RELEASED = (
    _Released(r"belle-7b-(0\.2m|0\.5m|0\.6m|1m|2m)", "bloom", "belle", _BLOOM_LICENSE, _BLOOMZ),
    _Released(
        r"belle-llama-ext-(7b|13b)(-[\w.]+)?",
        "llama",
        "belle-ext",
        _LLAMA_LICENSE,
        BaseModel("LLaMA", "Meta"),
    ),
    _Released(
        r"belle-llama-(7b|13b)-(0\.6m|2m)(-[\w.]+)?",
        "llama",
        "belle-llama",
        _LLAMA_LICENSE,
        BaseModel("LLaMA", "Meta"),
    ),
    _Released(
        r"belle-llama2-13b-chat(-0\.4m)?",
        "llama",
        "belle-v2",
        _LLAMA2_LICENSE,
        BaseModel("Llama-2-13b-hf", "Meta", "https://huggingface.co/meta-llama/Llama-2-13b-hf"),
    ),
)


def identify(
    checkpoint: Checkpoint, *, architecture: str, n_vocab_rows: int, family: str | None = None
) -> Identity:
    """Identify a checkpoint of GGUF `architecture`; `family` overrides the guess ("none" for no family).

    Looks at the hub id, config.json's `_name_or_path`, then the folder's name. Raises ConversionError for a
    family that does not exist.
    """
    if family is not None and family != "none" and family not in FAMILIES:
        raise ConversionError(
            f"[family] unknown family {family!r}: expected one of {', '.join(FAMILIES)}, none"
        )
    names = [checkpoint.repo_id, checkpoint.config.get("_name_or_path"), checkpoint.files.name]
    candidates = [
        name.replace("\\", "/").rstrip("/").split("/")[-1] for name in names if isinstance(name, str) and name
    ]
    released, name = _find_released(candidates, architecture)
    warnings: list[str] = []
    guess: str | None
    if released:
        guess = released.family
    else:
        guess, guess_warning = _guess_family(candidates, architecture, n_vocab_rows, checkpoint.config)
        if guess_warning and family is None:
            warnings.append(guess_warning)
    chosen = (None if family == "none" else family) if family is not None else guess
    card = read_model_card(checkpoint.files.read("README.md") or b"")
    return Identity(
        family=chosen,
        name=name or (checkpoint.repo_id.split("/")[-1] if checkpoint.repo_id else None),
        repo_id=checkpoint.repo_id,
        license=released.license if released else _card_license(card),
        base_model=released.base_model if released else _card_base_model(card),
        warnings=tuple(warnings),
    )


def _find_released(candidates: list[str], architecture: str) -> tuple[_Released | None, str | None]:
    """The released model that a name stands for, with the name as it was spelled there."""
    for candidate in candidates:
        for released in _RELEASED:
            if released.architecture == architecture and re.fullmatch(released.pattern, candidate.lower()):
                return released, candidate
    return None, None


def _guess_family(
    candidates: list[str], architecture: str, n_vocab_rows: int, config: Mapping[str, Any]
) -> tuple[str | None, str | None]:
    """(family, warning) for names that start with "belle" but are not released; else (None, None)."""
    named = [candidate.lower() for candidate in candidates if re.match(r"belle(?![a-z])", candidate.lower())]
    if not named:
        return None, None
    if architecture == "bloom":
        return "belle", None
    context = config.get("max_position_embeddings")
    if any("llama2" in name or "llama-2" in name for name in named) or (
        isinstance(context, int) and context >= 4096
    ):
        family = "belle-v2"
    elif any("ext" in name for name in named) or n_vocab_rows > _LLAMA_ROWS + 1000:
        family = "belle-ext"
    else:
        family = "belle-llama"
    return (
        family,
        f"prompt family {family} was guessed from the name; give --family if the model does not stop",
    )


def read_model_card(content: bytes) -> dict[str, str]:
    """The simple `key: value` lines of a model card's front matter; empty without one."""
    text = content.decode("utf-8", errors="replace")
    if not text.startswith("---"):
        return {}
    front_matter = text[3:].split("\n---", 1)[0]
    lines = (re.match(r"^(\w+):[ \t]*(\S.*?)[ \t]*$", line) for line in front_matter.splitlines())
    return {match[1]: match[2].strip("'\"") for match in lines if match}


def _card_license(card: Mapping[str, str]) -> License | None:
    if not card.get("license"):
        return None
    return License(card["license"], card.get("license_name", ""), card.get("license_link", ""))


def _card_base_model(card: Mapping[str, str]) -> BaseModel | None:
    match = re.fullmatch(r"([\w.-]+)/([\w.-]+)", card.get("base_model", ""))
    if not match:
        return None
    return BaseModel(match[2], match[1], f"https://huggingface.co/{match[1]}/{match[2]}")
