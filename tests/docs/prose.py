"""The text of a document without what has a shape of its own: code, tables, addresses.

As a program, `python tests/docs/prose.py [DOCUMENT...]`, it prints each document's longest sentence and widest line.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_SKIPPED = {".git", ".venv", "venv", "build", "dist", "node_modules"}
_FENCE = re.compile(r"^\s*(```+|~~~+)")
_CODE_HEADING = re.compile(r"^#+ `[^`]+`$")
_LINK = re.compile(r"\]\([^)\s]*\)|<https?://[^>\s]*>|https?://\S+")
_ITEM = re.compile(r"^\s*([-*+]|\d+\.)\s+|^#+\s|^>\s?")
# An end of a sentence, with what closes after it; Chinese needs no space. "e.g. this" and "1.5" go on.
_END = re.compile(r"(?<!\be\.g)(?<!\bi\.e)(?<!\bvs)[.!?][)\"*_]*(?=\s+[^a-z]|\s*$)|[。！？][」”）)]*")
_WORD = re.compile(r"[\u4e00-\u9fff]|[^\s\u4e00-\u9fff]*[\w`][^\s\u4e00-\u9fff]*")


@dataclass(frozen=True)
class Line:
    number: int  # from 1
    text: str


@dataclass(frozen=True)
class Sentence:
    number: int  # of the line where it starts
    n_words: int  # a Chinese character counts as one
    text: str


def documents() -> list[Path]:
    """Every Markdown file of the repository."""
    found = (path for path in ROOT.rglob("*.md") if not _SKIPPED.intersection(path.relative_to(ROOT).parts))
    return sorted(path for path in found if not path.parent.is_symlink())


def prose_lines(text: str) -> list[Line]:
    """The lines outside code blocks, tables and comments, and but for headings that are one piece of code."""
    found, fence, comment = [], "", False
    for number, line in enumerate(text.splitlines(), 1):
        mark = _FENCE.match(line)
        if mark:
            fence = "" if fence and mark[1].startswith(fence) else (fence or mark[1])
        elif comment or line.lstrip().startswith("<!--"):
            comment = "-->" not in line
        elif not (
            fence or line.startswith("    ") or line.lstrip().startswith("|") or _CODE_HEADING.match(line)
        ):
            found.append(Line(number, line))
    return found


def width(text: str) -> int:
    """Columns of a line in a terminal; addresses do not count, since nothing can break them."""
    import unicodedata

    plain = _LINK.sub("]()", text)
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in plain)


def sentences(text: str) -> list[Sentence]:
    """The sentences of a document, in order; a heading, an item or a paragraph ends one."""
    found: list[Sentence] = []
    start, held = 0, ""
    for line in [*prose_lines(text), Line(0, "")]:
        blank = not line.text.strip()
        if blank or _ITEM.match(line.text):
            found += _split(start, held)
            held = ""
        start = start if held else line.number
        held = f"{held} {_LINK.sub(']', _ITEM.sub('', line.text))}".strip()
    return found


def _split(start: int, paragraph: str) -> list[Sentence]:
    ends = [match.end() for match in _END.finditer(paragraph)]
    pieces = [paragraph[a:b].strip() for a, b in zip([0, *ends], [*ends, len(paragraph)], strict=True)]
    return [Sentence(start, len(_WORD.findall(piece)), piece) for piece in pieces if piece]


def main(arguments: list[str]) -> None:
    print(f"{'words':>5} {'columns':>7}  document: longest sentence")
    for path in [Path(argument).resolve() for argument in arguments] or documents():
        text = path.read_text(encoding="utf-8")
        longest = max(sentences(text), key=lambda sentence: sentence.n_words, default=Sentence(0, 0, ""))
        widest = max((width(line.text) for line in prose_lines(text)), default=0)
        name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        print(f"{longest.n_words:5} {widest:7}  {name}:{longest.number}: {longest.text[:60]}")


if __name__ == "__main__":
    main(sys.argv[1:])
