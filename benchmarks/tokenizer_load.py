"""How long until a tokenizer is ready? Builds tables as large as LLaMA's, BELLE-EXT's and BLOOM's vocabulary.

The pieces are made up, so nothing needs to be downloaded: only their number and shape matter here.
Prints the median of several builds in seconds.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from itertools import product
from typing import Any

from belle_edge.text.tokenizer import Tokenizer

SENTENCEPIECE_SIZES = {"LLaMA": 32_000, "BELLE-EXT": 79_458}
BLOOM_SIZE, BLOOM_ROWS = 250_680, 250_880


def sentencepiece_tables(n_tokens: int) -> dict[str, Any]:
    """LLaMA's layout: three special pieces, 256 bytes, then ordinary pieces."""
    letters = [chr(code) for code in range(0x4E00, 0x4E00 + 400)]
    pieces = ["".join(pair) for pair in product(letters, letters)][: n_tokens - 259]
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": [
            "<unk>",
            "<s>",
            "</s>",
            *(f"<0x{value:02X}>" for value in range(256)),
            *pieces,
        ],
        "tokenizer.ggml.token_type": [2, 3, 3] + [6] * 256 + [1] * len(pieces),
        "tokenizer.ggml.scores": [0.0] * 259 + [-float(index) for index in range(len(pieces))],
    }


def byte_level_tables() -> dict[str, Any]:
    """BLOOM's layout: four special tokens, 256 bytes, one token per merge, unused rows at the end."""
    from tokenizers.pre_tokenizers import ByteLevel

    letters = sorted(ByteLevel.alphabet())
    pairs = [f"{left} {right}" for left, right in product(letters, letters)]
    triples = [f"{pair.replace(' ', '')} {letter}" for pair, letter in product(pairs, letters[:3])]
    merges = [*pairs, *triples][: BLOOM_SIZE - 260]
    tokens = ["<unk>", "<s>", "</s>", "<pad>", *letters, *(merge.replace(" ", "") for merge in merges)]
    n_unused = BLOOM_ROWS - len(tokens)
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "bloom",
        "tokenizer.ggml.tokens": tokens + [f"[PAD{len(tokens) + index}]" for index in range(n_unused)],
        "tokenizer.ggml.token_type": [2, 3, 3, 3] + [1] * (len(tokens) - 4) + [5] * n_unused,
        "tokenizer.ggml.merges": merges,
    }


def main() -> None:
    """Build each vocabulary `--repeats` times and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    cases = {name: sentencepiece_tables(size) for name, size in SENTENCEPIECE_SIZES.items()}
    cases["BLOOM"] = byte_level_tables()
    print(f"{platform.machine()}, Python {platform.python_version()}, median of {repeats}")
    for name, tables in cases.items():
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter()
            Tokenizer.from_metadata(tables).encode("你好")
            seconds.append(time.perf_counter() - start)
        print(
            f"{name:<10}{len(tables['tokenizer.ggml.tokens']):>8} tokens  {statistics.median(seconds):.3f} s"
        )


if __name__ == "__main__":
    main()
