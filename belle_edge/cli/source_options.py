"""Command-line options that say more about a checkpoint than its name does."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..languages import t
from .shared_options import add_revision_argument

if TYPE_CHECKING:
    from ..convert import SourceOptions


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """The fields of `SourceOptions`, in a group of their own."""
    source = parser.add_argument_group(t("the source"))
    add_revision_argument(source)
    source.add_argument(
        "--key", metavar="PTH", help=t("of encrypted files (.enc): consolidated.00.pth of Meta's LLaMA-7B")
    )
    source.add_argument(
        "--lora",
        action="append",
        default=[],
        metavar="DIR[=WEIGHT]",
        help=t("merge a LoRA adapter (PEFT); may be given several times"),
    )
    source.add_argument(
        "--tokenizer",
        metavar="DIR",
        help=t("folder or hub id with the tokenizer (and config.json) of a source without"),
    )
    source.add_argument(
        "--gptq-zeros",
        choices=("minus-one", "plain"),
        help=t("how a GPTQ checkpoint stores its zeros, if that cannot be told from the file"),
    )


def source_options(args: argparse.Namespace) -> SourceOptions:
    """What the command line says about a source. Raises ConversionError as `SourceOptions` does."""
    from ..convert import SourceOptions

    return SourceOptions(
        revision=args.revision,
        key=args.key,
        tokenizer=args.tokenizer,
        gptq_zeros=args.gptq_zeros,
        lora=[_adapter(text) for text in args.lora],
    )


def _adapter(text: str) -> str | tuple[str, float]:
    """DIR or DIR=WEIGHT; a folder may have "=" in its name."""
    folder, separator, weight = text.rpartition("=")
    if not separator or Path(text).expanduser().is_dir():
        return text
    try:
        return folder, float(weight)
    except ValueError:
        return text
