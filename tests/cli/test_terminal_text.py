"""Text from files on its way to a terminal: it can neither give orders nor pass for a line of ours."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from belle_edge.text.terminal_text import printable, printable_line

from ..gguf.checksummed import with_checksums
from ..hostile.small_models import complete_model

Belle = Callable[..., Any]

EVIL = "a\x1b]0;owned\x07\x1b[2J\x9b1m\r\nlicence       free\u202egnp\x7f\x00"
ORDERS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound model whose every text is hostile, its file name as well."""
    model = complete_model("llama")
    text = EVIL.replace("\x00", "")
    for key in (
        "general.name",
        "general.license.name",
        "general.license.link",
        "belle.family",
        "general.author",
    ):
        model.extra[key] = text
    model.extra["belle.stop_strings"] = [text]
    model.extra["tokenizer.chat_template"] = text + "{{ raise_exception('" + text + "') }}"
    folder = tmp_path_factory.mktemp("evil")
    return with_checksums(model.write(folder / "a\x1b[2Jb.gguf", "q4_0"))


def test_what_stays_and_what_goes() -> None:
    assert printable(EVIL) == "a]0;owned[2J1m\nlicence       free\u202egnp"
    assert printable_line(EVIL) == "a]0;owned[2J1m licence       freegnp"
    assert printable("你好\t🙂\n  x = 1\n") == "你好\t🙂\n  x = 1\n"
    assert printable_line("a\u2028b\u2066c\td") == "a bc d"


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("info",),
        ("info", "--verbose"),
        ("verify",),
        ("chat",),
        ("generate",),
        ("generate", "--verbose"),
        ("identify",),
    ],
    ids=" ".join,
)
def test_commands_show_no_orders(belle: Belle, evil: Path, arguments: tuple[str, ...]) -> None:
    command, *options = arguments
    prompt = ["x", "--max-tokens", "2"] if command == "generate" else []
    done = belle(command, evil, *prompt, *options, text="a question\n")
    shown = done.stdout + done.stderr
    assert "owned" in shown or command in ("verify", "identify")
    assert not ORDERS.search(shown), ORDERS.findall(shown)
    assert not re.search(r"^licence +free", shown, re.MULTILINE) or "--verbose" in options


def test_json_keeps_every_character(belle: Belle, evil: Path) -> None:
    report = json.loads(belle("info", evil, "--json").stdout)
    assert report["name"] == EVIL.replace("\x00", "")
    assert report["file"] == "a\x1b[2Jb.gguf"


def test_a_template_for_a_pipe_is_the_file(belle: Belle, evil: Path) -> None:
    assert "\x1b]0;owned" in belle("info", evil, "--template").stdout


def test_a_template_on_a_terminal(command: list[str], evil: Path) -> None:
    pytest.importorskip("pty", reason="pseudo-terminals are POSIX")
    from .pseudo_terminal import Terminal

    terminal = Terminal([*command, "info", str(evil), "--template"])
    assert "licence       free" in terminal.wait_for("raise_exception") + terminal.wait_for("}}")
    assert terminal.exit_code() == 0
    assert "]0;owned" in terminal.output
    assert not ORDERS.search(terminal.output.replace("\r", "").replace("\u202e", ""))


def test_a_conversion_report(capsys: pytest.CaptureFixture[str]) -> None:
    from belle_edge.convert.conversion_report import ConversionReport

    report = ConversionReport(
        source="x",
        output=f"{EVIL}.gguf",
        dry_run=False,
        architecture="llama",
        type="q4_0",
        name=EVIL,
        family=None,
        confidence="none",
        license=EVIL,
        n_tokens=1,
        n_padding_tokens=0,
        source_bytes=1,
        output_bytes=1,
        conversion_memory_bytes=1,
        weight_bytes=1,
        kv_bytes_per_token=1,
        context_length=1,
        tensors=[],
        costs=[],
        warnings=[f"added token {EVIL} left out"],
    )
    report.print()
    shown = capsys.readouterr().out
    assert shown.count("owned") == 4
    assert not ORDERS.search(shown)
    assert report.to_dict()["name"] == EVIL


def test_log_lines(capsys: pytest.CaptureFixture[str]) -> None:
    from belle_edge.cli.terminal import LOGGER, set_up_messages

    before = LOGGER.handlers, LOGGER.propagate, LOGGER.level
    try:
        set_up_messages(quiet=False, verbose=False)
        logging.getLogger("belle_edge.llama_cpp").warning("loading %s", EVIL)
    finally:
        LOGGER.handlers, LOGGER.propagate = before[:2]
        LOGGER.setLevel(before[2])
    assert capsys.readouterr().err == "belle-edge: loading a]0;owned[2J1m licence       freegnp\n"
