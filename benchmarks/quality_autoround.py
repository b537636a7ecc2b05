"""AutoRound's GGUF export of a model, calibrated on given instructions: a file for benchmarks/quality.py --files.

    python benchmarks/quality_autoround.py MODEL --type q4_0 --data zh.jsonl en.jsonl --out autoround-q4_0.gguf

MODEL is a checkpoint folder, or a GGUF file, whose dequantized weights are taken. It needs an environment of its own:
`pip install auto-round gguf`, with PyTorch. It does not import this project. AutoRound has no iq4_xs.

Its export knows a tokenizer's pre-tokenizer by a hash, and refuses one that it does not know; --pre-tokenizer names it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any


def checkpoint_of(model: Path, folder: Path) -> Path:
    """A checkpoint folder in float32: the model's own, or one of a GGUF file's dequantized weights."""
    if model.is_dir():
        return model
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source: dict[str, str] = {"gguf_file": model.name}
    target = folder / model.stem
    read: Any = AutoModelForCausalLM.from_pretrained(model.parent, dtype=torch.float32, **source)
    del read.config.quantization_config  # what came from a GGUF counts as quantized, and is not saved
    plain: Any = AutoModelForCausalLM.from_config(read.config, dtype=torch.float32)
    plain.load_state_dict(read.state_dict())
    plain.save_pretrained(target)
    AutoTokenizer.from_pretrained(model.parent, **source).save_pretrained(target)
    return target


def read_items(paths: Sequence[Path]) -> Iterator[dict[str, str]]:
    for path in paths:
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.strip():
                yield json.loads(line)


def text_of(item: dict[str, str], tokenizer: Any) -> str:
    """An instruction with its answer in the tokenizer's chat template, or in BELLE's format where it has none."""
    question = "\n".join(filter(None, (item["instruction"], item.get("input", ""))))
    if tokenizer.chat_template:
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": item["output"]}]
        return str(tokenizer.apply_chat_template(turns, tokenize=False))
    return f"Human: {question}\n\nAssistant:{item['output']}{tokenizer.eos_token}"


def batches(items: Iterator[dict[str, str]], tokenizer: Any, *, length: int, size: int) -> list[Any]:
    """All texts one behind the other, cut into rows of `length` tokens: tensors [size, length]."""
    import torch

    ids: list[int] = []
    for item in items:
        ids += tokenizer.encode(text_of(item, tokenizer), add_special_tokens=False)
    n_rows = len(ids) // length
    rows = torch.tensor(ids[: n_rows * length], dtype=torch.int64).reshape(n_rows, length)
    return [rows[first : first + size] for first in range(0, n_rows - size + 1, size)]


def name_pre_tokenizer(name: str) -> None:
    """Let AutoRound's exporter, which it imports late and under a name of its own, take `name` for any tokenizer."""
    from auto_round.export.export_to_gguf import llama_cpp_conversion as loader

    load = loader._import_conversion_from

    def load_and_name(*arguments: Any) -> Any:
        context = load(*arguments)
        sys.modules["conversion.base"].TextModel.get_vocab_base_pre = lambda self, tokenizer: name
        return context

    loader._import_conversion_from = load_and_name


def export(args: argparse.Namespace, folder: Path) -> Path:
    """Quantize, and return the file that AutoRound wrote below `folder`."""
    from auto_round import AutoRound
    from transformers import AutoTokenizer

    checkpoint = checkpoint_of(args.model, folder)
    tokenizer: Any = AutoTokenizer.from_pretrained(checkpoint)
    texts = batches(read_items(args.data), tokenizer, length=args.length, size=args.batch)
    compressor = AutoRound(
        str(checkpoint),
        scheme=f"gguf:{args.type}",
        iters=args.iters,
        dataset=texts,
        seqlen=args.length,
        nsamples=len(texts) * args.batch,
        batch_size=args.batch,
        device_map="cpu",
        enable_torch_compile=False,
        model_dtype="float32",  # rounded to bfloat16 otherwise, its norms as well
        amp=False,
        enable_alg_ext=args.extension,
    )
    compressor.quantize_and_save(output_dir=str(folder / "out"), format=f"gguf:{args.type}")
    (made,) = (folder / "out").rglob("*.gguf")
    return made


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--type", default="q4_0", help="as AutoRound names it: q4_0, q4_k_m, …")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="JSON lines: instruction, output")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--iters", type=int, default=200, help="steps for each block")
    parser.add_argument(
        "--extension", action="store_true", help="its enable_alg_ext, meant for GGUF with --iters"
    )
    parser.add_argument("--length", type=int, default=256, help="tokens of a row")
    parser.add_argument("--batch", type=int, default=8, help="rows of a step")
    parser.add_argument("--pre-tokenizer", help="GGUF's name for it, such as bloom")
    args = parser.parse_args()
    if args.pre_tokenizer:
        name_pre_tokenizer(args.pre_tokenizer)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        shutil.move(export(args, Path(folder)), args.out)
    print(f"{args.out}: {args.out.stat().st_size} bytes, {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
