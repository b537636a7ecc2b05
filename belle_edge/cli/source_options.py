"""Command-line options that say more about a checkpoint than its name does."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..convert.sources.opening import SourceOptions


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that `source_options` collects, in a group of their own."""
    source = parser.add_argument_group("the source")
    source.add_argument("--revision", help="branch, tag or commit of a hub id")


def source_options(args: argparse.Namespace) -> SourceOptions:
    """What the command line says about a source."""
    from ..convert.sources.opening import SourceOptions

    return SourceOptions(revision=args.revision)
