"""The `belle-edge` command, run as a user runs it: output, exit codes, pipes, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import belle_edge

Converted = Callable[[str, str], Path]
COMMAND = [sys.executable, "-m", "belle_edge.cli.main"]
QUESTION = "用一句话介绍北京。"


def belle(*arguments: str | Path, text: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command with `text` on its standard input, all pipes in UTF-8."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        input=text,
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, **environment},
        timeout=120,
    )


@pytest.fixture(scope="module")
def model(converted: Converted) -> Path:
    return converted("belle-tiny-zh", "q4_0")


def test_help_and_version() -> None:
    done = belle("--help")
    assert done.returncode == 0
    assert all(command in done.stdout for command in ("convert", "generate", "info", "demo"))
    assert belle("--version").stdout == f"belle-edge {belle_edge.__version__}\n"


def test_info_of_this_machine() -> None:
    report = json.loads(belle("info", "--json").stdout)
    assert report["version"] == belle_edge.__version__
    assert report["isa"] in {tier["name"] for tier in report["tiers"] if tier["supported"]}
    text = belle("info").stdout
    assert f"{report['isa']:<12}active" in text


def test_the_tier_can_be_forced() -> None:
    assert json.loads(belle("info", "--json", BELLE_ISA="scalar").stdout)["isa"] == "scalar"
    done = belle("info", BELLE_ISA="nothing")
    assert (done.returncode, done.stdout) == (1, "")
    assert "scalar" in done.stderr  # the choices are listed


def test_info_of_a_file(model: Path) -> None:
    report = json.loads(belle("info", model, "--context", "100", "--json").stdout)
    assert (report["architecture"], report["family"]) == ("bloom", "belle")
    assert report["shape"]["n_layers"] == 6
    assert sum(entry["bytes"] for entry in report["types"].values()) < report["size_bytes"]
    assert 4.5 <= report["bits_per_weight"] < 5
    assert report["preset"]["temperature"] == 0.35
    assert report["kv_cache"]["bytes"] == 100 * report["kv_cache"]["bytes_per_token"]
    text = belle("info", model).stdout
    assert "4.5" in text
    assert "q4_0" in text


def test_info_agrees_with_the_engine(converted: Converted) -> None:
    for name, kind in (("stories260K/hf", "f32"), ("belle-tiny-zh", "q4_0")):
        path = converted(name, kind)
        report = json.loads(belle("info", path, "--json").stdout)
        with belle_edge.Belle.load(path) as loaded:
            assert report["kv_cache"]["type"] == loaded.details["kv_type"]
            assert report["kv_cache"]["bytes_per_token"] == loaded.details["kv_bytes_per_token"]
            assert report["shape"]["vocab_size"] == loaded.config["vocab_size"]


def test_generate_from_argument_file_and_stdin(model: Path, tmp_path: Path) -> None:
    options = ("--temperature", "0", "--max-tokens", "20")
    expected = belle("generate", model, QUESTION, *options)
    assert expected.returncode == 0
    assert len(expected.stdout) > 3
    prompt = tmp_path / "prompt.txt"
    prompt.write_text(QUESTION + "\n", encoding="utf-8")
    assert belle("generate", model, "--file", prompt, *options).stdout == expected.stdout
    assert belle("generate", model, *options, text=QUESTION + "\n").stdout == expected.stdout
    assert belle("generate", model, QUESTION, "--no-stream", *options).stdout == expected.stdout


def test_generate_json(model: Path) -> None:
    done = belle("generate", model, QUESTION, "--json", "--temperature", "0", "--max-tokens", "20")
    report = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert report["completion_tokens"] == len(report["token_ids"])
    assert report["finish_reason"] in ("stop", "length", "stop_string")
    plain = belle("generate", model, QUESTION, "--temperature", "0", "--max-tokens", "20")
    assert plain.stdout == report["text"] + "\n"


def test_generate_raw_stop_and_verbose(model: Path) -> None:
    prompt = f"Human: {QUESTION}\n\nAssistant:"
    raw = belle("generate", model, prompt, "--raw", "--temperature", "0", "--verbose")
    assert raw.stdout == belle("generate", model, QUESTION, "--temperature", "0").stdout
    assert "tokens/s" in raw.stderr
    stopped = belle("generate", model, prompt, "--raw", "--temperature", "0", "--stop", raw.stdout[2])
    assert stopped.stdout == raw.stdout[: raw.stdout.index(raw.stdout[2])] + "\n"


def test_pipes_are_utf8_whatever_the_locale(model: Path) -> None:
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "latin-1"}
    done = belle("generate", model, "--temperature", "0", "--max-tokens", "8", text=QUESTION, **locale)
    assert done.returncode == 0
    expected = belle("generate", model, QUESTION, "--temperature", "0", "--max-tokens", "8")
    assert done.stdout == expected.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("generate", "none.gguf", "x"), "no such file"),
        (("generate", ".", "x"), "is a folder"),
        (("generate", "MODEL", "x", "--isa", "nothing"), "scalar"),
        (("generate", "MODEL", "x", "--top-p", "7"), "top_p"),
        (("generate", "MODEL", "x", "--max-tokens", "0"), "max_tokens"),
        (("generate", "MODEL", "x", "--threads", "0"), "threads"),
        (("generate", "MODEL", "--raw"), "prompt is empty"),
        (("generate", "MODEL", "--file", "none.txt"), "none.txt"),
        (("info", "."), "is a folder"),
        (("info", "none.gguf"), "none.gguf"),
        (("info", "MODEL", "--context", "0"), "--context"),
    ],
)
def test_an_error_is_one_line_and_code_1(model: Path, arguments: tuple[str, ...], message: str) -> None:
    done = belle(*(str(model) if argument == "MODEL" else argument for argument in arguments))
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_damaged_file_is_one_line(tmp_path: Path, model: Path) -> None:
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(model.read_bytes()[:100_000])
    for command in (("info", damaged), ("generate", damaged, "x")):
        done = belle(*command)
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert "damaged.gguf" in done.stderr


def test_input_that_is_not_utf8(model: Path, tmp_path: Path) -> None:
    prompt = tmp_path / "prompt.txt"
    prompt.write_bytes(QUESTION.encode("gbk"))
    assert "not UTF-8" in belle("generate", model, "--file", prompt).stderr


@pytest.mark.parametrize(
    "arguments", [(), ("nothing",), ("generate",), ("generate", "a", "b", "--file", "c")]
)
def test_wrong_usage_is_code_2(arguments: tuple[str, ...]) -> None:
    assert belle(*arguments).returncode == 2


def test_a_traceback_only_on_request() -> None:
    assert "Traceback" not in belle("generate", "none.gguf", "x").stderr
    assert "Traceback" in belle("generate", "none.gguf", "x", "--verbose").stderr
    assert "Traceback" in belle("generate", "none.gguf", "x", BELLE_DEBUG="1").stderr


@pytest.mark.skipif(sys.platform == "win32", reason="signals work differently on Windows")
def test_ctrl_c_stops_a_generation(converted: Converted) -> None:
    arguments = [str(converted("stories260K/hf", "f32")), "Once", "--raw", "--temperature", "0"]
    process = subprocess.Popen(
        [*COMMAND, "generate", *arguments, "--max-tokens", "500"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.read(1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"Traceback" not in errors


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such pipes on Windows")
def test_a_reader_that_leaves(model: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "generate", str(model), QUESTION, "--seed", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.read(1)
    process.stdout.close()
    assert process.stderr is not None
    assert b"Traceback" not in process.stderr.read()
    process.wait(timeout=20)


def test_demo(tmp_path: Path) -> None:
    from belle_edge.demo import checkpoint_path

    if not (checkpoint_path() / "config.json").exists():
        pytest.skip("the bundled checkpoint has not been built")
    done = belle("demo", "--keep", tmp_path, "--question", "你好", HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"belle-demo-q8_0.gguf", "belle-demo-q4_0.gguf"}
    assert "q4_0" in done.stdout
    assert "Human: 你好" in done.stdout
    assert "tokens/s" in done.stdout
