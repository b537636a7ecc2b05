"""What `serve` and `desktop` share: the extra they need, the models they offer, and how these are loaded."""

from __future__ import annotations

import argparse
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import BelleError
from ..folders import models_folder
from ..languages import t
from ..settings import byte_count
from .options import chat_format_options, engine_options
from .terminal import print_remark

if TYPE_CHECKING:
    from .._core import LoadProgress
    from ..model import Belle
    from ..server.page.page_settings import PageSettings
    from ..server.served_models import ServedModels
    from ..server.server_settings import ServerSettings

_NEEDED = ("fastapi", "uvicorn", "prometheus_client")
_PAGE_NEEDS = ("sqlalchemy", "alembic", "markdown_it", "pygments", "latex2mathml", "nh3")
_NICENESS = 10


def require_server(command: str) -> None:
    """BelleError where packages of the extra are missing: `desktop` is nothing without its page, `serve` is."""
    needed = _NEEDED if command == "serve" else (*_NEEDED, *_PAGE_NEEDS)
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        extra = "server" if command == "serve" else command
        raise BelleError(f"{command} needs {', '.join(missing)}: pip install 'belle-edge[{extra}]'")


def add_models_argument(parser: argparse.ArgumentParser) -> None:
    """GGUF files and folders; none at all is a start, too."""
    parser.add_argument(
        "models",
        metavar="MODEL.gguf",
        type=Path,
        nargs="*",
        help=t("GGUF files, or folders of such files (default: those of the models folder)"),
    )


def add_prefix_arguments(parser: argparse.ArgumentParser) -> None:
    """What is kept of prompts."""
    group = parser.add_argument_group(t("what prompts have in common, as a system message: computed once"))
    group.add_argument(
        "--prefix-cache",
        default="1GB",
        metavar="SIZE",
        help=t("memory for it at most, per model (default 1GB)"),
    )
    group.add_argument(
        "--prefix-folder",
        type=Path,
        metavar="DIR",
        help=t("keep it there too, for the next start; what prompts say can be read from such files"),
    )


def add_polite_argument(parser: argparse.ArgumentParser) -> None:
    """--polite, which `make_polite` fulfils."""
    parser.add_argument(
        "--polite",
        action="store_true",
        help=t("stay behind other programs: lower priority, one core left to them"),
    )


def make_polite(args: argparse.Namespace) -> None:
    """--polite: behind other programs, and one core less than there are."""
    if not args.polite:
        return
    from .._core import cpu_info

    if sys.platform != "win32":
        os.nice(_NICENESS)
    if args.threads is None:
        args.threads = max(1, cpu_info()["usable_threads"] - 1)


def add_page_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the chat page keeps things."""
    group = parser.add_argument_group(t("the chat page"))
    group.add_argument(
        "--history",
        type=Path,
        metavar="FILE",
        help=t("the database of chats (default: in your folder for data)"),
    )
    group.add_argument(
        "--models-folder",
        type=Path,
        metavar="DIR",
        help=t("where converted models go, and models are found (default: models in your folder for data)"),
    )
    group.add_argument(
        "--chat-cache",
        default="4GB",
        metavar="SIZE",
        help=t("files from which chats go on at once after a restart, 0: none (default 4GB)"),
    )


def page_settings(args: argparse.Namespace) -> PageSettings | None:
    """Of the chat page; None, with a remark, where its packages are missing. ValueError for a bad size."""
    missing = [name for name in _PAGE_NEEDS if find_spec(name) is None]
    if missing:
        print_remark(
            t(
                "without the chat page, which needs {packages}: pip install 'belle-edge[server]' brings it",
                packages=", ".join(missing),
            )
        )
        return None
    from ..server.page.page_settings import PageSettings

    return PageSettings(
        history=None if args.history is None else args.history.expanduser(),
        models_folder=None if args.models_folder is None else args.models_folder.expanduser(),
        chat_cache_bytes=byte_count("--chat-cache", args.chat_cache),
        chat_format=chat_format_options(args),
        context=args.context,
        kv=args.kv,
    )


def served_models(args: argparse.Namespace, settings: ServerSettings) -> ServedModels:
    """The models that the command line names; without any those of the models folder, which may have none.

    Raises what is wrong with the names and the headers of the files.
    """
    from ..server.served_models import ServedModels, model_files

    named: list[Path] = args.models
    folder = models_folder() if args.models_folder is None else args.models_folder.expanduser()
    if not named and any(folder.glob("*.gguf")):
        named = [folder]
    return ServedModels(model_files(named), _Loader(args, settings), keep_alive_s=settings.keep_alive_s)


class _Loader:
    """Loads a model as the command line says."""

    def __init__(self, args: argparse.Namespace, settings: ServerSettings) -> None:
        self._args = args
        self._max_running = settings.max_running
        self._format = chat_format_options(args)

    def __call__(self, path: Path, progress: LoadProgress) -> Belle:
        """Raises what `Belle.load` raises."""
        from ..model import Belle

        args = self._args
        belle = Belle.load(
            path,
            **engine_options(args),
            prefix_cache=args.prefix_cache,
            prefix_folder=args.prefix_folder,
            progress=progress,
            **self._format,
        )
        belle.scheduler.max_running = self._max_running
        return belle
