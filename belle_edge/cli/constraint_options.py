"""--schema and --choice: what an answer has to be shaped like."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

from ..languages import t
from ..regular_files import read_regular
from .text_input import BOM, decoded


def add_constraint_arguments(parser: argparse.ArgumentParser) -> None:
    """--schema and --choice, one of them."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--schema",
        type=Path,
        metavar="FILE",
        help=t("the answer is JSON that fulfils the JSON schema in this file"),
    )
    group.add_argument(
        "--choice",
        action="append",
        metavar="A,B,C",
        help=t("the answer is one of these texts; may be repeated; one with a comma stands in double quotes"),
    )


def constraint_settings(args: argparse.Namespace, *, scored: bool = False) -> dict[str, Any]:
    """What the command line says, as `Belle.generate` takes it; nothing where it says nothing.

    scored: choices are no constraint, but compared by likelihood. ValueError and OSError for what cannot be read or is
    not supported, before a model is loaded.
    """
    from ..generation.answer_options import constraint_of
    from ..generation.choice_scores import checked_choices

    settings: dict[str, Any] = {}
    if args.schema is not None:
        path = args.schema.expanduser()
        settings["schema"] = decoded(read_regular(path), encoding=None, where=str(path)).lstrip(BOM)
    if args.choice is not None:
        settings["choice"] = [text for given in args.choice for text in _texts(given)]
    try:
        if scored and "choice" in settings:
            checked_choices(settings["choice"])
        else:
            constraint_of(settings)
    except ValueError as error:
        name = next(iter(settings))
        problem = str(error).removeprefix("[choices] choice: ").removeprefix(f"[constraint] {name}: ")
        raise ValueError(f"--{name}: {problem}") from None
    return settings


def _texts(given: str) -> list[str]:
    """The texts between commas. ValueError for a quotation mark that is not closed."""
    try:
        (row,) = csv.reader([given], strict=True, skipinitialspace=True)
    except (csv.Error, ValueError):
        raise ValueError(f"--choice: expected texts with commas between them, got {given!r}") from None
    return row
