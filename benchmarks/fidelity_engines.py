"""What computes logits in benchmarks/fidelity.py: our engine, llama.cpp and transformers, and the reference."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import belle_edge._core as _core

Ids = NDArray[np.int32]
Logits = Callable[[Ids], NDArray[np.float32]]
Encode = Callable[[str], list[int]]


def native_logits(
    gguf: Path, *, isa: str = "", activations: str = "auto", phase: str = "prefill", kv_type: str = "auto"
) -> Logits:
    """Our engine. phase: "prefill" computes a text as a prompt, "decode" as if the model had chosen each token."""
    model = _core.Model(str(gguf), isa=isa, activations=activations, kv_type=kv_type)
    decode = phase == "decode"
    return lambda ids: model.forward([(model.new_sequence(), ids)], logits="all", decode=decode)[0]


def llama_cpp_logits(gguf: Path, *, phase: str = "prefill", n_context: int = 2048) -> Logits:
    """llama.cpp. phase "decode": each token in a call of its own."""
    import llama_cpp

    model = llama_cpp.Llama(
        str(gguf), n_ctx=n_context, n_batch=n_context, n_ubatch=n_context, logits_all=True, verbose=False
    )
    step = 1 if phase == "decode" else n_context

    def logits(ids: Ids) -> NDArray[np.float32]:
        model.reset()
        for first in range(0, len(ids), step):
            model.eval([int(i) for i in ids[first : first + step]])
        return np.array(model.scores[: len(ids)], dtype=np.float32)

    return logits


def transformers_logits(original: Path) -> Logits:
    """transformers in float32, on a checkpoint folder or the dequantized weights of a GGUF file."""
    import torch
    from transformers import AutoModelForCausalLM

    folder, name = _transformers_source(original)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **name).eval()

    def logits(ids: Ids) -> NDArray[np.float32]:
        with torch.no_grad():
            rows = model(torch.from_numpy(ids[None].astype(np.int64))).logits[0].numpy()
        return np.asarray(rows, dtype=np.float32)

    return logits


def transformers_encoder(original: Path) -> tuple[Encode, int]:
    """The original's tokenizer, without special tokens, and the id that ends a text."""
    from transformers import AutoTokenizer

    folder, name = _transformers_source(original)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, **name)
    return lambda text: tokenizer.encode(text, add_special_tokens=False), int(tokenizer.eos_token_id)


def _transformers_source(original: Path) -> tuple[Path, dict[str, str]]:
    return (original, {}) if original.is_dir() else (original.parent, {"gguf_file": original.name})


class Reference:
    """The original's logits of every text, computed once and kept in a file of `folder`."""

    def __init__(self, folder: Path, name: str, texts: Sequence[Ids], compute: Callable[[], Logits]) -> None:
        digest = hashlib.sha256(b"".join(ids.tobytes() + b"|" for ids in texts)).hexdigest()[:16]
        path = folder / f"reference-{name}-{digest}.npy"
        if not path.exists():
            logits = compute()
            unfinished = path.with_suffix(".unfinished")
            with unfinished.open("wb") as file:
                np.save(file, np.concatenate([logits(ids) for ids in texts]))
            unfinished.rename(path)
        self._texts = texts
        self._rows = np.load(path, mmap_mode="r")  # [tokens of all texts, n_vocab]

    def __iter__(self) -> Iterator[tuple[Ids, NDArray[np.float32]]]:
        """(ids, logits [n_tokens, n_vocab]) of each text."""
        first = 0
        for ids in self._texts:
            yield ids, np.asarray(self._rows[first : first + len(ids)])
            first += len(ids)
