"""How long does a checkpoint take to become a q4_0 GGUF, here and with llama.cpp's two programs?

Writes a synthetic LLaMA of about 1.1 billion parameters (f16 safetensors, 2.2 GB), then in turns runs `belle-edge
convert`, and llama.cpp's convert_hf_to_gguf.py to f16 followed by its quantizer (through llama-cpp-python, the same
number of threads). Each is timed from the start of its processes to their end, after the checkpoint was read once.
Prints the seconds, their medians and the ratio.

    python benchmarks/convert_against_llama_cpp.py --llama-cpp llama_cpp_python-0.3.36/vendor/llama.cpp --repeat 3

--llama-cpp is the source folder of llama.cpp, as it lies in llama-cpp-python's source package. Needs the packages of
the `test` extra.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from synthetic_checkpoints import noise, sentencepiece_model

SHAPE = {"hidden": 2048, "layers": 22, "heads": 32, "kv_heads": 32, "feed_forward": 5632, "vocabulary": 32000}

_QUANTIZE = """
import sys, llama_cpp
params = llama_cpp.llama_model_quantize_default_params()
params.ftype, params.nthread = llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0, int(sys.argv[3])
sys.exit(llama_cpp.llama_model_quantize(sys.argv[1].encode(), sys.argv[2].encode(), params))
"""


def tensor_shapes() -> dict[str, list[int]]:
    hidden, feed_forward, vocabulary = SHAPE["hidden"], SHAPE["feed_forward"], SHAPE["vocabulary"]
    shapes = {"model.embed_tokens.weight": [vocabulary, hidden]}
    for layer in range(SHAPE["layers"]):
        prefix = f"model.layers.{layer}"
        shapes |= {f"{prefix}.self_attn.{name}_proj.weight": [hidden, hidden] for name in "qkvo"}
        shapes |= {f"{prefix}.mlp.{name}_proj.weight": [feed_forward, hidden] for name in ("gate", "up")}
        shapes |= {f"{prefix}.mlp.down_proj.weight": [hidden, feed_forward]}
        shapes |= {f"{prefix}.{name}_layernorm.weight": [hidden] for name in ("input", "post_attention")}
    return shapes | {"model.norm.weight": [hidden], "lm_head.weight": [vocabulary, hidden]}


def write_checkpoint(folder: Path) -> None:
    header, offset = {}, 0
    for name, shape in tensor_shapes().items():
        n_bytes = 2 * int(np.prod(shape))
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [offset, offset + n_bytes]}
        offset += n_bytes
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    data = noise("<f2")
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for remaining in range(offset, 0, -len(data)):
            file.write(data[: min(remaining, len(data))])
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": SHAPE["hidden"],
        "num_hidden_layers": SHAPE["layers"],
        "num_attention_heads": SHAPE["heads"],
        "num_key_value_heads": SHAPE["kv_heads"],
        "intermediate_size": SHAPE["feed_forward"],
        "vocab_size": SHAPE["vocabulary"],
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-6,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        "torch_dtype": "float16",
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.model").write_bytes(sentencepiece_model())


def seconds(*commands: list[str]) -> float:
    start = time.perf_counter()
    for command in commands:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--llama-cpp", required=True, type=Path, help="source folder of llama.cpp")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--folder", help="where to write 6 GB (default: the system's temporary folder)")
    args = parser.parse_args()
    script = args.llama_cpp / "convert_hf_to_gguf.py"
    if not script.is_file():
        parser.error(f"no convert_hf_to_gguf.py in {args.llama_cpp}")
    with tempfile.TemporaryDirectory(dir=args.folder) as temporary:
        folder = Path(temporary) / "checkpoint"
        folder.mkdir()
        write_checkpoint(folder)
        ours, f16, theirs = (Path(temporary) / name for name in ("ours.gguf", "f16.gguf", "theirs.gguf"))
        threads = str(args.threads)
        convert = [sys.executable, "-m", "belle_edge.cli.main", "convert", str(folder), "-o", str(ours)]
        convert += ["--type", "q4_0", "--threads", threads, "--force", "--json"]
        to_f16 = [sys.executable, str(script), str(folder), "--outtype", "f16", "--outfile", str(f16)]
        quantize = [sys.executable, "-c", _QUANTIZE, str(f16), str(theirs), threads]
        times: dict[str, list[float]] = {"belle-edge": [], "llama.cpp f16": [], "llama.cpp q4_0": []}
        for _ in range(args.repeat):
            times["belle-edge"].append(seconds(convert))
            times["llama.cpp f16"].append(seconds(to_f16))
            times["llama.cpp q4_0"].append(seconds(quantize))
        sizes = {path.name: path.stat().st_size for path in (ours, theirs)}
    print(
        f"{platform.processor() or platform.machine()}, {threads} threads, Python {platform.python_version()}"
    )
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, values in times.items():
        print(f"{name:15} {medians[name]:7.2f} s  ({', '.join(f'{value:.2f}' for value in values)})")
    peer = medians["llama.cpp f16"] + medians["llama.cpp q4_0"]
    print(
        f"ratio {peer / medians['belle-edge']:.1f}; files of {sizes['ours.gguf']:,} and {sizes['theirs.gguf']:,} bytes"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
