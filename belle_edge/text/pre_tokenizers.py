"""Pre-tokenizers of byte-level BPE, as data: tokenizer.ggml.pre -> how its published tokenizer splits a text.

The patterns are those of the published tokenizers, as far as they are known, with Unicode's own classes. llama.cpp's
rewriting of some, for an engine without these classes, splits rare texts otherwise: docs/design/text.md has the list.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import UnsupportedModelError, excerpt

USE_LLAMA_CPP = "the llama.cpp backend reads such files"

# Where a long text may be cut: no pattern joins the two sides, and none looks behind, or ahead at more than white space
# and digits. So both sides are split as in the whole text.
_AFTER_A_WORD = r"[A-Za-z\u4e00-\u9fa5](?=[ \t\r\n.,!?。，、])"
_AFTER_A_SENTENCE = r"[A-Za-z\u4e00-\u9fa5](?=[\t\r\n.,!?。，、])"  # for words that one space joins
_BEFORE_A_NUMBER = r"[A-Za-z ](?=[0-9])"


@dataclass(frozen=True)
class PreTokenizer:
    """Steps, one after the other: each cuts the parts of the one before at the matches of its pattern."""

    steps: tuple[str, ...]
    whole_words_first: bool = False  # a word that is in the vocabulary skips the merges
    adds_bos: bool = False  # what a file without tokenizer.ggml.add_bos_token means
    cut_places: str = _AFTER_A_WORD  # a pattern of Python's `re`: a long text may be cut after its matches


def _characters(ranges: str) -> str:
    """Code points and ranges of them, in hexadecimal, as they stand in a class of a pattern."""
    return "".join(
        "-".join(rf"\x{{{code}}}" for code in characters.split("-")) for characters in ranges.split()
    )


# The published tokenizers, by what they share. Contractions of English take any case where (?i:…) stands.
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"
EACH_DIGIT = r"\p{N}"
RUN_OF_DIGITS = r"\p{N}+"
_THREE_DIGITS = r"\p{N}{1,3}"
_THREE_OF_ASCII = "[0-9][0-9][0-9]"

# Groups of three digits, counted from the last. The published patterns look ahead to a number's end from each of its
# digits, so a text of digits takes the square of its length. These look once and go on from there.
_THOUSANDS = r"(?<!\d)\d{1,3}(?=(?:\d{3})*\b)|(?<=\d)\G\d{3}"
_NO_THOUSANDS = r"\d{0,2}(?=(?:\d{3})*(?!\d))"
_UP_TO_THOUSANDS = rf"(?:\D+{_NO_THOUSANDS})*"
_BEFORE_THOUSANDS = rf"\A(?!(?:\d{{3}})+(?!\d)){_NO_THOUSANDS}{_UP_TO_THOUSANDS}|\d{{3}}{_UP_TO_THOUSANDS}"

_ENGLISH = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_WORD = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_MARKED_WORD = r"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+"
_SIGNS = r" ?[^\s\p{L}\p{N}]+[\r\n]*"
_SPACES = r"\s+(?!\S)|\s+"
_LINES = rf"\s*[\r\n]+|{_SPACES}"
LLAMA3 = rf"{_ENGLISH}|{_WORD}|{_THREE_DIGITS}|{_SIGNS}|{_LINES}"
QWEN2 = rf"{_ENGLISH}|{_WORD}|{EACH_DIGIT}|{_SIGNS}|{_LINES}"
_QWEN35 = rf"{_ENGLISH}|{_MARKED_WORD}|{EACH_DIGIT}| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|{_LINES}"
_UFAKZEKA = rf"{_WORD}|{EACH_DIGIT}|{_SIGNS}|{_LINES}"
_MINICPM5 = rf"{_ENGLISH}|{_WORD}|{RUN_OF_DIGITS}|{_SIGNS}|{_LINES}"
_SEED_CODER = rf"{_ENGLISH}|{_WORD}|{EACH_DIGIT}| ?[^\s\p{{L}}\p{{N}}\r\n]+|{_LINES}"
_BAILING = rf"'(?i:[sdmt]|ll|ve|re)|{_WORD}|{EACH_DIGIT}|{_SIGNS}|\s*[\r\n]|{_SPACES}"
_EXAONE_MOE = (
    rf"{_ENGLISH}|[^\r\n\p{{L}}\p{{N}}]?(?:\p{{L}}\p{{M}}*(?: \p{{L}}\p{{M}}*)*)+|{EACH_DIGIT}"
    rf"| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]?|\s*[\r\n]|{_SPACES}"
)
_JAIS2_SPACES = "|".join(rf"\s{{{n}}}(?!\S)" for n in (512, 256, 128, 64, 32, 16, 8, 4))
_JAIS2 = rf"{_ENGLISH}|{_WORD}|{_THREE_DIGITS}|{_SIGNS}|\s*[\r\n]+|{_JAIS2_SPACES}|\s{{1,2}}(?!\S)|\s{{1}}"

# Words end where a small letter is followed by a capital.
_UPPER, _LOWER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"


def _cased_words(ending: str, *, without: str = "") -> str:
    upper, lower = f"[{_UPPER}{without}]", f"[{_LOWER}{without}]"
    in_front = r"[^\r\n\p{L}\p{N}]?"
    return f"{in_front}{upper}*{lower}+{ending}|{in_front}{upper}+{lower}*{ending}"


_PATHS = r" ?[^\s\p{L}\p{N}]+[\r\n/]*"
_TEKKEN = rf"{_cased_words('')}|{EACH_DIGIT}|{_PATHS}|{_LINES}"
_GPT4O = rf"{_cased_words(_ENGLISH + '?')}|{_THREE_DIGITS}|{_PATHS}|{_LINES}"
_YOUTU = rf"{_cased_words(_ENGLISH + '?')}|{EACH_DIGIT}|{_PATHS}|{_LINES}"
_KIMI_K2 = (
    r"\p{Han}+|"
    + _cased_words(_ENGLISH + "?", without=r"&&[^\p{Han}]")
    + rf"|{_THREE_DIGITS}|{_SIGNS}|{_LINES}"
)

EACH_SIGN, RUN_OF_SIGNS = r"[\p{P}$+<=>^~|`]", r"[\p{P}$+<=>^~|`]+"
_ASCII_SIGNS = r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]"""
_DEEPSEEK_WORDS = (
    rf"{_ASCII_SIGNS}[A-Za-z]+|[^\r\n\p{{L}}\p{{P}}\p{{S}}]?[\p{{L}}\p{{M}}]+| ?[\p{{P}}\p{{S}}]+"
)
_DEEPSEEK3 = rf"{_DEEPSEEK_WORDS}[\r\n]*|{_LINES}"
_SPARK = rf"{_DEEPSEEK_WORDS}|[\r\n]|{_SPACES}"
_HAN_KANA = f"[{_characters('4E00-9FA5 3040-309F 30A0-30FF')}]+"
_HAN_HANGUL = f"[{_characters('4E00-9FA5 800-4E00 AC00-D7FF')}]+"
_CASED_SCRIPTS = _characters(
    "41-5A 61-7A B5 C0-D6 D8-F6 F8-1BA 1BC-1BF 1C4-293 295-2AF 370-373 376 377 37B-37D 37F 386 388-38A 38C 38E-3A1"
    " 3A3-3F5 3F7-481 48A-52F 531-556 10A0-10C5 13A0-13F5 13F8-13FD 1C90-1CBA 1CBD-1CBF 1D00-1D2B 1D6B-1D77"
    " 1D79-1D9A 1E00-1F15 1F18-1F1D 1F20-1F45 1F48-1F4D 1F50-1F57 1F59 1F5B 1F5D 1F5F-1F7D 1F80-1FB4 1FB6-1FBC 1FBE"
    " 1FC2-1FC4 1FC6-1FCC 1FD0-1FD3 1FD6-1FDB 1FE0-1FEC 1FF2-1FF4 1FF6-1FFC 2102 2107 210A-2113 2115 2119-211D 2124"
    " 2126 2128 212A-212D 212F-2134 2139 213C-213F 2145-2149 214E 2183 2184 2C00-2C7B 2C7E-2CE4 2CEB-2CEE 2CF2 2CF3"
    " A640-A66D A680-A69B A722-A76F A771-A787 A78B-A78E AB70-ABBF FB00-FB06 FB13-FB17 FF21-FF3A FF41-FF5A 10400-1044F"
    " 104B0-104D3 104D8-104FB 10C80-10CB2 10CC0-10CF2 118A0-118DF 1E900-1E943"
)
_WIDE_SIGNS = _characters("21-2F 3A-7E FF01-FF0F FF1A-FF5E 2018-201F 3000-3002")
_YOUTU_SCRIPTS = "|".join(
    f"[{_characters(ranges)}]+"
    for ranges in (
        "AC00-D7A3 3131-318E",
        "FF01 2026 201C 201D 2018 2019 2014 FF1A FF1B FF0C 3001-303F FE30-FE4F",
        "3105-312F",
        "4E00-9FA5 3040-309F 30A0-30FF",
    )
)

