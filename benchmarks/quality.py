"""What a way of rounding costs a model: method by type, on held-out texts, as tables in Markdown.

    python benchmarks/quality.py ORIGINAL --texts zh=val.json en=wikitext2_test.txt [--types q4_0 iq4_xs q4_k_m]
        [--methods nearest fast best llama.cpp llama.cpp+imatrix] [--files autoround:q4_0=FILE.gguf] [--json FILE]

ORIGINAL is a checkpoint folder, or a GGUF file, whose dequantized weights are the original. Each type is made by each
method, in the same types for every matrix, and run by our engine in its default mode and by llama.cpp. Compared are the
logits with the float original's.

--data are calibration texts (default: the bundled ones); what is in them is left out of the held-out sets. JSON has
{"instruction", "output"} or {"question", "std_answer"}, which are put into the model's own template; of other files,
passages are taken. --moments takes a moments file or an imatrix of llama.cpp instead of computing one.

--folder keeps what was made, so that a second call goes on. benchmarks/quality_chart.py draws what --json writes,
benchmarks/quality_tables.py prints it again.
Needs the `test` extra (torch, transformers, llama-cpp-python).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fidelity import Runner, divergence_from, original_reference
from fidelity_engines import Reference
from quality_files import GIVEN, METHODS, Calibration, RoundedFile, Workshop
from quality_tables import tables
from quality_texts import TextReader, TextSet

from belle_edge.convert.calibration_texts import calibration_text_paths
from belle_edge.divergence import Divergence

ENGINES = ("native", "llama.cpp")


@dataclass(frozen=True)
class Result:
    """One file on one set of texts, run by one engine."""

    file: RoundedFile
    texts: str
    engine: str
    divergence: Divergence

    def row(self) -> dict[str, Any]:
        return {
            "method": self.file.method,
            "type": self.file.type,
            "bytes": self.file.n_bytes,
            "tensor_bytes": self.file.tensor_bytes,
            "seconds": self.file.seconds,
            "texts": self.texts,
            "engine": self.engine,
            **asdict(self.divergence),
        }


def measure(
    files: Sequence[RoundedFile],
    sets: Sequence[TextSet],
    original: Path,
    folder: Path,
    *,
    engines: Sequence[str] = ENGINES,
) -> Iterator[Result]:
    """Every file on every set, by every engine."""
    references: dict[str, Reference] = {
        chosen.name: original_reference(original, chosen.texts, folder) for chosen in sets
    }
    for file in files:
        for engine in engines:
            logits = Runner(engine).logits(file.path)
            for name, reference in references.items():
                yield Result(file, name, engine, divergence_from(reference, logits))


def given_file(described: str) -> RoundedFile:
    """--files MAKER:TYPE=PATH, or a path alone."""
    name, separator, path = described.partition("=")
    if not separator:
        return RoundedFile(GIVEN, Path(described).name, Path(described), None)
    maker, _, type_name = name.partition(":")
    return RoundedFile(maker, type_name, Path(path), None)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("original", type=Path)
    parser.add_argument("--texts", nargs="+", required=True, metavar="NAME=FILE", help="held-out sets")
    parser.add_argument("--types", nargs="+", default=["q4_0", "iq4_xs", "q4_k_m"])
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=list(METHODS))
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--files", nargs="*", default=[], metavar="MAKER:TYPE=FILE", help="other files")
    parser.add_argument("--data", type=Path, nargs="*", default=[], help="calibration texts")
    parser.add_argument("--calibration-tokens", type=int, help="default: as many as `calibrate` takes")
    parser.add_argument("--moments", type=Path, help="a moments file or an imatrix")
    parser.add_argument("--tokens", type=int, default=8000, help="of each set")
    parser.add_argument("--max-tokens", type=int, default=256, help="of each of its texts")
    parser.add_argument("--folder", type=Path, help="keeps the files (default: a temporary one)")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    return parser.parse_args()


def run(args: argparse.Namespace, folder: Path) -> None:
    calibration = Calibration(tuple(args.data), args.calibration_tokens, args.moments)
    workshop = Workshop(args.original, folder, calibration)
    reader = TextReader(
        workshop.floats,
        seen=args.data or calibration_text_paths(),
        n_tokens=args.tokens,
        max_tokens=args.max_tokens,
    )
    sets = [reader.read(described) for described in args.texts]
    files = [workshop.make(method, name) for name in args.types for method in args.methods]
    files += [given_file(described) for described in args.files]
    results = list(measure(files, sets, args.original, folder, engines=args.engines))
    report = {
        "model": args.original.stem,
        "calibration_seconds": workshop.calibration_seconds,
        "results": [result.row() for result in results],
    }
    print("\n\n".join(tables(report)))
    if workshop.calibration_seconds is not None:
        print(f"\nCalibration took {workshop.calibration_seconds:.1f} s.")
    if args.json is not None:
        args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def main() -> int:
    args = arguments()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        run(args, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
