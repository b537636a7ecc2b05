"""MODEL on the command line: a GGUF file, or a checkpoint folder or hub id that is converted once into the cache."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..convert.type_rules import rules_from
from ..languages import t
from ..regular_files import irregular
from .shared_options import add_revision_argument, add_type_argument
from .terminal import LOGGER

if TYPE_CHECKING:
    from ..hf.sources import Source


def add_model_argument(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """MODEL, and how it is converted where it is no GGUF file."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        type=Path,
        nargs=None if required else "?",
        help=t(
            "GGUF file, checkpoint folder, or hub id (org/name); the latter two are converted once, into a cache"
        ),
    )
    source = parser.add_argument_group(t("a folder or hub id as MODEL"))
    add_type_argument(source, help=t("type of the matrices of the conversion"))
    add_revision_argument(source, help=t("branch, tag or commit of a hub id (default: main)"))


class ModelSource:
    """A name, resolved; its GGUF file is made when it is first asked for."""

    def __init__(self, args: argparse.Namespace) -> None:
        """Raises FileNotFoundError, ValueError (a folder without a model, several files to choose from), HubError."""
        self._quiet = bool(args.quiet)
        self._args = args
        self._path = args.model.expanduser()
        self._source: Source | None = None if self._path.is_file() else self._find()

    def path(self) -> Path:
        """The GGUF file, converted now unless it is in the cache. Raises ConversionError and OSError."""
        if self._source is None:
            return Path(self._path)
        entry = self._source.entry
        if entry is not None and not entry.is_complete():
            LOGGER.warning(
                "note: converting %s to %s, once: kept as %s",
                self._path,
                entry.description["type"],
                entry.path,
            )
        return self._source.gguf(show_progress=not self._quiet)

    def discard_damaged(self) -> bool:
        """Forget a conversion in the cache that turned out to be damaged. False where the file is the user's own."""
        entry = None if self._source is None else self._source.entry
        if entry is None:
            return False
        entry.discard()
        self._source = self._find()  # the weights, if they were not needed before
        return True

    def _find(self) -> Source:
        from ..hf.sources import Options, find
        from ..hub.repository import is_repo_id

        path, name = self._path, self._path.as_posix()
        if path.is_dir():
            if not (path / "config.json").is_file() and not any(path.glob("*.gguf")):
                raise ValueError(
                    f"[model] {path} is a folder without config.json and weights, or a GGUF file; other forms are"
                    f" converted first: belle-edge convert {path} -o model.gguf"
                )
        elif (kind := irregular(path)) is not None:
            raise ValueError(
                f"[model] {path}: expected a GGUF file, a checkpoint folder or a hub id, found {kind}"
            )
        elif path.suffix.lower() == ".gguf":
            raise FileNotFoundError(f"[model] no such file: {path}")
        elif not is_repo_id(name):
            raise FileNotFoundError(
                f"[model] no such file or folder: {path}, and no hub id of the form org/name"
            )
        if self._quiet:
            from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined, unused-ignore]

            disable_progress_bars()
        return find(name, Options(rules_from(self._args.type), revision=self._args.revision), weights=True)
