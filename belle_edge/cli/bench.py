"""`belle-edge bench`: how fast a model runs here, next to the machine's limits and to llama.cpp."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._core import MAX_THREADS
from ..languages import said, t
from ..settings import integer
from ..text.terminal_text import printable_line
from .shared_options import add_force_argument, add_isa_argument, add_json_argument, add_threads_argument
from .standard_streams import say_error
from .terminal import LOGGER, print_lines

if TYPE_CHECKING:
    from ..benchmark.llama_bench import Program
    from ..benchmark.measure import Peer

_MODELS = ("belle-7b", "belle-llama-7b", "belle-llama-13b")
_PEER = "llama.cpp"
_MAX_BATCH = 1024  # sequences: each has a cache of its own


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Define the command's arguments."""
    parser = subparsers.add_parser(
        "bench",
        help=t("measure how fast a model runs"),
        description=t(
            "Measure prefill, decode, several sequences together, loading and memory, next to the limits "
            "of this machine, which are measured in the same run."
        ),
    )
    parser.add_argument("model", metavar="MODEL.gguf", type=Path, nargs="?")
    parser.add_argument(
        "--synthetic",
        choices=_MODELS,
        help=t("instead of MODEL: true shapes and random weights, written once (4 to 8 GB)"),
    )
    parser.add_argument(
        "--type",
        metavar="TYPE",
        help=t(
            "of the weights of --synthetic: a type or a mix, as `belle-edge convert --type` (default: pure q4_0)"
        ),
    )
    parser.add_argument(
        "--cache",
        metavar="DIR",
        type=Path,
        help=t("where synthetic models are kept (default: the cache folder)"),
    )
    parser.add_argument(
        "--prompt",
        type=int,
        metavar="N",
        help=t("tokens of the prompt (default 512, if the context has room)"),
    )
    parser.add_argument(
        "--generate", type=int, default=32, metavar="N", help=t("tokens generated after it (default 32)")
    )
    parser.add_argument(
        "--batch", type=int, default=4, metavar="B", help=t("sequences that decode together (default 4)")
    )
    parser.add_argument("--repeat", type=int, default=3, metavar="R", help=t("repetitions (default 3)"))
    add_threads_argument(parser)
    add_isa_argument(parser)
    parser.add_argument(
        "--against",
        metavar="PEER",
        help=t(
            "compare with {peer}, in turns; {peer}=PYTHON takes the one of another Python; "
            "'ik=LLAMA-BENCH OPTIONS' runs that program",
            peer=_PEER,
        ),
    )
    parser.add_argument(
        "--peer-model",
        metavar="FILE",
        type=Path,
        help=t("what a llama-bench runs instead of MODEL: the peer's own best file"),
    )
    parser.add_argument("--profile", action="store_true", help=t("add the time of each operation"))
    parser.add_argument(
        "--plot", metavar="FILE", type=Path, help=t("draw the rates as bars (PNG, SVG or PDF)")
    )
    add_force_argument(parser, help=t("overwrite the FILE of --plot"))
    add_json_argument(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command. The exit code is 1 where the comparison that was asked for failed."""
    from .. import _core
    from ..benchmark.measure import Settings, measure
    from ..benchmark.report import report
    from ..benchmark.report_text import table
    from ..benchmark.workload import read_workload

    _check(args)
    if args.plot is not None:
        from ..benchmark.plot import require_matplotlib

        require_matplotlib(args.plot, replace=args.force)
    model = _model(args)
    peer = _peer(args.against, args.peer_model or model)
    workload = read_workload(model, prompt=args.prompt, generate=args.generate, batch=args.batch)
    settings = Settings(
        threads=args.threads or _core.cpu_info()["usable_threads"],
        isa=args.isa or "",
        repeat=args.repeat,
        peer=peer,
        profile=args.profile,
    )
    with _progress(quiet=args.quiet) as say:
        measurement = measure(workload, settings, say=say)
    values = report(measurement, workload, settings)
    if args.json:
        print(json.dumps(values, ensure_ascii=False))
    else:
        print_lines(table(values))
    if args.plot is not None:
        from ..benchmark.plot import plot

        plot(values, args.plot, replace=args.force)
    if measurement.peer_failure is not None:
        say_error(said(str(measurement.peer_failure)))
        return 1
    return 0


def _check(args: argparse.Namespace) -> None:
    highest = {"batch": _MAX_BATCH, "threads": MAX_THREADS}
    for name in ("prompt", "generate", "batch", "repeat", "threads"):
        if (value := getattr(args, name)) is not None:
            integer(f"--{name}", value, low=1, high=highest.get(name))
    if (args.model is None) == (args.synthetic is None):
        raise ValueError("give a GGUF file, or --synthetic with one of " + ", ".join(_MODELS))
    if args.type is not None and args.synthetic is None:
        raise ValueError(f"--type {args.type}: only for --synthetic; a file has the types that it has")
    _check_peer(args.against, args.peer_model)


def _check_peer(against: str | None, peer_model: Path | None) -> None:
    from ..benchmark.llama_bench import NAMES
    from ..benchmark.measure import PEERS

    name, _, command = (against or "").partition("=")
    if against is not None and name not in (*PEERS, *NAMES):
        expected = (
            f"{', '.join(PEERS)}, {_PEER}=/path/to/python, or {' or '.join(NAMES)}=/path/to/llama-bench"
        )
        raise ValueError(f"--against {against}: expected one of {expected}")
    if name in NAMES and not command.strip():
        raise ValueError(f"--against {against}: expected {name}=/path/to/llama-bench, options behind it")
    if peer_model is not None and name not in NAMES:
        raise ValueError(
            f"--peer-model: only beside --against {' or '.join(NAMES)}: others run the same file"
        )


def _peer(text: str | None, model: Path) -> Peer | Program | None:
    """llama.cpp, llama.cpp=/path/to/python, or the name of a llama-bench with its path and options."""
    from ..benchmark.llama_bench import NAMES, find_program
    from ..benchmark.measure import Peer

    if text is None:
        return None
    name, _, command = text.partition("=")
    return find_program(name, command, model) if name in NAMES else Peer(name, command or None)


def _model(args: argparse.Namespace) -> Path:
    if args.synthetic is None:
        path: Path = args.model
        return path
    from contextlib import nullcontext

    from ..benchmark.shapes import SHAPES
    from ..benchmark.synthetic import Q4_0, synthetic_model
    from ..convert.progress import terminal_progress
    from ..convert.type_rules import TypeRules

    rules = Q4_0 if args.type is None else TypeRules(args.type)
    with nullcontext(None) if args.quiet else terminal_progress() as progress:
        return synthetic_model(SHAPES[args.synthetic], rules=rules, folder=args.cache, progress=progress)


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Any]:
    """Says on standard error what is being done: in one line of a terminal, else a line each."""

    in_place = sys.stderr.isatty()

    def say(text: str) -> None:
        if quiet:
            return
        text = said(text)
        if in_place:
            print(f"\r\x1b[K{printable_line(text)}", end="", file=sys.stderr, flush=True)
        else:
            LOGGER.info("%s", text)

    try:
        yield say
    finally:
        if in_place and not quiet:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
