"""Summarize the texts of a folder: python examples/summarize_folder.py MODEL.gguf FOLDER OUT_FOLDER

Each text gets a file of the same name. A text that is longer than the model's context is cut into parts, and the
summaries of its parts are summarized again. A second start leaves out what is done.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from belle_edge import Belle

QUESTION = "用一句话概括下面的文章：\n{}"
ANSWER_TOKENS = 100


def parts(model: Belle, text: str) -> list[str]:
    """The paragraphs of a text, as many together as fit into the context beside question and answer."""
    room = model.context - ANSWER_TOKENS - len(model.tokenize(QUESTION)) - 50
    found = [""]
    for paragraph in text.splitlines(keepends=True):
        while paragraph:
            if len(model.tokenize(found[-1] + paragraph)) <= room:
                found[-1] += paragraph
                break
            if found[-1]:
                found.append("")
            else:  # a paragraph that is too long by itself
                n_fitting = len(paragraph) * room // len(model.tokenize(paragraph))
                found[-1], paragraph = paragraph[:n_fitting], paragraph[n_fitting:]
                found.append("")
    return [part for part in found if part.strip()]


def questions(model: Belle, texts: dict[Path, str], n_parts: dict[Path, int]) -> Iterator[dict[str, object]]:
    for path, text in texts.items():
        found = parts(model, text)
        n_parts[path] = len(found)
        for part in found:
            yield {"prompt": QUESTION.format(part), "path": path}


def write(path: Path, summary: str) -> None:
    """A file that is there is whole, whenever this program is stopped."""
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text(summary + "\n", encoding="utf-8")
    os.replace(unfinished, path)
    print(f"{path.name}: {summary}", flush=True)


def main(model_path: str, source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(source.glob("*.txt"))}
    todo = {path: text for path, text in texts.items() if text.strip() and not (target / path.name).exists()}
    with Belle.load(model_path) as model:
        while todo:
            n_parts: dict[Path, int] = {}
            answers: dict[Path, list[str]] = {path: [] for path in todo}
            items = questions(model, todo, n_parts)
            for result in model.batch(items, ordered=True, temperature=0, max_tokens=ANSWER_TOKENS):
                path = result.item["path"]
                answers[path].append(result.text.strip())
                if n_parts[path] == 1:
                    write(target / path.name, answers[path][0])
            todo = {path: "\n".join(found) for path, found in answers.items() if len(found) > 1}


main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
