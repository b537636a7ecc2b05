"""How far answers from quantized files are from the float original's: types, makers of files, engines.

    python benchmarks/fidelity.py ORIGINAL --texts val.json [--types q8_0 q4_0] [--peer-types q4_0 q4_k_m] [--json FILE]

ORIGINAL is a checkpoint folder, or a GGUF file whose dequantized weights are the original. --types are files that we
make, --peer-types files that llama.cpp's quantizer makes (":pure" behind a type: for every matrix), --files others.
Each file is run by our engine and by llama.cpp. --against weights compares with float products of each file's own
weights instead: what is left is the error of the arithmetic.

Texts in JSON (a list, or lines) are {"instruction", "output"}; each becomes a prompt in BELLE's format with its answer.
Of other files, --items passages of --max-tokens tokens are taken, spread evenly. benchmarks/fidelity_chart.py draws
what --json writes. Needs the `test` extra (torch, transformers, llama-cpp-python).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from fidelity_engines import (
    Encode,
    Ids,
    Logits,
    Reference,
    encoder_of,
    llama_cpp_logits,
    native_logits,
    transformers_logits,
)
from fidelity_files import QuantizedFile, float_gguf, our_file, peer_file, quantize_with_llama_cpp

import belle_edge._core as _core
from belle_edge.divergence import Divergence, DivergenceMeter
from belle_edge.errors import UnsupportedModelError

PHASES = ("prefill", "decode")


@dataclasses.dataclass(frozen=True)
class Runner:
    """Who runs a file: "native" with a tier and a form of activations, or "llama.cpp"."""

    engine: str
    phase: str = "prefill"
    isa: str = ""
    activations: str = "auto"
    kv: str = "auto"

    def logits(self, gguf: Path) -> Logits:
        if self.engine == "llama.cpp":
            return llama_cpp_logits(gguf, phase=self.phase)
        return native_logits(
            gguf, isa=self.isa, activations=self.activations, phase=self.phase, kv_type=self.kv
        )

    def __str__(self) -> str:
        parts = [self.engine, self.isa, *(part for part in (self.activations, self.kv) if part != "auto")]
        return "/".join([*filter(None, parts), *(["decode"] if self.phase == "decode" else [])])


@dataclasses.dataclass(frozen=True)
class Result:
    """The divergence of one file, run by one runner."""

    file: QuantizedFile
    runner: Runner
    divergence: Divergence

    def row(self) -> dict[str, Any]:
        return {
            "maker": self.file.maker,
            "type": self.file.type,
            "bytes": self.file.n_bytes,
            "engine": self.runner.engine,
            "runner": str(self.runner),
            **dataclasses.asdict(self.divergence),
        }


def read_items(path: Path) -> list[dict[str, str]]:
    text = path.read_text(encoding="utf-8")
    if text.lstrip().startswith("["):
        items: list[dict[str, str]] = json.loads(text)
        return items
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def instruction_tokens(
    encode: Encode, end: int, items: Sequence[dict[str, str]], max_tokens: int
) -> list[Ids]:
    texts = (f"Human: {item['instruction']}\n\nAssistant:{item['output']}" for item in items)
    return [np.asarray([*encode(text), end][:max_tokens], dtype=np.int32) for text in texts]


def passage_tokens(encode: Encode, text: str, n_passages: int, max_tokens: int) -> list[Ids]:
    """Passages that begin at even distances; a token is at most 12 characters on average."""
    starts = [len(text) * (2 * i + 1) // (2 * n_passages) for i in range(n_passages)]
    passages = (encode(text[start : start + 12 * max_tokens]) for start in starts)
    return [np.asarray(ids[:max_tokens], dtype=np.int32) for ids in passages]


def read_texts(paths: Sequence[Path], original: Path, n_items: int, max_tokens: int) -> list[Ids]:
    encode, end = encoder_of(original)
    texts: list[Ids] = []
    for path in paths:
        if path.suffix in (".json", ".jsonl"):
            texts += instruction_tokens(encode, end, read_items(path)[:n_items], max_tokens)
        else:
            texts += passage_tokens(encode, path.read_text(encoding="utf-8"), n_items, max_tokens)
    return texts


def runners_of(
    isas: Sequence[str],
    activations: Sequence[str],
    phases: Sequence[str],
    *,
    caches: Sequence[str] = ("auto",),
    peer: bool,
) -> list[Runner]:
    """Our tiers in each form that they have (decoding has one) and with each cache, then llama.cpp."""
    forms = {tier["name"]: ["auto", *tier["activation_forms"]] for tier in _core.isa_tiers()}
    runners = [
        Runner("native", phase, isa, form, kv)
        for phase in phases
        for isa in isas
        for form in (activations if phase == "prefill" else ["auto"])
        if form in forms[isa]
        for kv in caches
    ]
    return runners + [Runner("llama.cpp", phase) for phase in phases if peer]


def divergence_from(reference: Reference, logits: Logits) -> Divergence:
    meter = DivergenceMeter()
    for ids, expected in reference:
        meter.add(ids, expected, logits(ids))
    return meter.result()


def own_weights(file: QuantizedFile, texts: Sequence[Ids], folder: Path) -> Reference:
    """Float products of a file's own weights, by our engine."""

    def compute() -> Logits:
        floats = folder / "weights-f32.gguf"
        floats.unlink(missing_ok=True)
        quantize_with_llama_cpp(file.path, floats, "f32")
        return native_logits(floats, kv_type="f32")

    return Reference(folder, f"{file.maker}-{file.type.replace(':', '-')}", texts, compute)


