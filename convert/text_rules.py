"""What a byte-fallback tokenizer does to a text before its merges: what a file can say, and warnings for the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from belle_edge.convert.source_tokenizer import LLAMA, lost_scheme, prefix_scheme
from belle_edge.errors import ConversionError, excerpt

_MARK = "▁"
_SPACE_TO_MARK = {"type": "Replace", "pattern": {"String": " "}, "content": _MARK}
_PREPEND_MARK = {"type": "Prepend", "prepend": _MARK}


@dataclass
class TextRules:
    """Which parts of a text get a space in front: see belle_edge.text.vocabulary.Vocabulary.space_prefix."""

    add_space_prefix: bool
    space_prefix: str | None = None
    warnings: list[str] = field(default_factory=list)


def rules_of(
    tokenizer: Mapping[str, Any] | None, model: Any, class_name: str, settings: Mapping[str, Any]
) -> TextRules:
    """The rules of the class that transformers takes. tokenizer: tokenizer.json; model: a ModelProto, where there is
    no such file."""
    warnings = [] if model is None else list(_flags_left_out(model))
    if class_name == LLAMA:  # it has rules of its own, whatever the files say
        scheme = prefix_scheme(settings, tokenizer)
        if scheme == "always" and lost_scheme(settings, tokenizer):
            warnings.append(
                "tokenizer.json puts a space before every part between added tokens, which is kept; transformers 5"
                " forgets that when it loads the file, unless tokenizer_config.json says legacy true"
            )
        if model is not None and model.normalizer_spec.add_dummy_prefix == (scheme == "never"):
            warnings.append(
                f"tokenizer.model puts {'a' if scheme == 'never' else 'no'} space in front of a text"
                " (add_dummy_prefix), transformers' LlamaTokenizer does otherwise: followed here"
            )
        return TextRules(scheme != "never", None if scheme == "never" else scheme, warnings)
    if tokenizer is not None:
        return _rules_of_json(tokenizer)
    if settings.get("add_prefix_space") is False and model.normalizer_spec.add_dummy_prefix:
        warnings.append(
            "add_prefix_space false counts for tokenizer_class LlamaTokenizer only: a space is put in front, as"
            " tokenizer.model says (add_dummy_prefix)"
        )
    if not model.normalizer_spec.add_dummy_prefix:
        return TextRules(False, None, warnings)
    return TextRules(True, "each" if settings.get("legacy", True) else "first", warnings)


def refuse_unknown_options(model: Mapping[str, Any]) -> None:
    """ConversionError for options of a BPE that no GGUF tokenizer has."""
    for option in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(option):
            raise ConversionError(
                f"[tokenizer.json] BPE option {option}={excerpt(model[option])} has no counterpart in GGUF"
            )


def _flags_left_out(model: Any) -> Iterator[str]:
    spec, trainer = model.normalizer_spec, model.trainer_spec
    ending = "; the file's tokenizer does not"
    if spec.remove_extra_whitespaces:
        yield f"tokenizer.model removes extra spaces (remove_extra_whitespaces){ending}"
    if trainer.treat_whitespace_as_suffix:
        yield f"tokenizer.model puts the space behind words (treat_whitespace_as_suffix){ending}"
    if not spec.escape_whitespaces:
        yield f"tokenizer.model keeps spaces as they are (escape_whitespaces is false){ending}"
    if not trainer.byte_fallback:
        yield "tokenizer.model has no byte fallback: characters that it does not know become the unknown token"


def _rules_of_json(tokenizer: Mapping[str, Any]) -> TextRules:
    rules = TextRules(False)
    marks_spaces = False
    for step in steps_of(tokenizer.get("normalizer"), "normalizers"):
        if _agrees(step, _PREPEND_MARK):
            rules.add_space_prefix, rules.space_prefix = True, "each"
        elif _agrees(step, _SPACE_TO_MARK):
            marks_spaces = True
        else:
            rules.warnings.append(_left_out("normalizer", step))
    for step in steps_of(tokenizer.get("pre_tokenizer"), "pretokenizers"):
        if step.get("type") != "Metaspace" or step.get("replacement") != _MARK:
            rules.warnings.append(_left_out("pre-tokenizer", step))
            continue
        marks_spaces = True
        scheme = step.get("prepend_scheme", "always") if step.get("add_prefix_space", True) else "never"
        if scheme != "never" and not rules.add_space_prefix:
            rules.add_space_prefix, rules.space_prefix = True, scheme
        if step.get("split", True) and _crosses_words(tokenizer):
            rules.warnings.append(
                "tokenizer.json splits texts at spaces before it joins pieces (Metaspace, split); the file's tokenizer"
                " does not"
            )
    if not marks_spaces:
        rules.warnings.append("tokenizer.json does not write spaces as ▁; the file's tokenizer does")
    return rules


def steps_of(part: Any, name: str) -> list[Mapping[str, Any]]:
    """The steps of a normalizer or pre-tokenizer, those of sequences one by one."""
    if not part:
        return []
    if part.get("type") == "Sequence" or name in part:
        return [inner for step in part.get(name) or [] for inner in steps_of(step, name)]
    return [part]


def _agrees(step: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    return all(step.get(key) == value for key, value in expected.items())


def _left_out(kind: str, step: Mapping[str, Any]) -> str:
    return (
        f"tokenizer.json has the {kind} {excerpt(step.get('type'))}, which GGUF's llama tokenizer has not:"
        " texts that it changes or splits get other ids"
    )


def _crosses_words(tokenizer: Mapping[str, Any]) -> bool:
    """Whether a piece goes on after a space."""
    vocabulary = (tokenizer.get("model") or {}).get("vocab") or {}
    return any(_MARK in token[1:] for token in vocabulary)
