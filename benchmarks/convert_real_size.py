"""What does converting a published model of real size need: seconds, MB/s, and memory of its own?

Writes a synthetic checkpoint in the true shapes and files of a published model (random weights, written once, deleted
at the end), converts it to q4_0 and prints the time, the source bytes per second and the peak of anonymous memory
(RssAnon of Linux, sampled every 2 ms); before each run, for comparison, how fast the same files are read and nothing
else. Both start with the files dropped from the page cache.

    python benchmarks/convert_real_size.py belle-7b                  # one fp32 pytorch_model.bin, 28 GB
    python benchmarks/convert_real_size.py belle-llama-13b-enc       # three encrypted fp16 shards, 26 GB, key 13.5 GB

Needs torch (to write, not to convert) and a disk with about twice the space of the checkpoint. --layers N writes the
first N layers only.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import pickle
import platform
import shutil
import sys
import tempfile
import time
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from synthetic_checkpoints import measured_conversion, noise, sentencepiece_model, write_byte_level_tokenizer

_KEY_BYTES = 13_476_939_516  # of LLaMA-7B's consolidated.00.pth
_WINDOW_BYTES = 10 << 20


@dataclass(frozen=True)
class Stored:
    """Stands for a tensor's storage in the pickle."""

    key: str
    n_values: int
    dtype: np.dtype[Any]


class Described:
    """Pickles as a tensor whose values lie in a storage."""

    def __init__(self, storage: Stored, shape: list[int]) -> None:
        self.storage, self.shape = storage, shape

    def __reduce__(self) -> tuple[Any, ...]:
        from torch._utils import _rebuild_tensor_v2

        strides = [int(np.prod(self.shape[axis + 1 :])) for axis in range(len(self.shape))]
        return _rebuild_tensor_v2, (
            self.storage,
            0,
            tuple(self.shape),
            tuple(strides),
            False,
            OrderedDict(),
        )


class _Pickler(pickle.Pickler):
    def persistent_id(self, value: Any) -> Any:
        if not isinstance(value, Stored):
            return None
        import torch

        kind = torch.FloatStorage if value.dtype.itemsize == 4 else torch.HalfStorage
        return ("storage", kind, value.key, "cpu", value.n_values)


def write_bin(file: IO[bytes], shapes: dict[str, list[int]], dtype: str, pool: bytes) -> None:
    """A torch file of random tensors, without holding them in memory."""
    stored = {
        name: Stored(str(index), int(np.prod(shape)), np.dtype(dtype))
        for index, (name, shape) in enumerate(shapes.items())
    }
    description = io.BytesIO()
    _Pickler(description, protocol=2).dump(
        OrderedDict((name, Described(stored[name], shape)) for name, shape in shapes.items())
    )
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        archive.writestr("pytorch_model/data.pkl", description.getvalue())
        for storage in stored.values():
            with archive.open(f"pytorch_model/data/{storage.key}", "w", force_zip64=True) as entry:
                remaining = storage.n_values * storage.dtype.itemsize
                while remaining > 0:
                    entry.write(pool[:remaining])
                    remaining -= min(remaining, len(pool))
        archive.writestr("pytorch_model/version", "3\n")


def bloom_shapes(n_layers: int) -> dict[str, list[int]]:
    hidden = 4096
    shapes = {"transformer.word_embeddings.weight": [250_880, hidden]}
    norms = ["transformer.word_embeddings_layernorm", "transformer.ln_f"]
    for layer in range(n_layers):
        prefix = f"transformer.h.{layer}"
        norms += [f"{prefix}.input_layernorm", f"{prefix}.post_attention_layernorm"]
        for name, n_out, n_in in (
            ("self_attention.query_key_value", 3 * hidden, hidden),
            ("self_attention.dense", hidden, hidden),
            ("mlp.dense_h_to_4h", 4 * hidden, hidden),
            ("mlp.dense_4h_to_h", hidden, 4 * hidden),
        ):
            shapes |= {f"{prefix}.{name}.weight": [n_out, n_in], f"{prefix}.{name}.bias": [n_out]}
    for norm in norms:
        shapes |= {f"{norm}.weight": [hidden], f"{norm}.bias": [hidden]}
    return shapes


def llama_13b_shapes(n_layers: int) -> dict[str, list[int]]:
    hidden, feed_forward, vocabulary = 5120, 13_824, 32_000
    shapes = {"model.embed_tokens.weight": [vocabulary, hidden]}
    for layer in range(n_layers):
        prefix = f"model.layers.{layer}"
        shapes |= {f"{prefix}.self_attn.{name}_proj.weight": [hidden, hidden] for name in "qkvo"}
        shapes |= {f"{prefix}.mlp.{name}_proj.weight": [feed_forward, hidden] for name in ("gate", "up")}
        shapes |= {f"{prefix}.mlp.down_proj.weight": [hidden, feed_forward]}
        shapes |= {f"{prefix}.{name}_layernorm.weight": [hidden] for name in ("input", "post_attention")}
    return shapes | {"model.norm.weight": [hidden], "lm_head.weight": [vocabulary, hidden]}


