"""The tokenizer of a checkpoint as transformers 5 builds it from the same files, without transformers.

It is what a conversion is compared with. The classes that matter here are few: LlamaTokenizer, which takes the
vocabulary and the post-processor of tokenizer.json and nothing else, GPT2Tokenizer, and the general class, which takes
all of tokenizer.json. Which one a checkpoint gets is decided as `AutoTokenizer` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from belle_edge.convert.sentencepiece_reference import from_sentencepiece, merges_by_id, parse_model
from belle_edge.convert.sources.checkpoint import Checkpoint
from belle_edge.convert.token_settings import AddedTokens, added_tokens
from belle_edge.errors import ConversionError, excerpt

LLAMA, GPT2, GENERAL = "LlamaTokenizer", "GPT2Tokenizer", "TokenizersBackend"
# Names that transformers resolves to the general class, or that it does not know, which is the same.
_GENERAL_NAMES = frozenset(
    {"", "BloomTokenizer", "LLaMATokenizer", "PreTrainedTokenizer", "PythonBackend", "TokenizersBackend"}
)


@dataclass(frozen=True)
class SourceTokenizer:
    """The source's own tokenizer. `class_name` is the class of transformers that it stands for."""

    encoder: Any  # tokenizers.Tokenizer
    class_name: str
    unknown_class: str | None = None  # that the source names and this module does not know

    def encode(self, text: str) -> list[int]:
        """Ids of a text with BOS and EOS as the source adds them; texts of added tokens become those tokens."""
        return list(self.encoder.encode(text, add_special_tokens=True).ids)

    def encode_plain(self, text: str) -> list[int]:
        """Ids without BOS and EOS."""
        return list(self.encoder.encode(text, add_special_tokens=False).ids)

    def surroundings(self) -> tuple[list[int], list[int]]:
        """The ids that are put before and behind every text."""
        plain, whole = self.encode_plain("a"), self.encode("a")
        at = next((i for i in range(len(whole)) if whole[i : i + len(plain)] == plain), 0)
        return whole[:at], whole[at + len(plain) :]

    @property
    def added(self) -> dict[int, Any]:
        """id → tokenizers.AddedToken."""
        return dict(self.encoder.get_added_tokens_decoder())


def source_tokenizer(checkpoint: Checkpoint) -> SourceTokenizer | None:
    """The tokenizer that the files describe; None where the weights bring the vocabulary, or no file does.

    Raises ConversionError where the libraries do not load the files.
    """
    content = checkpoint.text("tokenizer.json")
    model = checkpoint.files.read("tokenizer.model")
    if checkpoint.vocabulary is not None or (content is None and model is None):
        return None
    settings = optional_json(checkpoint, "tokenizer_config.json")
    kind, unknown = class_of(checkpoint, settings)
    try:
        added = added_tokens(checkpoint, settings, is_llama=kind == LLAMA)
        encoder = (
            _of_json(checkpoint, content, kind, settings)
            if content is not None
            else _of_model(model or b"", kind, settings, added)
        )
        added.add_to(encoder)
        _finish(encoder, settings, added, has_json=content is not None)
    except ConversionError:
        raise
    except Exception as error:  # the library raises plain Exception
        name = "tokenizer.json" if content is not None else "tokenizer.model"
        raise ConversionError(f"[{name}] tokenizers does not load it: {excerpt(str(error))}") from None
    return SourceTokenizer(encoder, kind, unknown)


def class_of(checkpoint: Checkpoint, settings: Mapping[str, Any]) -> tuple[str, str | None]:
    """(the class that transformers takes, the name of one that is not known here)."""
    stated = settings.get("tokenizer_class") or checkpoint.config.get("tokenizer_class") or ""
    name = stated.removesuffix("Fast") if isinstance(stated, str) else ""
    if name == LLAMA:
        content = checkpoint.text("tokenizer.json") or ""
        return (GENERAL if '"ByteLevel"' in content else LLAMA), None
    if name == GPT2:
        return GPT2, None
    return GENERAL, None if name in _GENERAL_NAMES else name


def prefix_scheme(settings: Mapping[str, Any], tokenizer: Mapping[str, Any] | None) -> str:
    """LlamaTokenizer's scheme of the space in front: never, always (before every part), first."""
    prefix = settings.get("add_prefix_space")
    if prefix is not None and not prefix:
        return "never"
    return "always" if settings.get("legacy", False) or lost_scheme(settings, tokenizer) else "first"


