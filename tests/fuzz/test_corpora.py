"""Replays the fuzzers' corpora; README.md in this folder says how they were made."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .gguf_seeds import ARCHITECTURES, BLOCK_TYPES, write_block_model
from .tokenizer_cases import TEXTS, check_case, random_case

HERE = Path(__file__).resolve().parent
GGUF_CORPUS = sorted((HERE / "corpus" / "gguf").iterdir())
TOKENIZER_CORPUS = sorted((HERE / "corpus" / "tokenizer").glob("*.json"))
N_RANDOM_CASES = 1000

# In a process of its own: a crash is a failure of this test, not the end of all tests.
REPLAY = """
import sys
from belle_edge import _core
loaded = read = refused = 0
for path in sys.argv[1:]:
    print(path, flush=True)
    try:
        file = _core.GgufFile(path)
        for key in file.keys():
            file[key], file.array_length(key)
        for tensor in file.tensors():
            tensor.name, tensor.type, tensor.shape, tensor.offset, tensor.n_bytes
        read += 1
        model = _core.Model(path)
        model.forward([(model.new_sequence(), [0, 0, 0])])
        loaded += 1
    except (ValueError, OSError):
        refused += 1
print(loaded, read, refused)
"""

# libFuzzer limits the peak that the kernel counts, and that begins with the one of the process which starts it: this
# one may have held gigabytes, a new Python has not.
OF_ITS_OWN_MEMORY = [sys.executable, "-c", "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"]


def replay(paths: list[Path]) -> tuple[int, int, int]:
    """How many loaded, were read, were refused."""
    done = subprocess.run(
        [sys.executable, "-c", REPLAY, *map(str, paths)], capture_output=True, text=True, timeout=120
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, f"{done.returncode} after {lines[-1:]}\n{done.stderr}"
    loaded, read, refused = map(int, lines[-1].split())
    return loaded, read, refused


def test_damaged_block_types(tmp_path: Path) -> None:
    """Every block type: the seeds load; with bits flipped in header and blocks, or cut, they load or are refused."""
    seeds, damaged = [], []
    for architecture in ARCHITECTURES:
        for type in BLOCK_TYPES:
            seeds.append(tmp_path / f"{architecture}-{type}.gguf")
            write_block_model(seeds[-1], architecture, type)
    choose = random.Random(4)
    for seed in seeds:
        original = seed.read_bytes()
        for index in range(16):
            data = bytearray(original)
            for _ in range(choose.choice([1, 1, 2, 5])):
                data[choose.randrange(len(data))] ^= 1 << choose.randrange(8)
            damaged.append(tmp_path / f"{seed.stem}-{index}.gguf")
            damaged[-1].write_bytes(data[: choose.randrange(len(data))] if index % 8 == 7 else data)
    assert replay(seeds) == (len(seeds), len(seeds), 0)
    loaded, _, refused = replay(damaged)
    assert loaded + refused == len(damaged)
    assert loaded > len(seeds)
    assert refused > len(seeds)


def test_gguf_corpus() -> None:
    loaded, read, refused = replay(GGUF_CORPUS)
    assert loaded + refused == len(GGUF_CORPUS) > 50
    assert 10 <= loaded < read < len(GGUF_CORPUS)  # the corpus reaches every stage


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = next((name for name in ("clang++", "clang++-16") if shutil.which(name)), None)
    if compiler is None:
        pytest.skip("no clang")
    program = tmp_path_factory.mktemp("fuzzer") / "gguf_fuzzer"
    probe = subprocess.run(
        [compiler, "-x", "c", "-", "-fsanitize=fuzzer,address,undefined", "-o", str(program)],
        input="#include <stddef.h>\nint LLVMFuzzerTestOneInput(const char *d, size_t n) { return d && n ? 0 : 0; }",
        capture_output=True,
        text=True,
    )
    if probe.returncode != 0:
        pytest.skip(f"{compiler} has no libFuzzer")
    subprocess.run([str(HERE / "build.sh"), str(program)], check=True, env={**os.environ, "CXX": compiler})
    return program


def test_gguf_corpus_with_sanitizers(fuzzer: Path) -> None:
    """The corpus, then a few thousand mutations of it, with the same start on every run."""
    options = ["-runs=5000", "-seed=1", "-max_len=12000", "-timeout=10", f"-dict={HERE / 'gguf.dict'}"]
    folder = fuzzer.parent / "new"
    folder.mkdir()
    command = [
        *OF_ITS_OWN_MEMORY,
        str(fuzzer),
        str(folder),
        str(HERE / "corpus" / "gguf"),
        *options,
        f"-artifact_prefix={folder}/",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-5000:]
    assert not list(folder.glob("crash-*"))


@pytest.mark.parametrize("path", TOKENIZER_CORPUS, ids=lambda path: path.stem)
def test_tokenizer_corpus(path: Path) -> None:
    assert check_case(json.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("model", ["gpt2", "llama"])
def test_sound_tables_build(model: str) -> None:
    assert check_case({"model": model, "edits": [], "texts": TEXTS}) == "built"


@pytest.mark.slow
def test_random_tokenizer_tables() -> None:
    outcomes = [check_case(random_case(random.Random(seed).randrange)) for seed in range(N_RANDOM_CASES)]
    assert outcomes.count("built") > N_RANDOM_CASES // 10
    assert outcomes.count("ModelFormatError") > N_RANDOM_CASES // 10
