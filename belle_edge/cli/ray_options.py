"""`--ray` of `belle-edge batch`: the model is loaded by Ray's actors, in place of this process."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, TextIO, cast

from ..languages import t
from ..settings import integer
from ..text.terminal_text import printable_line
from .model_source import ModelSource
from .options import chat_format_options, engine_options, open_model
from .terminal import LOGGER

if TYPE_CHECKING:
    from .._core import GgufFile
    from ..model import Belle


def add_ray_arguments(parser: argparse.ArgumentParser) -> None:
    """--ray and --ray-actors."""
    group = parser.add_argument_group(t("beyond one process (extra ray)"))
    group.add_argument(
        "--ray",
        nargs="?",
        const="local",
        metavar="ADDRESS",
        help=t(
            "answer by actors of Ray on this machine; --ray=ADDRESS: of that cluster, auto: of the one here"
        ),
    )
    group.add_argument(
        "--ray-actors",
        type=int,
        metavar="N",
        help=t("how many, each with --threads CPUs (default: one on each machine, with all of its CPUs)"),
    )


def check_ray_arguments(args: argparse.Namespace) -> None:
    """ValueError for what does not go together."""
    if args.ray_actors is not None:
        integer("--ray-actors", args.ray_actors, low=1)
    if args.ray is None and args.ray_actors is not None:
        raise ValueError("--ray-actors: it needs --ray")
    if args.ray is not None and args.dry_run:
        raise ValueError("--dry-run: it measures this process, leave out --ray")


@contextmanager
def job_model(args: argparse.Namespace, file: GgufFile | None) -> Iterator[Belle]:
    """MODEL for a job, loaded here or by actors. file: as `check_chat_format` returns it. Raises as `open_model`, and
    BackendError for Ray."""
    if args.ray is None:
        with open_model(args, file) as model:
            yield model
        return
    from .._core import GgufFile
    from ..distributed.ray_model import RayModel
    from ..distributed.ray_session import LOCAL, actors_and_threads, ray_session

    if file is None:
        file = GgufFile(str(ModelSource(args).path()))
    load = {**engine_options(args), **chat_format_options(args)}
    with redirect_stdout(_ForRecords(sys.stdout)), ray_session(args.ray) as ray:
        n_actors, threads = actors_and_threads(ray, args.ray_actors, args.threads)
        LOGGER.info("%d actors with %d threads", n_actors, threads)
        hashed = args.ray != LOCAL
        with RayModel(ray, file, {**load, "threads": threads}, n_actors=n_actors, hashed=hashed) as remote:
            yield cast("Belle", remote)  # a job needs no more of one


class _ForRecords(io.TextIOBase):
    """Standard output for records, which are bytes. Its text is what Ray tells of workers that died."""

    def __init__(self, stream: TextIO) -> None:
        self.buffer = stream.buffer

    def write(self, text: str) -> int:
        if text.strip():
            LOGGER.info("%s", printable_line(text.strip()))
        return len(text)
