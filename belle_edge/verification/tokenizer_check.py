"""Sample texts through a GGUF's tokenizer: the text comes back, and the ids are those of the source's own files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..errors import ConversionError
from ..tokenizer import Tokenizer
from ..vocabulary import TokenType

if TYPE_CHECKING:
    from ..convert.sources.checkpoint import Checkpoint

SAMPLES: Mapping[str, str] = {
    "Chinese": "你好，有什么可以帮助你的吗？请把“春天”翻译成英文。",
    "traditional and rare": "龍飛鳳舞，魑魅魍魎；𠮷野家。",
    "English": "The quick brown fox doesn't jump over 2 lazy dogs.",
    "digits": "3.14159 + 1,000,000 = ？ 2023-07-04 12:30",
    "emoji": "加油💪🏽！👩‍👩‍👧‍👦 ☕️ 🇨🇳",
    "code": 'def f(x):\n\treturn {"a": [x ** 2, None]}  # 注释\n',
    "whitespace": " leading,  two   three, tab\there,\n\n\nlines and a trailing ",
    "prompt": "Human: 写一首诗。\n\nAssistant:",
    "other scripts": "Привет, мир! こんにちは 안녕 مرحبا é ü ß",
}


@dataclass(frozen=True)
class SampleResult:
    """One text: does it come back, and does the source cut it into the same ids?"""

    name: str
    n_ids: int
    comes_back: bool
    has_unknown: bool  # the vocabulary cannot express it, so it cannot come back
    same_ids: bool | None  # None: there is no source to compare with

    @property
    def ok(self) -> bool:
        return (self.comes_back or self.has_unknown) and self.same_ids is not False

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "ok": self.ok}


def check_round_trip(
    tokenizer: Tokenizer, reference: Callable[[str], list[int]] | None = None
) -> list[SampleResult]:
    """Every sample encoded, decoded, and where there is a `reference` encoder compared with it."""
    types = tokenizer.vocabulary.types
    results = []
    for name, text in SAMPLES.items():
        ids = tokenizer.encode(text, add_bos=False, add_eos=False)
        results.append(
            SampleResult(
                name=name,
                n_ids=len(ids),
                comes_back=tokenizer.decode(ids) == text,
                has_unknown=any(types[token_id] == TokenType.UNKNOWN for token_id in ids),
                same_ids=None if reference is None else reference(text) == ids,
            )
        )
    return results


def source_encoder(checkpoint: Checkpoint) -> Callable[[str], list[int]] | None:
    """Text → ids by the library that the source's own file belongs to; None where there is no such file.

    The same choice as in conversion: tokenizer.json of byte-level BPE, else tokenizer.model, else tokenizer.json.
    """
    from ..convert.byte_level_tables import is_byte_level

    settings = checkpoint.json("tokenizer.json")
    model = checkpoint.files.read("tokenizer.model")
    if model is not None and not (settings is not None and is_byte_level(settings)):
        processor: Any = import_module("sentencepiece").SentencePieceProcessor()
        try:
            processor.LoadFromSerializedProto(model)
        except RuntimeError as error:
            raise ConversionError(f"[tokenizer.model] sentencepiece does not load it: {error}") from None
        return lambda text: list(processor.EncodeAsIds(text))
    if settings is None:
        return None
    try:
        encoder = import_module("tokenizers").Tokenizer.from_str(checkpoint.text("tokenizer.json"))
    except Exception as error:  # the library raises plain Exception
        raise ConversionError(f"[tokenizer.json] tokenizers does not load it: {error}") from None
    return lambda text: list(encoder.encode(text, add_special_tokens=False).ids)


def problems_of(results: list[SampleResult]) -> list[str]:
    """One line for each sample that is not ok."""
    lines = []
    for result in results:
        if not result.comes_back and not result.has_unknown:
            lines.append(f"tokenizer: the sample text {result.name!r} does not come back as it was")
        if result.same_ids is False:
            lines.append(f"tokenizer: the source cuts the sample text {result.name!r} into other ids")
    return lines