def lost_scheme(settings: Mapping[str, Any], tokenizer: Mapping[str, Any] | None) -> bool:
    """Whether tokenizer.json alone says that every part gets a space: transformers 5 does not save `legacy`, so a
    tokenizer that it saved is another one when it loads it."""
    step = (tokenizer or {}).get("pre_tokenizer") or {}
    is_llama = step.get("type") == "Metaspace" and not (tokenizer or {}).get("normalizer")
    return is_llama and "legacy" not in settings and step.get("prepend_scheme") == "always"


def optional_json(checkpoint: Checkpoint, name: str) -> dict[str, Any]:
    """A JSON object that may be absent, or a file of no bytes, as some published ones are."""
    return (checkpoint.json(name) or {}) if checkpoint.files.read(name) else {}


def _of_json(checkpoint: Checkpoint, content: str, kind: str, settings: Mapping[str, Any]) -> Any:
    tokenizers = import_module("tokenizers")
    whole = tokenizers.Tokenizer.from_str(content)
    if kind == GENERAL:
        return whole
    parsed = checkpoint.json("tokenizer.json") or {}
    model = parsed["model"]
    merges = [tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair) for pair in model["merges"]]
    encoder = (
        _llama(model["vocab"], merges, prefix_scheme(settings, parsed))
        if kind == LLAMA
        else _gpt2(model["vocab"], merges, settings)
    )
    if whole.post_processor is not None:
        encoder.post_processor = whole.post_processor
    return encoder


def _of_model(content: bytes, kind: str, settings: Mapping[str, Any], added: AddedTokens) -> Any:
    model = parse_model("tokenizer.model", content)
    added.take_pieces(model, user_defined=kind == LLAMA)
    if kind == LLAMA:
        vocabulary = {piece.piece: index for index, piece in enumerate(model.pieces)}
        return _llama(vocabulary, merges_by_id(vocabulary), prefix_scheme(settings, None))
    added.take_names(model.trainer_spec)
    return from_sentencepiece(model, legacy=bool(settings.get("legacy", True)), names=added.names_by_id)


def _llama(vocabulary: dict[str, int], merges: list[Any], scheme: str) -> Any:
    tokenizers = import_module("tokenizers")
    encoder = tokenizers.Tokenizer(
        tokenizers.models.BPE(vocab=vocabulary, merges=merges, fuse_unk=True, byte_fallback=True)
    )
    encoder.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace(
        replacement="▁", prepend_scheme=scheme, split=False
    )
    return encoder


def _gpt2(vocabulary: dict[str, int], merges: list[Any], settings: Mapping[str, Any]) -> Any:
    tokenizers = import_module("tokenizers")
    encoder = tokenizers.Tokenizer(
        tokenizers.models.BPE(
            vocab=vocabulary, merges=merges, continuing_subword_prefix="", end_of_word_suffix=""
        )
    )
    encoder.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(
        add_prefix_space=bool(settings.get("add_prefix_space", False))
    )
    return encoder


def _finish(encoder: Any, settings: Mapping[str, Any], added: AddedTokens, *, has_json: bool) -> None:
    """What is put around a text: stated in tokenizer.json where there is one, else in the settings."""
    encoder.no_padding()
    encoder.no_truncation()
    encoder.encode_special_tokens = bool(settings.get("split_special_tokens", False))
    stated = not has_json and ("add_bos_token" in settings or "add_eos_token" in settings)
    if not stated and encoder.post_processor is not None:
        return
    adds = {kind: not has_json and bool(settings.get(f"add_{kind}_token")) for kind in ("bos", "eos")}
    around = {kind: added.named.get(f"{kind}_token") if adds[kind] else None for kind in adds}
    bos, eos = ("" if token is None else str(token) for token in around.values())
    template = f"{bos + ':0 ' if bos else ''}$A:0{' ' + eos + ':0' if eos else ''}"
    special = [(token, encoder.token_to_id(token)) for token in (bos, eos) if token]
    encoder.post_processor = import_module("tokenizers").processors.TemplateProcessing(
        single=template, pair=f"{template} $B:1", special_tokens=special
    )
