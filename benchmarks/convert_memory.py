"""How fast is a conversion, and how much memory of its own does it need?

Writes a synthetic BLOOM checkpoint (random weights, fp32, by default 2 GB of which 1 GB is the embedding),
converts it to every type given, and prints seconds, source MB/s and the peak of anonymous memory (RssAnon of
Linux, sampled every 2 ms), each the median of several runs.

    python benchmarks/convert_memory.py --gigabytes 2 --types q4_0 q8_0 f16 --runs 3
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
from synthetic_checkpoints import measured_conversion, write_byte_level_tokenizer


def write_checkpoint(folder: Path, gigabytes: float) -> None:
    """A one-block BLOOM whose embedding is half of the file, and a tokenizer for it."""
    hidden = 4096 if gigabytes >= 1 else 1024
    block_bytes = 12 * hidden * hidden * 4
    n_layers = max(1, int(gigabytes * 0.5e9 / block_bytes))
    rows = max(300, int(gigabytes * 0.5e9 / (hidden * 4)))
    shapes: dict[str, list[int]] = {"word_embeddings.weight": [rows, hidden]}
    for norm in ("word_embeddings_layernorm", "ln_f"):
        shapes |= {f"{norm}.weight": [hidden], f"{norm}.bias": [hidden]}
    for layer in range(n_layers):
        for name, n_out, n_in in (
            ("self_attention.query_key_value", 3 * hidden, hidden),
            ("self_attention.dense", hidden, hidden),
            ("mlp.dense_h_to_4h", 4 * hidden, hidden),
            ("mlp.dense_4h_to_h", hidden, 4 * hidden),
        ):
            shapes |= {f"h.{layer}.{name}.weight": [n_out, n_in], f"h.{layer}.{name}.bias": [n_out]}
        for norm in ("input_layernorm", "post_attention_layernorm"):
            shapes |= {f"h.{layer}.{norm}.weight": [hidden], f"h.{layer}.{norm}.bias": [hidden]}
    config = {
        "architectures": ["BloomModel"],
        "hidden_size": hidden,
        "n_head": hidden // 128,
        "n_layer": n_layers,
    }
    (folder / "config.json").write_text(json.dumps(config))
    write_byte_level_tokenizer(folder, rows)
    write_weights(folder / "model.safetensors", shapes)


def write_weights(path: Path, shapes: dict[str, list[int]]) -> None:
    header, offset = {}, 0
    for name, shape in shapes.items():
        n_bytes = 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + n_bytes]}
        offset += n_bytes
    text = json.dumps(header).encode()
    noise = np.random.default_rng(0).standard_normal(4 << 20, dtype=np.float32) * np.float32(0.02)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for remaining in range(offset, 0, -noise.nbytes):
            file.write(noise.data.cast("B")[: min(remaining, noise.nbytes)])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--gigabytes", type=float, default=2.0, help="size of the checkpoint (default 2)")
    parser.add_argument("--types", nargs="+", default=["q4_0", "q8_0", "f16"])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", help="where to write (default: the system's temporary folder)")
    args = parser.parse_args()
    from belle_edge import _core

    info = _core.cpu_info()
    print(f"{info['brand']}, {info['usable_threads']} threads, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory(dir=args.folder) as temporary:
        folder = Path(temporary)
        write_checkpoint(folder, args.gigabytes)
        for type in args.types:
            runs = []
            for _ in range(args.runs):
                runs.append(measured_conversion(folder, folder / "out.gguf", type=type, family="belle"))
            seconds = statistics.median(run["seconds"] for run in runs)
            peak = statistics.median(run["peak"] for run in runs)
            first = runs[0]
            print(
                f"{type:5} {first['source'] / 1e9:6.2f} → {first['out'] / 1e9:5.2f} GB  {seconds:6.1f} s"
                f"  {first['source'] / 1e6 / seconds:6.0f} MB/s"
                f"  peak {peak / 1e6:4.0f} MB (predicted at most {first['predicted'] / 1e6:.0f} MB)"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
