"""All that is read in the repository, and what of it is left out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .cpp_messages import cpp_messages
from .error_messages import ErrorMessages
from .found import Found
from .marked_messages import marked_messages
from .page_messages import page_messages

ROOT = Path(__file__).resolve().parents[2]
PAGE = "belle_edge/server/page/static"
# What only programs and programmers read stays English.
FOR_PROGRAMMERS = (
    "belle_edge/divergence.py",
    "belle_edge/hf/",
    "belle_edge/integrations/",
    "belle_edge/languages/",
    "belle_edge/lazy_names.py",
    "belle_edge/server/ollama/",
    "belle_edge/server/openai/",
    "csrc/bindings/bind_engine.cpp",
    "csrc/bindings/bind_gguf.cpp",
    "csrc/bindings/bind_probes.cpp",
    "csrc/bindings/bind_sampler.cpp",
    "csrc/bindings/bind_xxh64.cpp",
    "csrc/core/thread_pool.cpp",
)
# Files of those rooms that the command line and the page use.
FOR_PEOPLE = (
    "belle_edge/hf/sources.py",
    "belle_edge/hf/conversion_cache.py",
    "belle_edge/languages/known_texts.py",
)


def all_messages(root: Path = ROOT) -> list[Found]:
    """Every text of the repository that has a translation, in the order of files and lines."""
    python = {**_read(root, "belle_edge", "*.py"), **_read(root, "convert", "*.py")}
    cpp = _read(root, "csrc", "*.cpp")
    headers = _read(root, "csrc", "*.h")
    page = {**_read(root, PAGE, "*.js"), **_read(root, PAGE, "*.html")}
    errors = [*ErrorMessages(python).found(), *cpp_messages(cpp, headers)]
    return [*marked_messages(python), *page_messages(page), *filter(_is_for_people, errors)]


def _is_for_people(found: Found) -> bool:
    return found.path in FOR_PEOPLE or not found.path.startswith(FOR_PROGRAMMERS)


def _read(root: Path, folder: str, pattern: str) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): path.read_text(encoding="utf-8")
        for path in _files(root / folder, pattern)
    }


def _files(folder: Path, pattern: str) -> Iterator[Path]:
    """Sorted; what a link leads to is read in its own place."""
    return (path for path in sorted(folder.rglob(pattern)) if folder.resolve() in path.resolve().parents)
