"""Texts that pre-tokenizers split in different ways, and a vocabulary that shows where each was split."""

from __future__ import annotations

import json
import random
from functools import cache
from typing import Any

PARTS = [
    *("Hello", "it's", "IT'S", "we'll", "they'Re", "I'Ve", "o'clock", "don't", "''", "'s", "o'ſ"),
    *(
        "helloWorld",
        "XMLHttpRequest",
        "iPhone15",
        "ABCdef",
        "v2.0.1",
        "3.14159",
        "12",
        "123",
        "1234567",
        "1,000,000",
    ),
    *(
        "007",
        "½",
        "²",
        "12½345",
        "Ⅷ",
        "٣٤٥٦",
        "๑๒",
        "一二三",
        "你好",
        "世界，和平。",
        "「中文」",
        "（测试）",
        "……",
        "——",
    ),
    *(
        "日本語",
        "ひらがな",
        "カタカナ",
        "ﾊﾝｶｸ",
        "안녕하세요",
        "ㄱㄴ",
        "สวัสดี",
        "हिन्दी",
        "বাংলা",
        "العَرَبِيَّة",
        "שָׁלוֹם",
    ),
    *(
        "Ελληνικά",
        "Русский",
        "ÉCOLE",
        "éÀ",
        "naïve",
        "e\u0301",
        "a\u0308\u0301",
        "Straße",
        "ǅ",
        "𝒳",
        "𐐀",
        "ﬁ",
        "ꮿ",
    ),
    *(
        "😀",
        "👩\u200d👩\u200d👧",
        "🇨🇳",
        "❤️",
        "☃",
        "€",
        "$9.99",
        "+=",
        "<=>",
        "^~|`",
        "a_b",
        "#include",
        "//",
        "/*",
    ),
    *(
        "x@y.com",
        "http://a.b/c?d=e&f",
        "[x]",
        "{y}",
        "(z)",
        "!",
        "?!",
        "...",
        "-",
        "**",
        "…",
        "·",
        "‘q’",
        "“q”",
        "।",
        "۔",
    ),
    *(
        " ",
        "  ",
        "    ",
        "\t",
        "\t\t",
        "\n",
        "\n\n",
        "\r\n",
        "\r\n\r\n",
        " \n",
        "\n ",
        "  \n  ",
        "\u00a0",
        "\u3000",
    ),
    *(
        "\u2003",
        "\u200b",
        "\u200d",
        "\ufeff",
        "\u0085",
        "\u2028",
        "\v",
        "\f",
        "\x00",
        "\x01",
        "\x1b[0m",
        "\x7f",
    ),
    *(
        "\u00ad",
        "\ue000",
        "\U000f0000",
        "\U0010ffff",
        "\ufffd",
        "\u0378",
        "\ud7fb",
        "ꀀ",
        "ᚠ",
        "Å",
        "㊗",
        "<sentinel:12>",
    ),
]


@cache
def hard_texts() -> tuple[str, ...]:
    """Each part alone and beside others, long runs, and mixtures."""
    chance = random.Random(5)
    texts = [
        *PARTS,
        *(f" {part}" for part in PARTS),
        *(f"a{part}" for part in PARTS),
        *(f"{part}1" for part in PARTS),
    ]
    texts += [" " * n + "x" for n in (3, 7, 8, 15, 17, 300)] + ["\n" * n + " y" for n in (1, 3)]
    texts += ["9" * n for n in (*range(1, 14), 100)] + ["a" * 70, "中" * 50, "!" * 40, "😀" * 20, "\t \n" * 5]
    texts += [
        joint.join(chance.choices(PARTS, k=chance.randrange(2, 12))) for joint in ("", " ") for _ in range(60)
    ]
    return tuple(texts)


@cache
def telling_vocabulary(n_tokens: int = 5000) -> dict[str, Any]:
    """Tables of a vocabulary that was trained on these texts unsplit. Its tokens cross every boundary that a
    pre-tokenizer could set, so that the ids tell where it set them."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    trainer = trainers.BpeTrainer(
        vocab_size=n_tokens,
        min_frequency=1,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=["<unk>", "<s>", "</s>"],
        show_progress=False,
    )
    tokenizer.train_from_iterator(hard_texts(), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
    return {
        "general.architecture": "llama",
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [2, 3, 3] + [1] * (len(tokens) - 3),
        "tokenizer.ggml.merges": [
            merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]
        ],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
    }
