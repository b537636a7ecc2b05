"""Pre-tokenizers of byte-level BPE, as data: tokenizer.ggml.pre -> how its published tokenizer splits a text."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import UnsupportedModelError

USE_LLAMA_CPP = "the llama.cpp backend reads such files"


@dataclass(frozen=True)
class PreTokenizer:
    """Steps, one after the other: each cuts the parts of the one before at the matches of its pattern."""

    steps: tuple[str, ...]
    whole_words_first: bool = False  # a word that is in the vocabulary skips the merges
    adds_bos: bool = False  # what a file without tokenizer.ggml.add_bos_token means


_BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_EACH_DIGIT = r"\p{N}"

_LLAMA3_STEPS = PreTokenizer((_LLAMA3,), whole_words_first=True, adds_bos=True)

PRE_TOKENIZERS: dict[str, PreTokenizer] = {
    "bloom": PreTokenizer((_BLOOM,)),
    "gpt-2": PreTokenizer((_GPT2,)),
    "llama-bpe": _LLAMA3_STEPS,
    "llama3": _LLAMA3_STEPS,
    "llama-v3": _LLAMA3_STEPS,
    "smollm": PreTokenizer((_EACH_DIGIT, _GPT2)),
}


def pre_tokenizer(name: str) -> PreTokenizer:
    """The pre-tokenizer of this name. UnsupportedModelError for one that is not implemented."""
    found = PRE_TOKENIZERS.get(name)
    if found is None:
        raise UnsupportedModelError(
            f"[tokenizer] pre-tokenizer '{name}' (tokenizer.ggml.pre) is not implemented "
            f"(known: {', '.join(sorted(PRE_TOKENIZERS))}); {USE_LLAMA_CPP}"
        )
    return found