def original_reference(original: Path, texts: Sequence[Ids], folder: Path) -> Reference:
    """transformers on a checkpoint; of a GGUF file its dequantized weights, by our engine."""

    def compute() -> Logits:
        return (
            transformers_logits(original)
            if original.is_dir()
            else native_logits(float_gguf(original, folder), kv_type="f32")
        )

    return Reference(folder, "original", texts, compute)


def measure(
    original: Path,
    texts: Sequence[Ids],
    folder: Path,
    *,
    types: Sequence[str] = (),
    peer_types: Sequence[str] = (),
    files: Sequence[Path] = (),
    runners: Sequence[Runner],
    against: str = "original",
) -> Iterator[Result]:
    """The divergence of every file by every runner. `folder` keeps the files and the reference's logits.

    A file of a type that our engine does not read is run by llama.cpp alone.
    """
    source = original if original.is_dir() else float_gguf(original, folder)
    made = [our_file(source, folder, name) for name in types]
    made += [peer_file(float_gguf(original, folder), folder, name) for name in peer_types]
    made += [QuantizedFile("given", path.name, path) for path in files]
    reference = original_reference(original, texts, folder) if against == "original" else None
    for file in made:
        expected = reference or own_weights(file, texts, folder)
        for runner in runners:
            try:
                logits = runner.logits(file.path)
            except UnsupportedModelError as error:
                print(f"{file.maker} {file.type}: {runner} does not read it: {error}", file=sys.stderr)
                continue
            yield Result(file, runner, divergence_from(expected, logits))


HEADER = (
    f"{'file':22} {'MB':>7} {'runner':26} {'KL mean':>10} {'median':>10} {'99 %':>10} {'top-1':>8} "
    f"{'vs llama.cpp':>13}"
)


def table_line(result: Result, peer: Divergence | None) -> str:
    d = result.divergence
    ratio = f"{d.kl_mean / peer.kl_mean:13.3f}" if peer is not None else ""
    name = f"{result.file.maker} {result.file.type}"
    return (
        f"{name:22} {result.file.n_bytes / 1e6:7.2f} {result.runner!s:26} {d.kl_mean:10.3e} {d.kl_median:10.3e} "
        f"{d.kl_99:10.3e} {d.top1_agreement:8.2%} {ratio}"
    )


def print_table(original: Path, results: Sequence[Result]) -> None:
    peers = {
        (r.file, r.runner.phase): r.divergence for r in results if r.runner.engine == "llama.cpp"
    }  # on the same file
    print(f"{original.name}: {results[0].divergence.n_tokens} tokens")
    print(HEADER)
    for result in results:
        print(table_line(result, peers.get((result.file, result.runner.phase))))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("original", type=Path)
    parser.add_argument("--texts", type=Path, nargs="+", required=True)
    parser.add_argument("--types", nargs="*", default=["q8_0", "q4_0"])
    parser.add_argument("--peer-types", nargs="*", default=[])
    parser.add_argument("--files", type=Path, nargs="*", default=[], help="other GGUF files of the model")
    parser.add_argument("--against", choices=["original", "weights"], default="original")
    parser.add_argument("--isa", nargs="+", help="tiers (default: every one this machine supports)")
    parser.add_argument(
        "--activations", nargs="+", default=["auto"], help="auto, or forms: block32 slab256 bf16"
    )
    parser.add_argument("--kv", nargs="+", choices=("auto", *_core.KV_TYPES), default=["auto"])
    parser.add_argument("--phases", nargs="+", choices=PHASES, default=["prefill"])
    parser.add_argument("--no-llama-cpp", action="store_true")
    parser.add_argument("--items", type=int, default=100, help="instructions, or passages, of each text")
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument(
        "--folder", type=Path, help="keeps files and the reference (default: a temporary one)"
    )
    parser.add_argument("--json", type=Path, help="write the results to this file")
    return parser.parse_args()


def main() -> int:
    args = arguments()
    isas = args.isa or [tier["name"] for tier in _core.isa_tiers() if tier["supported"]]
    texts = read_texts(args.texts, args.original, args.items, args.max_tokens)
    runners = runners_of(isas, args.activations, args.phases, caches=args.kv, peer=not args.no_llama_cpp)
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        results = list(
            measure(
                args.original,
                texts,
                folder,
                types=args.types,
                peer_types=args.peer_types,
                files=args.files,
                runners=runners,
                against=args.against,
            )
        )
        print_table(args.original, results)
        if args.json is not None:
            rows = [result.row() for result in results]
            args.json.write_text(json.dumps({"model": args.original.name, "results": rows}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
