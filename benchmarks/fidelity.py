"""Fidelity of our engine and of llama.cpp on the same GGUF files, against transformers float32 on the checkpoint.

    python benchmarks/fidelity.py CHECKPOINT --texts val.json [--types f32 q8_0 q4_0] [--items 100] [--json]

The texts are JSON (a list, or lines) of {"instruction", "output"}; each becomes a prompt in BELLE's format with its
answer. Needs the `test` extra (torch, transformers, llama-cpp-python).
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import belle_edge._core as _core
from belle_edge.convert import convert
from belle_edge.evaluation.divergence import Divergence, DivergenceMeter

Logits = Callable[[NDArray[np.int32]], NDArray[np.float32]]


def read_items(path: Path) -> list[dict[str, str]]:
    text = path.read_text(encoding="utf-8")
    if text.lstrip().startswith("["):
        items: list[dict[str, str]] = json.loads(text)
        return items
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def transformers_logits(checkpoint: Path) -> tuple[Logits, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()

    def logits(ids: NDArray[np.int32]) -> NDArray[np.float32]:
        with torch.no_grad():
            rows = model(torch.from_numpy(ids[None].astype(np.int64))).logits[0].numpy()
        return np.asarray(rows, dtype=np.float32)

    return logits, AutoTokenizer.from_pretrained(checkpoint)


def native_logits(gguf: Path, isa: str, activations: str) -> Logits:
    model = _core.Model(str(gguf), isa=isa, activations=activations)
    return lambda ids: model.forward([(model.new_sequence(), ids)], logits="all")[0]


def llama_cpp_logits(gguf: Path) -> Logits:
    import llama_cpp

    model = llama_cpp.Llama(str(gguf), n_ctx=2048, n_batch=2048, logits_all=True, verbose=False)

    def logits(ids: NDArray[np.int32]) -> NDArray[np.float32]:
        model.reset()
        model.eval([int(i) for i in ids])
        return np.array(model.scores[: len(ids)], dtype=np.float32)

    return logits


def token_lists(tokenizer: Any, items: list[dict[str, str]], max_tokens: int) -> list[NDArray[np.int32]]:
    lists = []
    for item in items:
        text = f"Human: {item['instruction']}\n\nAssistant:{item['output']}"
        ids = [*tokenizer.encode(text, add_special_tokens=False), tokenizer.eos_token_id]
        lists.append(np.asarray(ids[:max_tokens], dtype=np.int32))
    return lists


def measure(
    checkpoint: Path,
    items: list[dict[str, str]],
    *,
    types: list[str],
    isas: list[str],
    activations: Sequence[str] = ("auto",),
    with_llama_cpp: bool = True,
    max_tokens: int = 256,
) -> dict[tuple[str, str], Divergence]:
    """Divergence by (type, engine); engines are "native/<isa>", "native/<isa>/<form>" and "llama.cpp".

    activations: what the engine may do with its input in prefill, by itself ("auto") or one form for every matrix.
    A tier that lacks a form is left out there.
    """
    reference, tokenizer = transformers_logits(checkpoint)
    texts = token_lists(tokenizer, items, max_tokens)
    forms = {tier["name"]: tier["activation_forms"] for tier in _core.isa_tiers()}
    results: dict[tuple[str, str], Divergence] = {}
    with tempfile.TemporaryDirectory() as folder:
        engines: dict[tuple[str, str], Logits] = {}
        for type_name in types:
            gguf = Path(folder) / f"{type_name}.gguf"
            convert(checkpoint, gguf, type=type_name)
            for isa, form in itertools.product(isas, activations):
                if form == "auto":
                    engines[type_name, f"native/{isa}"] = native_logits(gguf, isa, form)
                elif form in forms[isa]:
                    engines[type_name, f"native/{isa}/{form}"] = native_logits(gguf, isa, form)
            if with_llama_cpp:
                engines[type_name, "llama.cpp"] = llama_cpp_logits(gguf)
        meters = {key: DivergenceMeter() for key in engines}
        for ids in texts:
            expected = reference(ids)
            for key, logits in engines.items():
                meters[key].add(ids, expected, logits(ids))
        results = {key: meter.result() for key, meter in meters.items()}
    return results


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--types", nargs="+", default=["f32", "q8_0", "q4_0"])
    parser.add_argument("--isa", nargs="+", help="tiers (default: every one this machine supports)")
    parser.add_argument(
        "--activations", nargs="+", default=["auto"], help="auto, or forms: block32 slab256 bf16"
    )
    parser.add_argument("--items", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()

    isas = args.isa or [tier["name"] for tier in _core.isa_tiers() if tier["supported"]]
    items = read_items(args.texts)[: args.items]
    results = measure(args.checkpoint, items, types=args.types, isas=isas, activations=args.activations)
    if args.json:
        print(json.dumps([{"type": t, "engine": e, **vars(r)} for (t, e), r in results.items()]))
        return 0
    print(f"{args.checkpoint.name}: against transformers float32")
    print(
        f"{'type':6} {'engine':30} {'KL mean':>10} {'KL 99 %':>10} {'top-1':>8} {'perplexity':>11} {'vs llama.cpp':>13}"
    )
    for (type_name, engine), r in results.items():
        peer = results[type_name, "llama.cpp"].kl_mean
        print(
            f"{type_name:6} {engine:30} {r.kl_mean:10.3e} {r.kl_99:10.3e} {r.top1_agreement:8.2%} "
            f"{r.perplexity:11.4f} {r.kl_mean / peer:13.3f}"
        )
    print(f"transformers perplexity {r.reference_perplexity:.4f} over {r.n_tokens} tokens")
    return 0


if __name__ == "__main__":
    sys.exit(main())
