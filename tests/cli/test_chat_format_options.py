"""--family and --chat-template, and one rule for files without a template: refused before anything is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from belle_edge import Belle as Model

from ..api.test_rendered_conversations import LLAMA_2, VICUNA

pytestmark = pytest.mark.slow
Belle = Callable[..., Any]
OPTIONS = ("--quiet", "--temperature", "0", "--max-tokens", "6")
UNLOADABLE = ("--isa", "none-such")  # what comes before this error comes before the loading


@pytest.fixture
def bare(converted: Callable[[str, str], Path]) -> Path:
    """A model without template and family."""
    return converted("llama", "f32")


@pytest.mark.parametrize("command", ["chat", "generate"])
def test_no_template_is_the_same_refusal_everywhere(belle: Belle, bare: Path, command: str) -> None:
    done = belle(command, bare, "--quiet", *UNLOADABLE, text="Once")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    for advice in ("no chat template", "--family", "--chat-template", "--raw"):
        assert advice in done.stderr


def test_raw_is_asked_for(belle: Belle, bare: Path) -> None:
    assert belle("generate", bare, "Once", "--raw", *OPTIONS).stdout.strip()
    done = belle("generate", bare, "Once", "--raw", "--family", "belle", *OPTIONS)
    assert (done.returncode, done.stdout) == (1, "")
    assert "--raw" in done.stderr


@pytest.mark.parametrize("command", ["chat", "generate"])
def test_a_family_by_name(belle: Belle, bare: Path, command: str) -> None:
    with Model.load(bare, family="belle-v2") as loaded:
        expected = loaded.generate("Once", temperature=0, max_tokens=6).text
    assert belle(command, bare, "--family", "belle-v2", *OPTIONS, text="Once").stdout == f"{expected}\n"


@pytest.mark.parametrize("template", [LLAMA_2, VICUNA], ids=["llama-2", "vicuna"])
def test_a_template_from_a_file_for_several_turns(
    belle: Belle, bare: Path, tmp_path: Path, template: str
) -> None:
    path = tmp_path / "chat.jinja"
    path.write_text(template, encoding="utf-8")
    with Model.load(bare, chat_template=template) as loaded:
        conversation = loaded.conversation(temperature=0, max_tokens=6)
        expected = [conversation.say(text).text for text in ("Once", "upon", "a time")]
    done = belle("chat", bare, "--chat-template", path, *OPTIONS, text="Once\nupon\na time\n")
    assert done.stdout == "".join(f"{text}\n" for text in expected)
    assert belle("generate", bare, "Once", "--chat-template", path, *OPTIONS).stdout == f"{expected[0]}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--chat-template", "none.jinja"), "none.jinja"),
        (("--chat-template", "BROKEN"), "broken at line 1"),
        (("--chat-template", "BINARY"), "not UTF-8"),
        (("--load", "none.chat"), "none.chat"),
        (("--family", "belle", "--load", "BROKEN", "--system", "x"), "--system"),
        (("--family", "belle", "--top-p", "2"), "--top-p"),
    ],
)
def test_mistakes_are_told_before_loading(
    belle: Belle, bare: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    files = {"BROKEN": tmp_path / "broken.jinja", "BINARY": tmp_path / "binary.jinja"}
    files["BROKEN"].write_text("{% if %}", encoding="utf-8")
    files["BINARY"].write_bytes(b"\xff\xfe\x00")
    words = [str(files.get(word, word)) for word in arguments]
    done = belle("chat", bare, "--quiet", *words, *UNLOADABLE, text="x")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert message in done.stderr
    assert "none-such" not in done.stderr
