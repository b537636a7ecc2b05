"""What does a constraint cost per token? Masks over a vocabulary as large as BLOOM's, and whole answers of a model.

Without --model the vocabulary is made up: bytes, all Chinese characters, and words of syllables, 250,880 rows. For each
kind of constraint a text that fulfils it is walked through token by token. Printed are the time of each mask, and what
the sampler takes with and without one. With --model, answers with and without a schema are written in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import time
from random import Random
from typing import Any

import numpy as np

from belle_edge import Belle, SamplingParams
from belle_edge.backends.samplers import core_sampler
from belle_edge.generation.constraint import Constraint
from belle_edge.generation.constraint_tokenizer import guidance_tokenizer
from belle_edge.text.tokenizer import Tokenizer

ROWS = 250_880
_SYLLABLES = [
    "ba",
    "re",
    "ti",
    "on",
    "ing",
    "er",
    "al",
    "th",
    "en",
    "st",
    "co",
    "ma",
    "pro",
    "de",
    "qu",
    "1",
    "0",
    ".",
]
_STRUCTURE = ('":', '",', '{"', '"}', '"]', "},{", '": "', '", "', "\n  ", "\n    ", "...", "();")

_ADDRESS = {
    "type": "object",
    "properties": {
        "城市": {"type": "string", "maxLength": 20},
        "zip": {"type": "string", "pattern": "^[0-9]{6}$"},
        "geo": {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
    },
    "required": ["城市", "zip", "geo"],
    "additionalProperties": False,
}
_NOTE = {
    "type": "object",
    "properties": {"文字": {"type": "string"}, "score": {"type": "number", "minimum": 0, "maximum": 1}},
    "required": ["文字"],
    "additionalProperties": False,
}
NESTED = {
    "type": "object",
    "properties": {
        "姓名": {"type": "string"},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "tags": {"type": "array", "items": {"enum": ["红", "绿", "蓝"]}, "minItems": 1, "maxItems": 5},
        "address": _ADDRESS,
        "notes": {"type": "array", "items": _NOTE, "maxItems": 8},
    },
    "required": ["姓名", "age", "tags", "address", "notes"],
    "additionalProperties": False,
}
PERSON = {
    "姓名": "王小明同学",
    "age": 31,
    "tags": ["红", "蓝"],
    "address": {"城市": "北京市海淀区中关村", "zip": "100871", "geo": [39.9, 116.4]},
    "notes": [{"文字": "这是一段很长的说明文字，讲了很多事情。", "score": 0.5}, {"文字": "the restion"}],
}
_CITIES = [f"城市{number}号" for number in range(1000)]
CASES: dict[str, tuple[dict[str, Any], str]] = {
    "nested schema": ({"schema": NESTED}, json.dumps(PERSON, ensure_ascii=False, indent=2)),
    "any JSON object": ({"schema": {"type": "object"}}, json.dumps(PERSON, ensure_ascii=False)),
    "choice of 1,000": ({"choice": _CITIES}, _CITIES[777]),
    "regex": (
        {"regex": "([一-龥]{2,8}，){3,}[a-z0-9]+@[a-z]+[.]cn"},
        "中文文字，一二三，四五六七，baring@proer.cn",
    ),
}


def vocabulary() -> dict[str, Any]:
    """BLOOM's layout: special tokens, bytes, then each word with all of its beginnings, so that merges lead to it."""
    from tokenizers.pre_tokenizers import ByteLevel

    encode = ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str
    tokens = dict.fromkeys(["<unk>", "<s>", "</s>", "<pad>", *sorted(ByteLevel.alphabet())])
    merges: list[str] = []
    rng = Random(1)

    def add(text: str) -> None:
        word = encode(text)[0][0]
        for end in range(2, len(word) + 1):
            if word[:end] not in tokens:
                tokens[word[:end]] = None
                merges.append(f"{word[: end - 1]} {word[end - 1]}")

    for text in (*map(chr, range(0x4E00, 0x9FA6)), *_STRUCTURE):
        add(text)
    while len(tokens) < ROWS - 200:
        if rng.random() < 0.3:
            add(
                "".join(
                    chr(0x4E00 + int(rng.expovariate(1 / 3000)) % 20900) for _ in range(rng.randint(2, 4))
                )
            )
        else:
            word = "".join(rng.choice(_SYLLABLES) for _ in range(rng.randint(1, 5)))
            add((" " if rng.random() < 0.6 else "") + (word.capitalize() if rng.random() < 0.3 else word))
    n_words = len(tokens)
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "bloom",
        "tokenizer.ggml.tokens": [*tokens, *(f"[PAD{row}]" for row in range(n_words, ROWS))],
        "tokenizer.ggml.token_type": [2, 3, 3, 3] + [1] * (n_words - 4) + [5] * (ROWS - n_words),
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.eos_token_id": 2,
    }


