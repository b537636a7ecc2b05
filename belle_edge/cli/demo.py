"""`belle-edge demo`: convert the bundled checkpoint before your eyes, then let it answer.

Needs no network and no torch.
"""

from __future__ import annotations

import argparse
import shlex
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..folders import cache_folder
from ..languages import current_translator, msg, t
from ..memory import size_text
from ..output_files import whole_file
from ..text.terminal_text import printable
from .describe import describe_file
from .options import add_engine_arguments, open_model
from .reports import speed_line

if TYPE_CHECKING:
    from rich.console import Console

_TYPES = ("q8_0", "q4_0")  # the last one answers
_HONESTY = msg(
    "A very small model, trained for this demonstration on a few kinds of task that a script made up:"
    " arithmetic, dates, capitals, opposites, short translations, greetings."
    " It knows nothing else and will answer other questions wrongly."
)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Define the command's arguments."""
    parser = subparsers.add_parser(
        "demo",
        help=t("convert and run the bundled small model"),
        description=t(
            "Convert the bundled checkpoint to q8_0 and q4_0, then answer a few Chinese questions."
        ),
    )
    parser.add_argument(
        "--question", action="append", metavar="TEXT", help=t("ask this instead; may be repeated")
    )
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="DIR",
        help=t("keep the converted files in this folder (default: the cache folder)"),
    )
    add_engine_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from rich.console import Console

    from ..demo import checkpoint_path

    console = Console(highlight=False, soft_wrap=True)
    notes = Console(highlight=False, soft_wrap=True, quiet=args.quiet)  # all but the answers
    folder = cache_folder() / "demo" if args.keep is None else args.keep
    with tempfile.TemporaryDirectory(prefix="belle-edge-demo-") as place:
        notes.print(
            f"[bold]BELLE Edge[/bold]: {t('a BLOOM checkpoint in Hugging Face layout becomes GGUF.')}\n"
            f"{t(_HONESTY)}\n"
        )
        files = _convert(checkpoint_path(), Path(place), notes)
        kept = _keep(files, folder, notes, needed=args.keep is not None)
        _answer(args, files[_TYPES[-1]], console, notes)
    if kept is not None:
        name = shlex.quote(str(kept))
        notes.print(t("The model is kept in {path}. Go on with it:", path=kept), markup=False)
        notes.print(f"  belle-edge chat {name}", markup=False)
        notes.print(f'  belle-edge generate {name} "12加30等于多少？"', markup=False)
        command = "belle-edge convert BelleGroup/BELLE-7B-2M -o belle-7b.gguf"
        notes.print(t("A real one: {command} (14 GB to download)", command=command), markup=False)
    return 0


def _keep(files: Mapping[str, Path], folder: Path, console: Console, *, needed: bool) -> Path | None:
    """Copy the files to `folder`; the one that answers. None where that fails and nobody asked for it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in files.values():
            with whole_file(folder / path.name, replace=True) as file:
                file.write(path.read_bytes())
    except OSError as error:
        if needed:
            raise
        problem = current_translator().error(error)
        console.print(
            t("Not kept ({problem}); --keep DIR names another folder.", problem=problem) + "\n", markup=False
        )
        return None
    return folder.absolute() / files[_TYPES[-1]].name


def _convert(source: Path, folder: Path, console: Console) -> dict[str, Path]:
    """Convert to each type and print the table of sizes; type -> file."""
    from rich.table import Table

    from ..convert import convert

    table = Table(t("file"), t("type"), t("size"), t("bits per weight"), t("seconds"))
    n_bytes = sum(path.stat().st_size for path in source.iterdir() if path.suffix in (".safetensors", ".bin"))
    table.add_row(t("checkpoint"), t("source"), size_text(n_bytes), "", "")
    files: dict[str, Path] = {}
    for kind in _TYPES:
        path = folder / f"belle-demo-{kind}.gguf"
        start = time.perf_counter()
        convert(source, path, type=kind, family="belle")
        seconds = time.perf_counter() - start
        report = describe_file(path)
        table.add_row(
            path.name,
            kind,
            size_text(report["size_bytes"]),
            f"{report['bits_per_weight']:.2f}",
            f"{seconds:.2f}",
        )
        files[kind] = path
    console.print(table)
    return files


def _answer(args: argparse.Namespace, path: Path, console: Console, notes: Console) -> None:
    """Ask each question, printing the answer as it is written; questions and speeds are notes."""
    from ..demo.questions import DEMO_QUESTIONS

    questions = args.question or [question for question, _ in DEMO_QUESTIONS]
    with open_model(args, path) as model:
        for question in questions:
            notes.print(f"[bold]Human:[/bold] {_escaped(question)}")
            notes.print("[bold]Assistant:[/bold] ", end="")
            stream = model.stream(question, max_tokens=64, temperature=0)
            for piece in stream:
                console.print(printable(piece), end="", markup=False)
            console.print()
            notes.print(f"[dim]{speed_line(stream.result, model)}[/dim]\n")


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
