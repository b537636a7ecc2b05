"""Builds the demonstration tokenizer: byte-level BPE in BLOOM's layout, trained on the tasks' words alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from . import tasks

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPECIAL_TOKENS = ("<unk>", "<s>", "</s>", "<pad>")
EOS_ID, PAD_ID = 2, 3
# BLOOM's own pre-tokenizer pattern.
PATTERN = " ?[^(\\s|[.,!?…。，、।۔،])]+"
MAX_VOCABULARY = 2560

# Characters outrank words, so that every word is built from whole characters.
_CHARACTER_REPEATS = 50
_WORD_REPEATS = 4


def train_tokenizer() -> Tokenizer:
    """Return a tokenizer whose tokens are bytes, characters and words; digits never merge with anything."""
    from tokenizers import (
        AddedToken,
        Regex,
        Tokenizer,
        decoders,
        models,
        pre_tokenizers,
        processors,
        trainers,
    )

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=MAX_VOCABULARY,
        min_frequency=2,
        special_tokens=[AddedToken(token, normalized=False, special=True) for token in SPECIAL_TOKENS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(), trainer=trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A", pair="$A $B:1", special_tokens=[])
    return tokenizer


def tokenizer_config() -> dict[str, object]:
    """The content of tokenizer_config.json; no chat template, the converter adds BELLE's."""
    return {
        "bos_token": "<s>",
        "clean_up_tokenization_spaces": False,
        "eos_token": "</s>",
        "model_max_length": 256,
        "pad_token": "<pad>",
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": "<unk>",
    }


def _corpus() -> Iterator[str]:
    characters = {
        c for split in tasks.SPLITS for item in tasks.all_items(split) for c in item.instruction + item.answer
    }
    for character in sorted(characters):
        for _ in range(_CHARACTER_REPEATS):
            yield character
    for word in tasks.vocabulary_words():
        for _ in range(_WORD_REPEATS):
            yield word
