"""How long do `belle-edge calibrate` and `convert --optimize` take at the shape of a 7B model, in how much memory?

Writes checkpoints of the true shape with random weights (f16) and few layers, calibrates them in a process each, and
prints seconds and the peak of anonymous memory (RssAnon of Linux). Two numbers of layers and two of tokens give what a
layer takes, and a token in it; from these the time of the whole model is computed. --optimize TYPE converts both with
their moments, receipt included.

    python benchmarks/calibrate_real_size.py --shape llama --tokens 1024 2048 --whole-tokens 8192
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from synthetic_checkpoints import sentencepiece_model, write_byte_level_tokenizer

LAYERS = {"llama": 32, "bloom": 30}
ROWS = {"llama": 32000, "bloom": 250880}
WIDTH, N_HEADS = 4096, 32
MEASURED = """
import json, sys, time
from anonymous_memory import AnonymousPeak
from belle_edge.convert.moments.calibrate import calibrate

start = time.monotonic()
with AnonymousPeak() as memory:
    report = calibrate(sys.argv[1], sys.argv[2], tokens=int(sys.argv[3]), force=True)
print(json.dumps({"seconds": time.monotonic() - start, "peak": memory.peak, "predicted": report.memory_bytes,
                  "tokens": report.n_tokens, "out": report.output_bytes}))
"""
CONVERTED = """
import json, sys, time
from anonymous_memory import AnonymousPeak
from belle_edge.convert import convert

start = time.monotonic()
with AnonymousPeak() as memory:
    convert(sys.argv[1], sys.argv[2], type=sys.argv[3], optimize="fast", calibration=sys.argv[4], force=True)
print(json.dumps({"seconds": time.monotonic() - start, "peak": memory.peak}))
"""


def layer_shapes(shape: str) -> dict[str, tuple[int, ...]]:
    """Tensors of a layer, in Hugging Face's names."""
    if shape == "bloom":
        matrices = {
            "self_attention.query_key_value": (3 * WIDTH, WIDTH),
            "self_attention.dense": (WIDTH, WIDTH),
            "mlp.dense_h_to_4h": (4 * WIDTH, WIDTH),
            "mlp.dense_4h_to_h": (WIDTH, 4 * WIDTH),
            "input_layernorm": (WIDTH,),
            "post_attention_layernorm": (WIDTH,),
        }
        sizes = {f"{name}.weight": size for name, size in matrices.items()}
        return sizes | {f"{name}.bias": size[:1] for name, size in matrices.items()}
    attention = {f"self_attn.{part}_proj.weight": (WIDTH, WIDTH) for part in "qkvo"}
    wide = {f"mlp.{part}_proj.weight": (11008, WIDTH) for part in ("gate", "up")}
    norms = {f"{name}.weight": (WIDTH,) for name in ("input_layernorm", "post_attention_layernorm")}
    return {**attention, **wide, "mlp.down_proj.weight": (WIDTH, 11008), **norms}


def write_checkpoint(folder: Path, shape: str, n_layers: int) -> None:
    """A model of the true width with few layers."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    pool = (generator.standard_normal(1 << 24, dtype=np.float32) * np.float32(0.02)).astype(np.float16)
    prefix = "h" if shape == "bloom" else "layers"
    embedding = "word_embeddings" if shape == "bloom" else "embed_tokens"
    shapes: dict[str, tuple[int, ...]] = {f"{embedding}.weight": (ROWS[shape], WIDTH)}
    for layer in range(n_layers):
        shapes |= {f"{prefix}.{layer}.{name}": size for name, size in layer_shapes(shape).items()}
    if shape == "bloom":
        shapes |= {
            f"{norm}.{part}": (WIDTH,)
            for norm in ("word_embeddings_layernorm", "ln_f")
            for part in ("weight", "bias")
        }
        write_byte_level_tokenizer(folder, ROWS[shape])
        config: dict[str, Any] = {
            "architectures": ["BloomModel"],
            "hidden_size": WIDTH,
            "n_head": N_HEADS,
            "n_layer": n_layers,
        }
    else:
        shapes |= {"norm.weight": (WIDTH,), "lm_head.weight": (ROWS[shape], WIDTH)}
        (folder / "tokenizer.model").write_bytes(sentencepiece_model())
        config = {
            "architectures": ["LlamaModel"],
            "hidden_size": WIDTH,
            "num_attention_heads": N_HEADS,
            "num_hidden_layers": n_layers,
            "intermediate_size": 11008,
            "rms_norm_eps": 1e-6,
        }
    (folder / "config.json").write_text(json.dumps(config))
    tensors = {
        name: np.ones(size, np.float16)
        if "norm" in name and name.endswith("weight")
        else np.resize(pool, size)
        for name, size in shapes.items()
    }
    save_file(tensors, folder / "model.safetensors")


def measured(program: str, *arguments: object) -> dict[str, Any]:
    """What a program prints, run in a process of its own."""
    paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=sorted(LAYERS), default="llama")
    parser.add_argument("--tokens", type=int, nargs=2, default=[1024, 2048])
    parser.add_argument("--whole-tokens", type=int, default=8192)
    parser.add_argument("--optimize", metavar="TYPE", help="convert to this type with the moments, too")
    args = parser.parse_args()
    runs: dict[tuple[int, int], float] = {}
    conversions: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        for n_layers in (1, 2):
            folder = Path(name) / f"layers-{n_layers}"
            write_checkpoint(folder, args.shape, n_layers)
            for n_tokens in args.tokens if n_layers == 2 else args.tokens[:1]:
                moments = Path(name) / "moments.gguf"
                found = measured(MEASURED, folder, moments, n_tokens)
                runs[n_layers, found["tokens"]] = found["seconds"]
                print(
                    f"{args.shape}, {n_layers} of {LAYERS[args.shape]} layers, {found['tokens']} tokens:"
                    f" {found['seconds']:.1f} s, peak {found['peak'] / 1e6:.0f} MB"
                    f" (predicted {found['predicted'] / 1e6:.0f} MB), file {found['out'] / 1e6:.0f} MB",
                    flush=True,
                )
            if args.optimize is not None:
                converted = measured(CONVERTED, folder, Path(name) / "model.gguf", args.optimize, moments)
                conversions.append(converted["seconds"])
                print(
                    f"{args.shape}, {n_layers} of {LAYERS[args.shape]} layers, --type {args.optimize} --optimize:"
                    f" {converted['seconds']:.1f} s, peak {converted['peak'] / 1e6:.0f} MB",
                    flush=True,
                )
    few, many = args.tokens
    a_token = (runs[2, many] - runs[2, few]) / (2 * (many - few))
    a_layer = runs[2, few] - runs[1, few] - few * a_token
    before = runs[1, few] - a_layer - few * a_token
    whole = before + LAYERS[args.shape] * (a_layer + args.whole_tokens * a_token)
    print(
        f"a layer: {a_layer:.1f} s and {1000 * a_token:.2f} s for 1,000 tokens; all of it with {args.whole_tokens}"
        f" tokens: {whole / 60:.1f} min"
    )
    if conversions:
        one, two = conversions
        whole = one + (LAYERS[args.shape] - 1) * (two - one)
        print(f"a layer optimized: {two - one:.1f} s; all of it: {whole / 60:.1f} min")


if __name__ == "__main__":
    main()
