"""Arguments that several commands share, and the loading of a model as they say."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from ..languages import msg, t
from .loading import loading_notice
from .model_source import ModelSource
from .shared_options import (
    add_context_argument,
    add_family_argument,
    add_isa_argument,
    add_kv_argument,
    add_threads_argument,
)
from .terminal import LOGGER
from .text_input import checked_encoding

if TYPE_CHECKING:
    from .._core import GgufFile
    from ..model import Belle

_SAMPLING_FLAGS: tuple[tuple[str, type, str], ...] = (
    ("temperature", float, msg("0 takes the most probable token each time")),
    ("top_k", int, msg("keep the K most probable tokens, 0 all")),
    ("top_p", float, msg("keep the most probable tokens of this total probability")),
    ("min_p", float, msg("keep tokens at least this fraction as probable as the best")),
    ("repetition_penalty", float, msg("above 1: seen tokens become less probable")),
    ("presence_penalty", float, msg("subtracted from the logits of seen tokens")),
    ("frequency_penalty", float, msg("subtracted once per occurrence")),
    ("seed", int, msg("the same seed, file and settings give the same text")),
)


def add_file_argument(parser: argparse.ArgumentParser) -> None:
    """MODEL.gguf, required."""
    parser.add_argument("model", metavar="MODEL.gguf", type=Path)


def add_encoding_argument(parser: argparse.ArgumentParser) -> None:
    """--encoding of the input."""
    parser.add_argument(
        "--encoding",
        metavar="NAME",
        help=t(
            "of files and standard input, as gb18030 or utf-16 (default: UTF-8, or what a byte order mark says)"
        ),
    )


def input_encoding(args: argparse.Namespace) -> str | None:
    """What --encoding says, checked. ValueError for an encoding that there is not."""
    name = getattr(args, "encoding", None)
    return None if name is None else checked_encoding(name)


def add_engine_arguments(parser: argparse.ArgumentParser, *, context_help: str | None = None) -> None:
    """How the model is loaded, as `Belle.load` takes it. context_help: where --context means more than that."""
    engine = parser.add_argument_group(t("engine"))
    engine.add_argument(
        "--backend",
        choices=("native", "llama.cpp"),
        default="native",
        help=t("llama.cpp runs any architecture it knows, through llama-cpp-python (default: native)"),
    )
    add_threads_argument(engine)
    add_isa_argument(engine)
    if context_help is None:
        add_context_argument(engine, help=t("tokens of prompt and answer"))
    else:
        engine.add_argument("--context", type=int, metavar="N", help=context_help)
    add_kv_argument(engine, help=t("type of the key/value cache"))
    engine.add_argument(
        "--no-memory-check",
        dest="memory_check",
        action="store_false",
        help=t("load even if the model does not seem to fit into memory"),
    )


def add_sampling_arguments(parser: argparse.ArgumentParser) -> None:
    """--max-tokens and the settings of SamplingParams."""
    parser.add_argument(
        "--max-tokens", type=int, default=256, metavar="N", help=t("length of an answer (default 256)")
    )
    sampling = parser.add_argument_group(t("sampling (default: the file's own preset)"))
    for name, kind, text in _SAMPLING_FLAGS:
        sampling.add_argument(
            f"--{name.replace('_', '-')}", type=kind, metavar=kind.__name__.upper(), help=t(text)
        )
    sampling.add_argument(
        "--penalty-scope",
        choices=("all", "answer"),
        help=t("which tokens count as seen: prompt and answer (default), or the answer alone"),
    )
    sampling.add_argument(
        "--stop", action="append", metavar="TEXT", help=t("end before this text; may be repeated")
    )


def add_format_arguments(parser: argparse.ArgumentParser) -> None:
    """--family and --chat-template: how a question is put to the model, where the caller knows better than the file."""
    group = parser.add_argument_group(t("chat format (default: as the file says)"))
    add_family_argument(group, help=t("template, stop strings and sampling preset of this BELLE family"))
    group.add_argument(
        "--chat-template",
        type=Path,
        metavar="FILE",
        help=t("a Jinja template, in place of the file's or family's"),
    )


class EngineOptions(TypedDict):
    """Of `Belle.load`."""

    backend: str
    threads: int | None
    isa: str | None
    context: int | None
    kv: str
    memory_check: bool


class ChatFormatOptions(TypedDict):
    """Whose template, stop strings and preset a model is loaded with."""

    family: str | None
    chat_template: str | None


def chat_format_options(args: argparse.Namespace) -> ChatFormatOptions:
    """What --family and --chat-template say, as `Belle.load` takes it; nothing for commands without them."""
    path: Path | None = getattr(args, "chat_template", None)
    try:
        template = None if path is None else path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"--chat-template {path} is not UTF-8 text (byte {error.start})") from None
    return {"family": getattr(args, "family", None), "chat_template": template}


def engine_options(args: argparse.Namespace) -> EngineOptions:
    """What the arguments of `add_engine_arguments` say, as `Belle.load` takes it."""
    return {
        "backend": args.backend,
        "threads": args.threads,
        "isa": args.isa,
        "context": args.context,
        "kv": args.kv,
        "memory_check": args.memory_check,
    }


def check_chat_format(args: argparse.Namespace) -> GgufFile | None:
    """ValueError where a question cannot be put to args.model. Reads the file's header only, so it is said before
    gigabytes are loaded. Returns the open file for `open_model`; one that cannot be opened is left to loading."""
    from .._core import GgufFile
    from ..text.chat_format import ChatFormat

    options = chat_format_options(args)
    if getattr(args, "raw", False):
        if any(value is not None for value in options.values()):
            raise ValueError(
                "--raw sends the text as it is: it does not go with --family and --chat-template"
            )
        return None
    path = args.model.expanduser()
    if not path.is_file():  # a folder or a hub id: its conversion knows
        return None
    try:
        file = GgufFile(str(path))
    except MemoryError:  # the check of memory says what is missing
        return None
    if ChatFormat.of_file(file, **options).template is None:
        raise ValueError(
            f"{path.name} has no chat template: name its family (--family), give a template "
            "(--chat-template), or send the text as it is (belle-edge generate --raw)"
        )
    return file


def sampling_settings(args: argparse.Namespace) -> dict[str, Any]:
    """The settings by name; None where the command line says nothing."""
    names = (*(name for name, _, _ in _SAMPLING_FLAGS), "penalty_scope", "stop")
    return {name: getattr(args, name) for name in names}


def open_model(args: argparse.Namespace, file: Path | GgufFile | None = None) -> Belle:
    """Load MODEL, or `file`, after checking that it fits into memory. Raises what `Belle.load` raises, and what the
    conversion of a folder or hub id raises."""
    from ..errors import ModelFormatError

    if file is not None:
        return _load(args, file)
    source = ModelSource(args)
    try:
        return _load(args, source.path())
    except ModelFormatError as error:
        if not source.discard_damaged():
            raise
        LOGGER.warning("note: the conversion in the cache is damaged (%s)", error)
        return _load(args, source.path())


def _load(args: argparse.Namespace, file: Path | GgufFile) -> Belle:
    from ..memory import InsufficientMemoryError
    from ..model import Belle

    start = time.perf_counter()
    path = file if isinstance(file, Path) else Path(file.path)
    try:
        with loading_notice(path, shown=not getattr(args, "quiet", False)):
            model = Belle.load(file, **engine_options(args), **chat_format_options(args))
    except InsufficientMemoryError as error:
        raise InsufficientMemoryError(f"{error}; --no-memory-check loads it anyway") from None
    details = ", ".join(f"{key} {value}" for key, value in model.details.items())
    LOGGER.info("loaded %s in %.2f s: %s", path.name, time.perf_counter() - start, details)
    return model