def mask_times(tokenizer: Tokenizer, settings: dict[str, Any], text: str, repeats: int) -> list[float]:
    """Milliseconds of each mask on the way through `text`, of all repeats."""
    constraint = Constraint.of(**settings)
    assert constraint is not None
    ids = tokenizer.encode_inside(text)
    taken = []
    for _ in range(repeats):
        state = constraint.begin(tokenizer)
        for position, token_id in enumerate(ids):
            start = time.perf_counter()
            words = state.allowed_after(ids[:position])
            taken.append((time.perf_counter() - start) * 1e3)
            if not words[token_id // 32] >> (token_id % 32) & 1:
                raise SystemExit(f"{text!r}: token {position} is not allowed")
        assert state.complete_after(ids) or settings.get("regex")
    return taken


def sampler_times(n_vocab: int, repeats: int) -> tuple[float, float]:
    """Milliseconds of one choice at temperature 0: without a constraint, and with one."""
    logits = np.random.default_rng(0).normal(size=n_vocab).astype(np.float32)
    words = np.random.default_rng(1).integers(
        0, 2**32, (n_vocab + 31) // 32, dtype=np.uint32
    )  # nothing regular
    free, bound = (core_sampler(SamplingParams(temperature=0)) for _ in range(2))
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for at, sampler in enumerate((free, bound)):
            start = time.perf_counter()
            if at:
                sampler.allow(words)
            sampler.sample(logits)
            taken[at].append((time.perf_counter() - start) * 1e3)
    return statistics.median(taken[0]), statistics.median(taken[1])


def whole_answers(path: str, repeats: int, n_tokens: int) -> None:
    """Milliseconds per token of answers with and without a schema, in turns."""
    shapes: dict[str, dict[str, Any]] = {
        "free": {},
        "nested schema": {"schema": NESTED},
        "any JSON object": {"schema": {"type": "object"}},
    }
    with Belle.load(path) as model:
        ends = list(model.tokenizer.vocabulary.end_ids)
        taken: dict[str, list[float]] = {name: [] for name in shapes}
        for seed in range(repeats + 1):  # the first is to warm up
            for name, shape in shapes.items():
                result = model.generate(
                    [5] * 8, raw=True, seed=seed, max_tokens=n_tokens, banned=[] if shape else ends, **shape
                )
                if seed:
                    taken[name].append(result.timings.decode_s * 1e3 / max(1, result.completion_tokens - 1))
    for name, values in taken.items():
        print(f"{name:18} {statistics.median(values):8.2f} ms per token, median of {repeats} answers")


def main() -> None:
    """Print one line for each kind of constraint."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", metavar="FILE.gguf", help="write answers with this model instead")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=48, help="of an answer with --model")
    args = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} processors")
    if args.model:
        whole_answers(args.model, args.repeats, args.tokens)
        return
    tokenizer = Tokenizer.from_metadata(vocabulary())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    guidance_tokenizer(tokenizer)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"vocabulary of {ROWS:,} read in {time.perf_counter() - start:.1f} s, {grown:.0f} MB")
    print(f"{'mask, ms':18} {'mean':>8} {'median':>8} {'99 %':>8} {'most':>8}")
    for name, (settings, text) in CASES.items():
        taken = mask_times(tokenizer, settings, text, args.repeats)
        mean, high = statistics.fmean(taken), float(np.quantile(taken, 0.99))
        print(f"{name:18} {mean:8.3f} {statistics.median(taken):8.3f} {high:8.3f} {max(taken):8.3f}")
    free, bound = sampler_times(ROWS, 200)
    print(f"choice at temperature 0: {free:.3f} ms free, {bound:.3f} ms with a constraint")


if __name__ == "__main__":
    main()
