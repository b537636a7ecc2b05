"""The released BELLE models as data: names, shapes, prompt family, licence, what they were made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


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
class Release:
    """A released model or several that differ in training data only."""

    name_pattern: str  # of repositories and folders, case aside
    file_pattern: str | None  # of weight files that say by their name which model they are
    architecture: str  # GGUF's name of it
    family: str  # a key of prompts.FAMILIES
    license: License
    base_model: BaseModel


_RESEARCH_ONLY = "BELLE weights: research use only, no commercial use"
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
_LLAMA2 = BaseModel("Llama-2-13b-hf", "Meta", "https://huggingface.co/meta-llama/Llama-2-13b-hf")
_LLAMA = BaseModel("LLaMA", "Meta")

RELEASES = (
    Release(
        r"belle-7b-(0\.2m|0\.5m|0\.6m|1m|2m|gptq)",
        r"bloom-?7b-(0\.2m|0\.6m|1m|2m)-[48]bit-\d+g\.pt",
        "bloom",
        "belle",
        _BLOOM_LICENSE,
        _BLOOMZ,
    ),
    Release(
        r"belle-llama-ext-(7b|13b)(-[\w.]+)*",
        None,
        "llama",
        "belle-ext",
        _LLAMA_LICENSE,
        _LLAMA,
    ),
    Release(
        r"belle-llama-(7b|13b)-(0\.6m|2m)(-[\w.]+)*",
        r"llama-?(7b|13b)-(0\.6m|2m)-[48]bit-\d+g\.pt(\.[0-9a-f]{64}\.enc)?",
        "llama",
        "belle-llama",
        _LLAMA_LICENSE,
        _LLAMA,
    ),
    Release(r"chatbelle(-int4)?", r"belle-model\.bin", "llama", "belle-llama", _LLAMA_LICENSE, _LLAMA),
    Release(r"belle-llama2-13b-chat(-0\.4m)?", None, "llama", "belle-v2", _LLAMA2_LICENSE, _LLAMA2),
)

FAMILIES_OF: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"bloom": ("belle",), "llama": ("belle-llama", "belle-ext", "belle-v2")}
)

# (hidden size, layers) of the released models → families that have this shape.
SHAPES: Mapping[tuple[int, int], tuple[str, ...]] = MappingProxyType(
    {
        (4096, 30): ("belle",),
        (4096, 32): ("belle-llama", "belle-ext"),
        (5120, 40): ("belle-llama", "belle-ext", "belle-v2"),
    }
)
EXT_ROWS = 79_458  # embedding rows of BELLE-LLaMA-EXT, by its model card

# SHA-256 of tokenizer.model → (what it is, families that use it). LLaMA 2 kept LLaMA's.
TOKENIZER_HASHES: Mapping[str, tuple[str, tuple[str, ...]]] = MappingProxyType(
    {
        "9e556afd44213b6bd1be2b850ebbbd98f5481437a8021afaf58ee7fb1818d347": (
            "LLaMA's vocabulary of 32,000",
            ("belle-llama", "belle-v2"),
        ),
        "e2676d4ca29ca1750f6ff203328d73b189321dc5776ceede037cbd36541d70c0": (
            "LLaMA's vocabulary with Chinese added, 49,953",
            ("belle-ext",),
        ),
    }
)

# As published; a checkpoint's own tokenizer comes first.
SPECIAL_IDS: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        "bloom": MappingProxyType({"bos": 1, "eos": 2, "unk": 0, "pad": 3}),
        "llama": MappingProxyType({"bos": 1, "eos": 2, "unk": 0, "pad": 0}),
    }
)


def vocabulary_kind(n_rows: int | None) -> str | None:
    """Whose vocabulary an embedding of so many rows has: "bloom", "llama", "extended", or None for others."""
    if n_rows is None or n_rows < 32_000:
        return None
    if n_rows < 33_000:
        return "llama"  # a few tokens may have been added
    return "bloom" if 250_680 <= n_rows <= 251_000 else "extended" if n_rows <= 100_000 else None
