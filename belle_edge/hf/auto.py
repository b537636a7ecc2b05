"""AutoTokenizer and AutoModelForCausalLM: `from_pretrained` with transformers' arguments."""

from __future__ import annotations

import inspect
import logging
import os
from typing import Any

from ..convert.type_rules import TypeRules, rules_from
from ..errors import ModelFormatError
from ..settings import integer
from ..text.chat_format import ChatFormat
from ..text.tokenizer import Tokenizer
from .causal_lm import HfModel
from .loading_options import DTYPES, check_loading, warn_of_types
from .pretrained_tokenizer import HfTokenizer
from .sources import Options, find, tokenizer_metadata

_log = logging.getLogger(__name__)


class AutoTokenizer:
    """Use `AutoTokenizer.from_pretrained`."""

    @staticmethod
    def from_pretrained(
        pretrained_model_name_or_path: str | os.PathLike[str],
        *,
        revision: str | None = None,
        family: str | None = None,
        quantization: str | TypeRules | None = None,
        gguf_file: str | None = None,
        padding_side: str | None = None,
        truncation_side: str | None = None,
        model_max_length: int | None = None,
        pad_token: str | None = None,
        chat_template: str | None = None,
        **others: Any,
    ) -> HfTokenizer:
        """The tokenizer of a GGUF file, a checkpoint folder, or a hub id (without its weights).

        family: prompt family of the chat template, if the recognised one is wrong. quantization, gguf_file:
        as for the model, where there are several GGUF files. padding_side, truncation_side, model_max_length,
        pad_token, chat_template: instead of the file's own. What becomes of transformers' other arguments:
        docs/HF.md.
        Raises ConversionError, OSError, ModelFormatError, UnsupportedModelError, ValueError.
        """
        check_loading("AutoTokenizer", others, _TOKENIZER_ARGUMENTS)
        name = os.fspath(pretrained_model_name_or_path)
        options = Options(rules_from(quantization), family=family, revision=revision, gguf_file=gguf_file)
        source = find(name, options, weights=False)
        metadata = tokenizer_metadata(source)
        settings = dict(source.json("tokenizer_config.json") or {})
        stated = {"padding_side": padding_side, "truncation_side": truncation_side}
        stated_settings: dict[str, Any] = {key: value for key, value in stated.items() if value is not None}
        if model_max_length is not None:
            stated_settings["model_max_length"] = integer(
                "[tokenizer] model_max_length", model_max_length, low=1
            )
        tokenizer = HfTokenizer(
            Tokenizer.from_metadata(metadata),
            chat_template=chat_template or ChatFormat.from_metadata(metadata).template,
            settings={**settings, **stated_settings},
            name_or_path=name,
        )
        if pad_token is not None:
            tokenizer.pad_token = pad_token
        return tokenizer


class AutoModelForCausalLM:
    """Use `AutoModelForCausalLM.from_pretrained`."""

    @staticmethod
    def from_pretrained(
        pretrained_model_name_or_path: str | os.PathLike[str],
        *,
        revision: str | None = None,
        quantization: str | TypeRules | None = None,
        family: str | None = None,
        gguf_file: str | None = None,
        load_in_8bit: bool = False,
        load_in_4bit: bool = False,
        backend: str = "native",
        threads: int | None = None,
        context: int | None = None,
        kv: str = "auto",
        isa: str | None = None,
        **others: Any,
    ) -> HfModel:
        """The model of a GGUF file, a checkpoint folder, or a hub id.

        Folders and hub ids are converted once, into a cache ($BELLE_CACHE, or the user's cache folder).
        quantization: type of the matrices as for `convert`: a name, or a `TypeRules`; None: the default mix, or q8_0
        for load_in_8bit. backend, threads, context, kv, isa: as for `Belle.load`. Everything is on the CPU, so
        device_map and the like change nothing; a dtype does not choose the weights' type, and a warning says so.
        What becomes of transformers' other arguments: docs/HF.md.
        Raises ConversionError, OSError, ModelFormatError, UnsupportedModelError, ValueError.
        """
        check_loading("AutoModelForCausalLM", others, _MODEL_ARGUMENTS)
        name = os.fspath(pretrained_model_name_or_path)
        rules = rules_from(quantization or ("q8_0" if load_in_8bit and not load_in_4bit else None))
        options = Options(rules, family=family, revision=revision, gguf_file=gguf_file)
        engine: dict[str, Any] = {
            "backend": backend,
            "threads": threads,
            "context": context,
            "kv": kv,
            "isa": isa,
            "name_or_path": name,
        }
        source = find(name, options, weights=True)
        if quantization is None and source.folder is not None:
            for name_of_type in DTYPES:
                warn_of_types(others.get(name_of_type), rules.label)
        settings = source.json("generation_config.json")
        try:
            return HfModel(source.gguf(), generation_config=settings, **engine)
        except ModelFormatError as error:
            entry = source.entry
            if entry is None:
                raise
            _log.warning("%s: the cached conversion is damaged (%s); converting again", name, error)
            entry.discard()
        source = find(name, options, weights=True)  # the weights, if they were not needed before
        return HfModel(source.gguf(), generation_config=settings, **engine)


_TOKENIZER_ARGUMENTS = frozenset(inspect.signature(AutoTokenizer.from_pretrained).parameters) - {"others"}
_MODEL_ARGUMENTS = frozenset(inspect.signature(AutoModelForCausalLM.from_pretrained).parameters) - {"others"}
