"""The models that everybody has, behind both interfaces: transformers' own, and belle_edge.hf's on an f32 file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

KINDS = ("bloom", "llama")


@dataclass(frozen=True)
class Pair:
    """The same model twice, each with its tokenizer."""

    kind: str
    folder: Path
    gguf: Path
    tokenizer: Any
    model: Any
    hf_tokenizer: Any
    hf_model: Any


@pytest.fixture(scope="session")
def pairs(checkpoint: Callable[[str], Path], converted: Callable[[str, str], Path]) -> Callable[[str], Pair]:
    """kind -> its Pair, loaded when it is first asked for."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)  # the models are tiny, and threads that wait for each other slow
    transformers = pytest.importorskip("transformers", minversion="5")
    loaded: dict[str, Pair] = {}

    def get(kind: str) -> Pair:
        if kind not in loaded:
            from belle_edge.hf import AutoModelForCausalLM, AutoTokenizer

            folder, gguf = checkpoint(kind), converted(kind, "f32")
            hf_model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype="float32").eval()
            hf_model.generation_config.max_new_tokens = None  # of the folder; a GGUF does not carry it
            loaded[kind] = Pair(
                kind=kind,
                folder=folder,
                gguf=gguf,
                tokenizer=AutoTokenizer.from_pretrained(gguf),
                model=AutoModelForCausalLM.from_pretrained(gguf),
                hf_tokenizer=transformers.AutoTokenizer.from_pretrained(folder),
                hf_model=hf_model,
            )
        return loaded[kind]

    return get


@pytest.fixture(params=KINDS)
def pair(request: pytest.FixtureRequest, pairs: Callable[[str], Pair]) -> Pair:
    return pairs(request.param)


@pytest.fixture
def bloom(pairs: Callable[[str], Pair]) -> Pair:
    return pairs("bloom")


@pytest.fixture
def llama(pairs: Callable[[str], Pair]) -> Pair:
    return pairs("llama")
