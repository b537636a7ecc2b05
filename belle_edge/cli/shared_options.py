"""Options that several commands have, each declared once."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .._core import KV_TYPES
from ..convert.type_mixes import DEFAULT_TYPE, NAMES, TYPES
from ..languages import LANGUAGES, t
from ..languages.choice import VARIABLE
from ..text.prompts import FAMILIES

if TYPE_CHECKING:
    from ..convert import TypeRules

_Container = argparse._ActionsContainer  # a parser, or a group of one


def add_type_argument(
    parser: _Container, *short: str, help: str | None = None, default: str | None = None
) -> None:
    """--type, a type or a mix that the converter writes. `default` is the value where it is not given."""
    parser.add_argument(
        *short,
        "--type",
        choices=NAMES,
        default=default,
        metavar="TYPE",  # all of them would be longer than a line
        help=t(
            "{what}: {types} (default: {type})",
            what=help or t("type of the matrices"),
            types=", ".join(NAMES),
            type=DEFAULT_TYPE,
        ),
    )


def add_type_rule_arguments(parser: argparse.ArgumentParser) -> None:
    """The other fields of `TypeRules`, in a group of their own."""
    rules = parser.add_argument_group(t("single matrices"))
    rules.add_argument(
        "--tensor-type",
        action="append",
        default=[],
        metavar="PATTERN=TYPE",
        help=t(
            "type of the matrices whose names match, as 'blk.*.ffn_down=q8_0'; may be repeated, the last one counts"
        ),
    )
    types = ", ".join(TYPES)
    for option, what in (
        ("--head-type", t("type of the output matrix")),
        ("--embedding-type", t("type of the embedding")),
    ):
        text = t("{what}: {types}", what=what, types=types)
        rules.add_argument(option, choices=TYPES, metavar="TYPE", help=text)
    rules.add_argument(
        "--pure", action="store_true", help=t("every matrix in the type that most of the mix have")
    )


def type_rules(args: argparse.Namespace) -> TypeRules:
    """What the command line says about types. Raises ConversionError as `TypeRules` does."""
    from ..convert import TypeRules

    return TypeRules(
        args.type,
        tensor_type=args.tensor_type,
        head_type=args.head_type,
        embedding_type=args.embedding_type,
        pure=args.pure,
    )


def add_family_argument(parser: _Container, *, help: str, none: bool = False) -> None:
    """--family. none: whether "none" is one."""
    parser.add_argument("--family", choices=(*FAMILIES, "none") if none else tuple(FAMILIES), help=help)


def add_revision_argument(parser: _Container, *, help: str | None = None) -> None:
    """--revision."""
    parser.add_argument("--revision", help=help or t("branch, tag or commit of a hub id"))


def add_language_argument(parser: _Container) -> None:
    """--language; `language_option` reads it before there is a parser, since that speaks the language."""
    parser.add_argument(
        "--language",
        choices=LANGUAGES,
        help=t("language of messages (default: ${variable}, or the system's)", variable=VARIABLE),
    )


def add_threads_argument(parser: _Container) -> None:
    """--threads; None where it is not given."""
    parser.add_argument(
        "--threads", type=int, metavar="N", help=t("default: every processor this process may use")
    )


def add_isa_argument(parser: _Container) -> None:
    """--isa; None where it is not given."""
    parser.add_argument(
        "--isa", metavar="TIER", help=t("instruction-set tier, see `belle-edge info` (default: the best)")
    )


def add_context_argument(parser: _Container, *, help: str) -> None:
    """--context, in tokens; None where it is not given."""
    parser.add_argument("--context", type=int, metavar="N", help=t("{what} (default: as trained)", what=help))


def add_kv_argument(parser: _Container, *, help: str) -> None:
    """--kv."""
    parser.add_argument("--kv", choices=("auto", *KV_TYPES), default="auto", help=help)


def add_force_argument(parser: _Container, *, help: str) -> None:
    """-f, --force."""
    parser.add_argument("-f", "--force", action="store_true", help=help)


def add_json_argument(parser: _Container, *, help: str | None = None) -> None:
    """--json."""
    parser.add_argument(
        "--json",
        action="store_true",
        help=help or t("print the report as one JSON line, and nothing else"),
    )