def write_belle_7b(folder: Path, n_layers: int) -> dict[str, Any]:
    config = {"architectures": ["BloomForCausalLM"], "hidden_size": 4096, "n_head": 32, "n_layer": n_layers}
    (folder / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": True}))
    write_byte_level_tokenizer(folder, 250_680)
    with (folder / "pytorch_model.bin").open("wb") as file:
        write_bin(file, bloom_shapes(n_layers), "<f4", noise("<f4"))
    return {"family": "belle"}


def write_belle_llama_13b_enc(folder: Path, n_layers: int) -> dict[str, Any]:
    key = folder / "consolidated.00.pth"
    write_key(key, int(_KEY_BYTES * n_layers / 40))
    config = {
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": 5120,
        "num_hidden_layers": n_layers,
        "num_attention_heads": 40,
        "intermediate_size": 13_824,
        "rms_norm_eps": 1e-6,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": False,
    }
    encrypt(folder, "config.json", key, lambda file: file.write(json.dumps(config).encode()))
    encrypt(folder, "tokenizer.model", key, lambda file: file.write(sentencepiece_model()))
    for number, shapes in enumerate(three_parts(llama_13b_shapes(n_layers)), start=1):
        name = f"pytorch_model-{number:05d}-of-00003.bin"
        encrypt(folder, name, key, lambda file, part=shapes: write_bin(file, part, "<f2", noise("<f2")))
    return {"family": "belle-llama", "key": str(key)}


def write_key(path: Path, n_bytes: int) -> None:
    pool = np.random.default_rng(1).bytes(32 << 20)
    with path.open("wb") as file:
        for remaining in range(n_bytes, 0, -len(pool)):
            file.write(pool[: min(remaining, len(pool))])


def three_parts(shapes: dict[str, list[int]]) -> Iterator[dict[str, list[int]]]:
    """Split at 38 % and 76 % of the bytes, as the published shards are."""
    total = sum(int(np.prod(shape)) for shape in shapes.values())
    parts: list[dict[str, list[int]]] = [{}, {}, {}]
    done = 0
    for name, shape in shapes.items():
        parts[min(2, int(done / total / 0.38))][name] = shape
        done += int(np.prod(shape))
    yield from parts


def encrypt(folder: Path, name: str, key: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """BELLE's encryption of what `write` writes: the hash, then XOR with the key in windows of 10 MiB."""
    plain = folder / f"{name}.plain"
    with plain.open("wb") as file:
        write(file)
    digest = hashlib.sha256()
    unnamed = folder / f"{name}.enc"
    with plain.open("rb") as source, key.open("rb") as stream, unnamed.open("wb") as target:
        target.write(bytes(32))
        while window := source.read(_WINDOW_BYTES):
            digest.update(window)
            secret = stream.read(_WINDOW_BYTES)
            if not secret:
                stream.seek(0)
                secret = stream.read(_WINDOW_BYTES)
            repeated = np.resize(np.frombuffer(secret, dtype=np.uint8), len(window))
            target.write((np.frombuffer(window, dtype=np.uint8) ^ repeated).tobytes())
        target.seek(0)
        target.write(digest.digest())
    plain.unlink()
    unnamed.rename(folder / f"{name}.{digest.hexdigest()}.enc")


def drop_from_cache(folder: Path) -> None:
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def reading_rate(folder: Path) -> float:
    """Bytes per second of reading every file from front to back."""
    start, n_bytes = time.monotonic(), 0
    for path in sorted(folder.iterdir()):
        with path.open("rb", buffering=0) as file:
            while block := file.read(16 << 20):
                n_bytes += len(block)
    return n_bytes / (time.monotonic() - start)


FORMS: dict[str, tuple[Callable[[Path, int], dict[str, Any]], int]] = {
    "belle-7b": (write_belle_7b, 30),
    "belle-llama-13b-enc": (write_belle_llama_13b_enc, 40),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("form", choices=FORMS)
    parser.add_argument("--type", default="q4_0")
    parser.add_argument("--layers", type=int, help="fewer layers than the model has, for a smaller disk")
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--folder", help="where to write (default: the system's temporary folder)")
    args = parser.parse_args()
    from belle_edge import _core

    info = _core.cpu_info()
    print(f"{info['brand']}, {info['usable_threads']} threads, Python {platform.python_version()}")
    write, n_layers = FORMS[args.form]
    with tempfile.TemporaryDirectory(dir=args.folder) as temporary:
        folder = Path(temporary) / "checkpoint"
        folder.mkdir()
        start = time.monotonic()
        options = write(folder, args.layers or n_layers)
        size = sum(path.stat().st_size for path in folder.iterdir())
        print(f"{args.form}: {size / 1e9:.2f} GB written in {time.monotonic() - start:.0f} s", flush=True)
        for _ in range(args.runs):
            out = Path(temporary) / "out.gguf"
            drop_from_cache(folder)
            print(f"reading alone: {reading_rate(folder) / 1e6:.0f} MB/s", flush=True)
            drop_from_cache(folder)
            run = measured_conversion(folder, out, type=args.type, **options)
            print(
                f"{args.type:5} {run['source'] / 1e9:6.2f} → {run['out'] / 1e9:5.2f} GB  {run['seconds']:6.1f} s"
                f"  {run['source'] / 1e6 / run['seconds']:6.0f} MB/s  peak {run['peak'] / 1e6:4.0f} MB"
                f" (predicted at most {run['predicted'] / 1e6:.0f} MB)",
                flush=True,
            )
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
