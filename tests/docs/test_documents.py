"""What the documents say is so: their Python runs, their commands run, every option they name exists."""

from __future__ import annotations

import argparse
import importlib
import inspect
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import belle_edge

from ..installed_metadata import add_entry_points

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    path
    for path in (ROOT / "README.md", ROOT / "README.zh-CN.md", *sorted((ROOT / "docs").rglob("*.md")))
    if path.exists()
]
QUESTION = "用一句话介绍北京。"
EXAMPLES = {
    "generate.py": [QUESTION],
    "stream.py": [QUESTION],
    "chat.py": ["你好", "谢谢"],
    "batch.py": ["questions.txt"],
    "classify_comments.py": ["texts.csv", "labelled.csv"],
    "extract_fields.py": ["texts.csv", "extracted.csv"],
    "translate_csv.py": ["texts.csv", "translated.csv"],
    "summarize_folder.py": ["articles", "summaries"],
    "logits.py": ["今天天气"],
}


def blocks(path: Path, language: str) -> list[str]:
    """The code blocks of a document."""
    return re.findall(
        rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


def python_blocks() -> list[tuple[str, str]]:
    found = []
    for path in DOCUMENTS:
        if path.name == "DISTRIBUTED.md":
            continue  # tests/distributed runs these, on clusters
        for number, code in enumerate(blocks(path, "python")):
            if "torch" not in code and "belle_edge.hf" not in code:  # the published snippet has its own test
                found.append((f"{path.relative_to(ROOT)}:{number}", code))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the documents speak of: a small model under their names."""
    from belle_edge.convert import convert
    from belle_edge.demo import checkpoint_path

    place = tmp_path_factory.mktemp("documents")
    shutil.copytree(checkpoint_path(), place / "belle-demo")
    convert(place / "belle-demo", place / "belle-demo-q4_0.gguf", type="q4_0", family="belle")
    shutil.copy(place / "belle-demo-q4_0.gguf", place / "belle-7b.gguf")
    add_entry_points(place, "llm")
    (place / "questions.txt").write_text(f"{QUESTION}\n\n你好\n", encoding="utf-8")
    (place / "texts.csv").write_text('id,text\n1,"今天,\n下雨"\n2,你好\n', encoding="utf-8")
    (place / "articles").mkdir()
    (place / "articles" / "short.txt").write_text("今天天气很好。\n", encoding="utf-8")
    (place / "articles" / "long.txt").write_text("第1天，我们去公园看花。\n" * 900, encoding="utf-8")
    return place


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONUTF8": "1",
        "LLM_USER_PATH": str(folder / "llm"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
    }
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "code"), python_blocks(), ids=lambda value: value if ".md:" in value else ""
)
def test_python_in_documents_runs(folder: Path, name: str, code: str) -> None:
    done = run([sys.executable, "-c", code], folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_examples_run(folder: Path, name: str) -> None:
    done = run([sys.executable, str(ROOT / "examples" / name), "belle-7b.gguf", *EXAMPLES[name]], folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def transcripts() -> list[str]:
    """Lines `$ belle-edge …` of the documents that need neither a network nor a terminal, nor gigabytes."""
    found = []
    for path in DOCUMENTS:
        if path.relative_to(ROOT).as_posix() == "docs/zh/command-line.md":
            continue  # tests/docs/chinese_transcript.py repeats these, errors and all
        for line in re.findall(r"^\$ (.*belle-edge .*)$", path.read_text(encoding="utf-8"), re.MULTILINE):
            excluded = ("belle-edge pull", "<Tab>", "--synthetic")
            if not any(part in line for part in excluded):
                found.append(line)
    return sorted(set(found))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the transcripts are of a POSIX shell")
@pytest.mark.parametrize("line", transcripts())
def test_transcripts_can_be_repeated(folder: Path, line: str) -> None:
    (folder / "belle-demo-q8_0.gguf").unlink(missing_ok=True)
    program = f'belle-edge() {{ {shlex.quote(sys.executable)} -m belle_edge.cli.main "$@"; }}; set -o pipefail; {line}'
    done = run(["bash", "-c", program], folder)
    assert done.returncode == 0, done.stderr
    if not line.startswith("eval") and ("chat" not in line or line.startswith("printf")):
        assert done.stdout


def options() -> dict[str, set[str]]:
    """Command -> its options."""
    from belle_edge.cli.main import build_parser

    (commands,) = (
        action for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction)
    )
    return {
        name: {flag for action in parser._actions for flag in action.option_strings}
        for name, parser in commands.choices.items()
    }


def test_every_command_has_a_page_and_the_pages_name_its_options() -> None:
    known = options()
    for name, flags in known.items():
        page = ROOT / "docs" / "cli" / f"{name}.md"
        assert page.exists(), f"no page for belle-edge {name}"
        text = page.read_text(encoding="utf-8")
        if name in ("batch", "chat", "demo"):  # these refer to generate's page for what they share
            text += (ROOT / "docs" / "cli" / "generate.md").read_text(encoding="utf-8")
        shared = {"-h", "--help", "-v", "-q", "--verbose", "--quiet", "--language", "--stream"}
        missing = {flag for flag in flags - shared if not re.search(rf"{flag}(?![\w-])", text)}
        assert not missing, f"{page.name} does not mention {missing}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_options_in_documents_exist(path: Path) -> None:
    known = options()
    text = re.sub(r"\\\n", " ", path.read_text(encoding="utf-8"))
    for line in re.findall(r"belle-edge +(?=[a-z])([^\n`|]*)", text):
        name = line.split()[0]
        if name not in known:
            continue  # "belle-edge is …"
        for flag in re.findall(r"(?<![\w-])--?[a-z][\w-]*", re.sub(r'"[^"]*"', "", line)):
            assert flag in known[name], f"{path.name}: belle-edge {name} has no {flag}"
    everything = set().union(*known.values())
    if path.parent.name == "cli":
        for flag in re.findall(r"`(--[a-z][\w-]*)", text):
            assert flag in everything, f"{path.name} names {flag}"


def signature_text(name: str) -> str:
    """`name` with its parameters as they are now, annotations left out."""
    if name.split(".")[0] == "belle_edge":
        module, _, attribute = name.rpartition(".")
        target = getattr(importlib.import_module(module), attribute)
    else:
        target = belle_edge
        for part in name.split("."):
            target = getattr(target, part)
    signature = inspect.signature(target)
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in signature.parameters.values()
        if parameter.name != "self"
    ]
    empty = inspect.Signature.empty
    return name + str(signature.replace(parameters=parameters, return_annotation=empty))


def documented() -> list[str]:
    """The signatures of API.md: in a heading, or where they are long in the block below one."""
    text = (ROOT / "docs" / "API.md").read_text(encoding="utf-8")
    found = re.findall(
        r"^#### `([^`\n]*)`$(?:\n\n```text\n\1(\(\n.*?\n\))\n```)?", text, re.MULTILINE | re.DOTALL
    )
    return [
        heading + re.sub(r"\s+", " ", block).replace("( ", "(").replace(", )", ")")
        for heading, block in found
    ]


@pytest.mark.parametrize("heading", documented())
def test_signatures_in_the_api_document(heading: str) -> None:
    actual = signature_text(heading.partition("(")[0])
    assert heading.replace("PosixPath", "Path") == re.sub(r"(Posix|Windows)Path", "Path", actual)


def test_the_api_document_is_complete() -> None:
    """Every public name, and every public method of what users call."""
    text = (ROOT / "docs" / "API.md").read_text(encoding="utf-8")
    for name in belle_edge.__all__:
        assert f"`{name}`" in text or f"## {name}\n" in text or f".{name}`" in text, f"API.md lacks {name}"
    headings = {heading.partition("(")[0] for heading in documented()}
    for name in ("Belle", "SamplingParams"):
        methods = inspect.getmembers(getattr(belle_edge, name), callable)
        missing = {f"{name}.{method}" for method, _ in methods if not method.startswith("_")} - headings
        assert not missing


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{path.name} links to {target}"
