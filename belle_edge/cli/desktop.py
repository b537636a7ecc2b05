"""`belle-edge desktop`: the chat page in a window of its own."""

from __future__ import annotations

import argparse
import os
import sys

from ..folders import state_folder
from ..languages import t
from .options import add_engine_arguments, add_format_arguments
from .serving import (
    add_models_argument,
    add_page_arguments,
    add_polite_argument,
    add_prefix_arguments,
    make_polite,
    page_settings,
    require_server,
    served_models,
)
from .terminal import print_lines


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Define the command's arguments."""
    parser = subparsers.add_parser(
        "desktop",
        help=t("chat in a window of its own"),
        description=t(
            "Open the chat page in a window. Closing it ends the program. A second start shows the first."
        ),
    )
    add_models_argument(parser)
    parser.add_argument("--browser", action="store_true", help=t("open the page in the browser"))
    menu = parser.add_mutually_exclusive_group()
    menu.add_argument(
        "--install", action="store_true", help=t("add an entry to the system's menu, and do no more")
    )
    menu.add_argument("--uninstall", action="store_true", help=t("remove that entry, and do no more"))
    add_prefix_arguments(parser)
    add_page_arguments(parser)
    add_polite_argument(parser)
    add_format_arguments(parser)
    add_engine_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    if args.uninstall:
        return _change_menu(args)
    require_server("desktop")
    if args.install:
        return _change_menu(args)
    from ..desktop import first_start
    from ..desktop.running import run_desktop
    from ..desktop.single_instance import Instance, first_or_other

    page = page_settings(args)
    assert page is not None  # require_server
    make_polite(args)
    with first_or_other(page.data) as found:
        if isinstance(found, Instance):
            run_desktop(
                found, lambda settings: served_models(args, settings), page=page, browser=args.browser
            )
        else:
            first_start.show(found, args.models)
            print_lines([t("BELLE Edge is open already: its window comes to the front.")])
    return 0


def _change_menu(args: argparse.Namespace) -> int:
    from ..desktop.menu import install, uninstall

    changed = install() if args.install else uninstall()
    if changed:
        print_lines(
            t("written: {path}", path=path) if args.install else t("removed: {path}", path=path)
            for path in changed
        )
    else:
        print_lines([t("there is no menu entry of BELLE Edge")])
    return 0


def main() -> int:
    """What a menu entry starts. Without a terminal, what is said goes to a file, and an error is shown as a page."""
    from .main import main as command_line

    arguments = ["desktop", *sys.argv[1:]]
    if sys.stdout is None:  # Windows, without a console
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")
    if sys.stderr is not None and sys.stderr.isatty():
        return command_line(arguments)
    folder = state_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = folder / "desktop.log"
    with open(log, "w", encoding="utf-8", buffering=1) as sys.stderr:
        code = command_line(arguments)
    if code != 0:
        from ..desktop.error_page import show_error

        show_error(folder, log.read_text(encoding="utf-8"))
    return code
