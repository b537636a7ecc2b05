"""Texts in every encoding that a pipe or an editor makes: read, or an error that names the option and a guess."""

from __future__ import annotations

import codecs
import io
from pathlib import Path

import pytest

from belle_edge.cli.main import main
from belle_edge.cli.text_input import checked_encoding, decoded
from belle_edge.text.encodings import guessed_encoding

TEXT = "用一句话介绍北京，好吗？"
TRADITIONAL = "請用一句話介紹臺灣的歷史與文化。"


@pytest.mark.parametrize(
    "content",
    [
        codecs.BOM_UTF8 + TEXT.encode(),
        codecs.BOM_UTF8 * 2 + TEXT.encode(),  # a file with a mark, through PowerShell
        TEXT.encode("utf-16"),
        codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
        TEXT.encode("utf-32"),
    ],
)
def test_byte_order_marks(content: bytes) -> None:
    assert decoded(content, encoding=None, where="x") == TEXT


def test_lines_end_in_newlines() -> None:
    assert decoded(b"a\r\nb\rc\n", encoding=None, where="x") == "a\nb\nc\n"


@pytest.mark.parametrize(
    ("text", "encoding", "guess"),
    [
        (TEXT, "gbk", "gb18030"),
        (TEXT, "gb18030", "gb18030"),
        (TRADITIONAL, "big5", "big5"),
        (TEXT, "utf-16-le", "utf-16-le"),
        (TEXT, "utf-16-be", "utf-16-be"),
        ("Hello, 北京", "utf-16-le", "utf-16-le"),
        ("これはペンです。", "shift_jis", "shift_jis"),
    ],
)
def test_a_guess_that_is_right(text: str, encoding: str, guess: str) -> None:
    content = text.encode(encoding)
    assert guessed_encoding(content) == guess
    with pytest.raises(ValueError, match=f"--encoding {guess}"):
        decoded(content, encoding=None, where="standard input")
    assert decoded(content, encoding=guess, where="x") == text


def test_no_guess_for_noise() -> None:
    content = bytes(range(128, 256))
    assert guessed_encoding(content) is None
    with pytest.raises(ValueError, match=r"not UTF-8 text \(byte 0\).*--encoding NAME"):
        decoded(content, encoding=None, where="x")


def test_unknown_encodings() -> None:
    assert checked_encoding("GBK") == "gbk"
    for name in ("nothing", "base64", "a\0b"):
        with pytest.raises(ValueError, match="--encoding: no encoding"):
            checked_encoding(name)


def test_the_commands(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """--file, --file -, standard input of generate and chat: with --encoding, and the hint without."""
    options = ["--temperature", "0", "--max-tokens", "4", "-q"]

    def run(*words: str | Path, stdin: bytes = b"") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = main([*map(str, words), *options])
        return (code, *capsys.readouterr())

    capsys.readouterr()
    expected = run("generate", model, TEXT)
    assert expected[0] == 0
    file = tmp_path / "prompt.txt"
    for encoding in ("gbk", "utf-16"):
        content = (TEXT + "\r\n").encode(encoding)
        file.write_bytes(content)
        assert run("generate", model, "--encoding", encoding, "--file", file) == expected
        assert run("generate", model, "--encoding", encoding, "--file", "-", stdin=content) == expected
        assert run("chat", model, "--encoding", encoding, stdin=content) == expected
    assert run("generate", model, stdin=codecs.BOM_UTF8 + TEXT.encode()) == expected
    assert run("chat", model, stdin=codecs.BOM_UTF8 + TEXT.encode()) == expected
    for command in ("generate", "chat"):
        code, _, problem = run(command, model, stdin=TEXT.encode("gbk"))
        assert code == 1
        assert "--encoding gb18030" in problem
        assert problem.count("\n") == 1
