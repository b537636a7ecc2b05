"""Command-line options for types and rounding chosen by what they do to answers."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..languages import t

if TYPE_CHECKING:
    from ..convert import Optimization


def add_optimization_arguments(parser: argparse.ArgumentParser) -> None:
    """The fields of `Optimization`, in a group of their own."""
    from ..convert.optimize.efforts import EFFORTS

    group = parser.add_argument_group(t("nearer to the original"))
    group.add_argument(
        "--optimize",
        nargs="?",
        const=EFFORTS[0],
        choices=EFFORTS,
        help=t(
            "round by what the matrices are multiplied with on texts; best takes longer (default: to the nearest value)"
        ),
    )
    group.add_argument(
        "--calibration",
        action="append",
        default=[],
        metavar="FILE",
        help=t(
            "those texts, as for `belle-edge calibrate`, or a file of it, or an imatrix; may be repeated "
            "(default: bundled texts)"
        ),
    )
    group.add_argument(
        "--target-size",
        metavar="SIZE",
        help=t("choose the types by measured sensitivity, for a file of at most this size, as 3.9GB"),
    )


def optimization(args: argparse.Namespace) -> Optimization | None:
    """What the command line says about it. Raises ConversionError as `Optimization` does."""
    from ..convert import Optimization

    return Optimization.from_arguments(args.optimize, args.calibration, args.target_size)