_TABLE: dict[tuple[str, ...], PreTokenizer] = {
    ("default",): PreTokenizer((r"[\p{P}$+<=>^~|]+", GPT2, RUN_OF_DIGITS, _THREE_OF_ASCII)),
    (
        "llama-bpe",
        "llama3",
        "llama-v3",
        "pixtral",
        "falcon3",
        "falcon-h1",
        "midm-2.0",
        "lfm2",
        "jina-v5-nano",
    ): PreTokenizer((LLAMA3,), whole_words_first=True, adds_bos=True),
    ("dbrx", "smaug-bpe", "chatglm-bpe"): PreTokenizer((LLAMA3,)),
    ("glm4", "glm5"): PreTokenizer((LLAMA3,), whole_words_first=True),
    ("jais-2",): PreTokenizer((_JAIS2,)),
    ("minicpm5",): PreTokenizer((_THREE_DIGITS, _MINICPM5), whole_words_first=True),
    (
        "qwen2",
        "deepseek-r1-qwen",
        "kormo",
        "f2llmv2",
        "megrez",
        "stablelm2",
        "hunyuan",
        "solar-open",
        "grok-2",
    ): PreTokenizer((QWEN2,)),
    ("qwen35",): PreTokenizer((_QWEN35,)),
    ("ufakzeka",): PreTokenizer((_UFAKZEKA,)),
    ("laguna",): PreTokenizer((r"[^\n]+|\n+", QWEN2)),
    ("seed-coder",): PreTokenizer((_SEED_CODER,)),
    ("bailingmoe", "bailingmoe2", "llada-moe"): PreTokenizer((_BAILING,)),
    ("exaone-moe",): PreTokenizer((_EXAONE_MOE,), cut_places=_AFTER_A_SENTENCE),
    ("tekken",): PreTokenizer((_TEKKEN,), whole_words_first=True, adds_bos=True),
    ("gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"): PreTokenizer((_GPT4O,)),
    ("granite-embed-multi-97m",): PreTokenizer((_GPT4O,), whole_words_first=True),
    ("tiny_aya", "cohere2moe"): PreTokenizer((_THOUSANDS, _GPT4O)),
    ("youtu",): PreTokenizer((_YOUTU_SCRIPTS, _YOUTU), whole_words_first=True),
    ("kimi-k2",): PreTokenizer((_KIMI_K2,)),
    ("deepseek-llm",): PreTokenizer(
        (r"[\r\n]", rf"\s?[{_CASED_SCRIPTS}]+", rf"\s?[{_WIDE_SIGNS}]+", r"\s+$", _HAN_HANGUL, RUN_OF_DIGITS)
    ),
    ("deepseek-coder",): PreTokenizer((r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", _HAN_HANGUL, EACH_DIGIT)),
    ("deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"): PreTokenizer(
        (_THREE_DIGITS, _HAN_KANA, _DEEPSEEK3)
    ),
    ("spark2_5",): PreTokenizer((_THREE_DIGITS, _HAN_KANA, _SPARK, EACH_DIGIT)),
    ("falcon",): PreTokenizer((RUN_OF_SIGNS, GPT2, _THREE_OF_ASCII)),
    (
        "gpt-2",
        "phi-2",
        "mpt",
        "olmo",
        "jais",
        "trillion",
        "granite-docling",
        "exaone4",
        "gigachat",
        "a.x-4.0",
        "mellum",
        "modern-bert",
        "roberta-bpe",
        "jina-es",
        "jina-de",
        "jina-v1-en",
        "jina-v2-es",
        "jina-v2-de",
        "jina-v2-code",
    ): PreTokenizer((GPT2,)),
    (
        "smollm",
        "starcoder",
        "refact",
        "command-r",
        "codeshell",
        "exaone",
        "minerva-7b",
        "mellum2",
    ): PreTokenizer((EACH_DIGIT, GPT2)),
    ("chameleon",): PreTokenizer(
        (
            "<sentinel:[0-9]+>",
            "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z",
            r"([\t\n]|    |  )",
            EACH_DIGIT,
            r"[\p{P}!-/:-@\[-`{-~]",
            GPT2,
        ),
        adds_bos=True,
    ),
    ("superbpe",): PreTokenizer((RUN_OF_DIGITS, _BEFORE_THOUSANDS), cut_places=_BEFORE_A_NUMBER),
    ("bloom", "gpt3-finnish", "poro-chat"): PreTokenizer((BLOOM,)),
    ("viking",): PreTokenizer((BLOOM, EACH_DIGIT)),
}
PRE_TOKENIZERS = {name: splits for names, splits in _TABLE.items() for name in names}


def pre_tokenizer(name: str) -> PreTokenizer:
    """The pre-tokenizer of this name. UnsupportedModelError for one that is not implemented, and for none."""
    found = PRE_TOKENIZERS.get(name)
    if found is not None:
        return found
    if not name:
        raise UnsupportedModelError(
            "[tokenizer] the file does not name its pre-tokenizer (tokenizer.ggml.pre is missing): convert the model"
            f" anew; {USE_LLAMA_CPP}, and guesses"
        )
    raise UnsupportedModelError(
        f"[tokenizer] pre-tokenizer {excerpt(name)} (tokenizer.ggml.pre) is not implemented: a newer version may know"
        f" it, or convert the model so that the file has its tokenizer.huggingface.json; {USE_LLAMA_CPP}"
    )
