"""What the conversion benchmarks share: tokenizers, random weights, a measured conversion in a process of its own."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

_POOL_VALUES = 4 << 20
_TEXT = [
    "the quick brown fox jumps over the lazy dog.",
    "你好，请问有什么可以帮助你的吗？今天天气很好。",
] * 20

# Runs in a fresh process, so that its peak is its own.
MEASURED_CONVERSION = """
import json, sys, time
from anonymous_memory import AnonymousPeak
from belle_edge.convert import convert

start = time.monotonic()
with AnonymousPeak() as memory:
    report = convert(sys.argv[1], sys.argv[2], **json.loads(sys.argv[3]))
seconds = time.monotonic() - start
print(json.dumps({"seconds": seconds, "peak": memory.peak, "source": report.source_bytes, "out": report.output_bytes,
                  "predicted": report.conversion_memory_bytes}))
"""


def measured_conversion(source: Path, out: Path, **options: Any) -> dict[str, Any]:
    """One conversion: seconds, peak (of anonymous memory, RssAnon of Linux), source, out and predicted bytes."""
    command = [
        sys.executable,
        "-c",
        MEASURED_CONVERSION,
        str(source),
        str(out),
        json.dumps({**options, "force": True}),
    ]
    paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def noise(dtype: str) -> bytes:
    values = np.random.default_rng(0).standard_normal(_POOL_VALUES, dtype=np.float32) * np.float32(0.02)
    return values.astype(dtype).tobytes()


def write_byte_level_tokenizer(folder: Path, n_tokens: int) -> None:
    """As large as the real thing: one token per row, and a merge for each that is longer than a byte."""
    alphabet = [
        *map(chr, [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100), *range(0x100, 0x144)])
    ]
    tokens = ["<unk>", "<s>", "</s>", "<pad>", *alphabet]
    merges: list[list[str]] = []
    lefts = iter(tokens)  # grows while it is read: two bytes, then three
    while len(tokens) < n_tokens:
        left = next(lefts)
        pairs = [] if left.startswith("<") and len(left) > 1 else [[left, right] for right in alphabet]
        merges += pairs[: n_tokens - len(tokens)]
        tokens += [left + right for left, right in pairs[: n_tokens - len(tokens)]]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    split = {"type": "Split", "pattern": {"Regex": " ?[^(\\s|[.,!?…。，、।۔،])]+"}, "behavior": "Isolated"}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}
    tokenizer = {
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "model": {
            "type": "BPE",
            "vocab": vocabulary,
            "merges": merges,
        },
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")


def sentencepiece_model() -> bytes:
    """A small SentencePiece model of LLaMA's kind."""
    import sentencepiece

    output = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_TEXT),
        model_writer=output,
        vocab_size=350,
        model_type="bpe",
        byte_fallback=True,
        minloglevel=2,
    )
    return output.getvalue()
