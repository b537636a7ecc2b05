"""A coverage-guided run over damaged tokenizer tables with atheris; tests/fuzz/README.md says how to start it.

A case that ends with anything but a documented error ends the run; it is then in the file `tokenizer-finding.json`.
Cases that reach new code are kept by libFuzzer as bytes; `--export FOLDER CORPUS` writes them as JSON.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import atheris  # type: ignore[import-not-found]

with atheris.instrument_imports(include=["belle_edge"]):
    import belle_edge.text.tokenizer

import tokenizer_cases  # type: ignore[import-not-found]

assert belle_edge.text.tokenizer is not None


def case_from(data: bytes) -> dict[str, object]:
    """The bytes decide every choice; where they end, each choice is 0."""
    provider = atheris.FuzzedDataProvider(data)
    case: dict[str, object] = tokenizer_cases.random_case(lambda n: provider.ConsumeIntInRange(0, n - 1))
    return case


def test_one_input(data: bytes) -> None:
    case = case_from(data)
    try:
        tokenizer_cases.check_case(case)
    except BaseException:
        Path("tokenizer-finding.json").write_text(json.dumps(case, indent=1), encoding="utf-8")
        raise


def export(folder: Path, corpus: Path) -> None:
    """One JSON file per different case in `corpus`, named by its content."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(corpus.iterdir()):
        text = json.dumps(case_from(path.read_bytes())) + "\n"
        name = hashlib.sha256(text.encode()).hexdigest()[:12]
        (folder / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--export"]:
        export(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        atheris.Setup(sys.argv, test_one_input)
        atheris.Fuzz()
