"""`belle-edge pull`: a model from the hub, downloaded with resume and checksums, converted if wanted."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..convert.type_mixes import DEFAULT_TYPE, NAMES, plain_name
from ..languages import t, tn
from .shared_options import (
    add_force_argument,
    add_json_argument,
    add_revision_argument,
    add_type_rule_arguments,
    type_rules,
)
from .standard_streams import say_error, say_note
from .terminal import print_lines

if TYPE_CHECKING:
    from ..pull import Pulled


def add_parser(subparsers: Any) -> None:
    """Register the command on an argparse subparsers object."""
    parser = subparsers.add_parser(
        "pull",
        help=t("download a model from the hub"),
        description=t(
            "Download a model from the hub: the checkpoint's needed files, or one GGUF file. A download that"
            " was cut off continues; hashes are checked; without a connection an earlier download is used."
        ),
        epilog=t("Environment: HF_ENDPOINT (a mirror), HF_TOKEN, HF_HOME (the cache), HF_HUB_OFFLINE=1."),
    )
    parser.add_argument("repo_id", metavar="ID", help=t("hub id, as BelleGroup/BELLE-7B-2M"))
    add_revision_argument(parser, help=t("branch, tag or commit (default: main)"))
    parser.add_argument("--to", metavar="DIR", help=t("folder for the files (default: the hub's cache)"))
    parser.add_argument(
        "--convert", action="store_true", help=t("make a GGUF file, in --to or in the current folder")
    )
    parser.add_argument(
        "-t",
        "--type",
        metavar="TYPE",
        help=t(
            "with --convert: type of the matrices (default: {type}); of a repository of GGUF files: which one",
            type=DEFAULT_TYPE,
        ),
    )
    parser.add_argument(
        "--include",
        metavar="PATTERN",
        nargs="+",
        default=(),
        help=t("fetch the files that match instead of the needed ones"),
    )
    add_type_rule_arguments(parser)
    add_force_argument(parser, help=t("overwrite an existing GGUF file"))
    add_json_argument(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Pull as the arguments say. Returns the exit code; the errors of the download and the conversion pass."""
    from contextlib import nullcontext

    from belle_edge.convert.progress import terminal_progress

    from ..pull import pull

    silent = args.json or args.quiet
    if args.convert and args.type is not None and plain_name(args.type) not in NAMES:
        say_error(t("--type {type}: expected one of {names}", type=args.type, names=", ".join(NAMES)))
        return 2
    if silent:
        from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined, unused-ignore]

        disable_progress_bars()
    try:
        with nullcontext(None) if silent or not args.convert else terminal_progress() as progress:
            pulled = pull(
                args.repo_id,
                revision=args.revision,
                to=args.to,
                include=args.include,
                type=type_rules(args) if args.convert else args.type,
                convert=args.convert,
                force=args.force,
                progress=progress,
            )
    except KeyboardInterrupt:
        say_note(t("interrupted; the same command continues the download"))
        return 130
    if args.json:
        print(json.dumps(_report(pulled), ensure_ascii=False))
    elif not args.quiet:
        _print(pulled)
    return 0


def _report(pulled: Pulled) -> dict[str, Any]:
    return {
        "repo_id": pulled.repo_id,
        "commit": pulled.commit,
        "folder": str(pulled.folder),
        "files": [path.relative_to(pulled.folder).as_posix() for path in pulled.files],
        "bytes": pulled.n_bytes,
        "from_cache": pulled.from_cache,
        "gguf": None if pulled.gguf is None else str(pulled.gguf),
    }


def _print(pulled: Pulled) -> None:
    if pulled.report is not None:
        pulled.report.print()
        return
    print_lines(_lines(pulled))


def _lines(pulled: Pulled) -> Iterator[str]:
    source = f"{pulled.repo_id}@{pulled.commit[:8]}"
    yield tn(
        "{source}: {n} file, {size:.1f} MB, in {folder}",
        "{source}: {n} files, {size:.1f} MB, in {folder}",
        n=len(pulled.files),
        source=source,
        size=pulled.n_bytes / 1e6,
        folder=pulled.folder,
    )
    if pulled.gguf is not None:
        yield f"belle-edge chat {pulled.gguf}"
    elif any(path.name == "config.json" for path in pulled.files):
        yield f"belle-edge convert {pulled.folder} -o model.gguf"
    elif any(path.name.endswith(".enc") for path in pulled.files):
        yield f"belle-edge convert {pulled.folder} --key consolidated.00.pth -o model.gguf"
