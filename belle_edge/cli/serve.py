"""`belle-edge serve`: models of this computer for programs that speak OpenAI's or Ollama's interface."""

from __future__ import annotations

import argparse
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from ..languages import t
from ..regular_files import read_regular
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
from .terminal import LOGGER

if TYPE_CHECKING:
    from ..server.server_settings import ServerSettings

_KEY_VARIABLE = "BELLE_API_KEY"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Define the command's arguments."""
    parser = subparsers.add_parser(
        "serve",
        help=t("answer programs that speak OpenAI's or Ollama's interface"),
        description=t(
            "Serve models on this computer until Ctrl-C. A model's name is its file's, without .gguf."
        ),
    )
    add_models_argument(parser)
    _add_listening(parser)
    _add_limits(parser)
    add_prefix_arguments(parser)
    add_page_arguments(parser)
    parser.add_argument("--no-page", action="store_true", help=t("the interfaces for programs alone"))
    add_polite_argument(parser)
    add_format_arguments(parser)
    add_engine_arguments(parser)
    parser.set_defaults(run=run)


def _add_listening(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(t("where and for whom"))
    group.add_argument(
        "--host", default="127.0.0.1", help=t("address to listen on; any but this computer's own needs a key")
    )
    group.add_argument("--port", type=int, default=8080, metavar="N", help=t("default 8080; 0: any free one"))
    group.add_argument(
        "--socket", type=Path, metavar="PATH", help=t("a UNIX socket in place of host and port")
    )
    group.add_argument(
        "--api-key",
        metavar="KEY",
        help=t("clients must send it; ${variable} keeps it out of the process list", variable=_KEY_VARIABLE),
    )
    group.add_argument("--api-key-file", type=Path, metavar="FILE", help=t("a file with the key"))
    group.add_argument(
        "--allow-origin",
        action="append",
        metavar="URL",
        help=t("a web page that may call, * for all; may be repeated"),
    )
    group.add_argument(
        "--allow-host",
        action="append",
        metavar="NAME",
        help=t("another name of this computer; may be repeated"),
    )


def _add_limits(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(t("limits"))
    group.add_argument(
        "--max-running", type=int, default=8, metavar="N", help=t("answers at once (default 8)")
    )
    group.add_argument(
        "--max-waiting", type=int, default=64, metavar="N", help=t("requests that may wait (default 64)")
    )
    group.add_argument("--max-tokens", type=int, metavar="N", help=t("of an answer (default: the context)"))
    group.add_argument("--timeout", default="10m", metavar="TIME", help=t("of a request (default 10m)"))
    group.add_argument(
        "--read-timeout", default="20s", metavar="TIME", help=t("for a request to come in (default 20s)")
    )
    group.add_argument(
        "--grace",
        default="10s",
        metavar="TIME",
        help=t("for running answers when the server ends (default 10s)"),
    )
    group.add_argument(
        "--keep-alive",
        default="10m",
        metavar="TIME",
        help=t("how long an unused model stays, -1: for ever (default 10m)"),
    )


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    require_server("serve")
    from ..server.sockets import address_of, open_socket

    settings = _settings(args)
    make_polite(args)
    with open_socket(settings) as listener:
        _serve(args, settings, listener, address_of(listener, settings))
    return 0


def _serve(args: argparse.Namespace, settings: ServerSettings, listener: socket.socket, address: str) -> None:
    """Until a signal. Raises what is wrong with the models."""
    from ..server import listening
    from ..server.service import Service

    models = served_models(args, settings)
    if len(models.names) == 1:
        models.preload(models.names[0])

    def ready() -> None:
        print(t("listening on {address}", address=address), flush=True)
        LOGGER.info("models: %s", ", ".join(models.names) or "none yet")

    page = None if args.no_page else page_settings(args)
    listening.run(Service.of(settings, models, page=page), listener, ready=ready)


def _settings(args: argparse.Namespace) -> ServerSettings:
    from ..server.durations import seconds_of
    from ..server.server_settings import ServerSettings

    return ServerSettings(
        host=args.host,
        port=args.port,
        socket=None if args.socket is None else args.socket.expanduser(),
        api_key=_api_key(args),
        allow_origins=tuple(args.allow_origin or ()),
        allow_hosts=tuple(args.allow_host or ()),
        max_running=args.max_running,
        max_waiting=args.max_waiting,
        max_tokens=args.max_tokens,
        timeout_s=seconds_of("--timeout", args.timeout),
        receive_s=seconds_of("--read-timeout", args.read_timeout),
        grace_s=seconds_of("--grace", args.grace),
        keep_alive_s=seconds_of("--keep-alive", args.keep_alive),
    )


def _api_key(args: argparse.Namespace) -> str | None:
    """Of the option, the file or the environment. ValueError for two of them that differ."""
    if args.api_key is not None and args.api_key_file is not None:
        raise ValueError("--api-key does not go with --api-key-file: give one")
    if args.api_key_file is not None:
        try:
            return read_regular(args.api_key_file.expanduser()).decode("utf-8-sig").strip()
        except UnicodeDecodeError:
            raise ValueError(f"--api-key-file {args.api_key_file}: expected a line of text") from None
    key: str | None = args.api_key
    return key if key is not None else os.environ.get(_KEY_VARIABLE) or None
