"""Words in any order, other programs' names, suggestions: what a command line means, without running it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from belle_edge.cli.command_line import parse_command_line
from belle_edge.cli.main import _parsers, all_flags, main
from belle_edge.cli.wording import Wording


def parsed(*words: str) -> dict[str, Any]:
    args, command = parse_command_line(*_parsers(), words)
    return {**vars(args), "command": command.prog.split()[-1]}


def refused(*words: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that wrong usage gets."""
    with pytest.raises(SystemExit) as end:
        parse_command_line(*_parsers(), words)
    printed = capsys.readouterr()
    assert end.value.code == 2
    assert printed.out == ""
    assert printed.err.startswith("belle-edge: error: ")
    assert printed.err.count("\n") == 1
    assert "--help" in printed.err
    return printed.err


@pytest.mark.parametrize(
    "words",
    [
        ("generate", "M", "--temperature", "0", "你好"),
        ("generate", "--temperature", "0", "M", "你好"),
        ("generate", "M", "你好", "--temperature=0"),
        ("generate", "M", "--temp", "0", "--", "你好"),
        ("generate", "--TEMPERATURE", "0", "--", "M", "你好"),
        ("generate", "-m", "M", "-p", "你好", "--temp", "0"),
        ("generate", "你好", "--temp=0", "--model=M"),
        ("generate", "-mM", "--prompt", "你好", "-temp", "0"),
        ("-m", "M", "-p", "你好", "--temp", "0"),
        ("run", "M", "你好", "--temp", "0"),
        ("run", "M", "--temp", "0", "你好"),
    ],
)
def test_the_order_does_not_matter(words: tuple[str, ...]) -> None:
    found = parsed(*words)
    assert found["command"] == "generate"
    assert (found["model"], found["prompt"], found["temperature"]) == (Path("M"), "你好", 0)


@pytest.mark.parametrize(
    "option", [("--raw",), ("--json",), ("--max-tokens", "5"), ("--no-stream",), ("-q",), ("-v",)]
)
def test_every_kind_of_option_between_positionals(option: tuple[str, ...]) -> None:
    assert parsed("generate", "M", *option, "你好")["prompt"] == "你好"
    assert parsed("bench", *option[:1], "M")["model"] == Path("M") if option == ("--json",) else True


@pytest.mark.parametrize("prompt", ["-5+3=?", "-", "-你好", "- a list", "--5", "---", "-x+y 是什么？"])
def test_prompts_that_no_option_looks_like(prompt: str) -> None:
    assert parsed("generate", "M", prompt)["prompt"] == prompt
    assert parsed("generate", "M", "--raw", "-p", prompt)["prompt"] == prompt


@pytest.mark.parametrize("prompt", ["-5+3=?", "--help", "-n", "-abc", "--json"])
def test_after_two_dashes_everything_is_a_prompt(prompt: str) -> None:
    found = parsed("generate", "M", "--raw", "--", prompt)
    assert (found["prompt"], found["raw"], found["json"]) == (prompt, True, False)


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        ("generate M -n 64 x", "max_tokens", 64),
        ("generate M -n64 x", "max_tokens", 64),
        ("generate M --n-predict 64 x", "max_tokens", 64),
        ("generate M --max_tokens 64 x", "max_tokens", 64),
        ("generate M --max_new_tokens=64 x", "max_tokens", 64),
        ("generate M --num_predict 64 x", "max_tokens", 64),
        ("chat M --ctx-size 128", "context", 128),
        ("chat M -c 128", "context", 128),
        ("chat M --n_ctx 128", "context", 128),
        ("chat M --num_ctx 128", "context", 128),
        ("chat M -t 2", "threads", 2),
        ("generate M -s 5 x", "seed", 5),
        ("generate M --seed -1 x", "seed", -1),
        ("generate M --repeat_penalty 1.1 x", "repetition_penalty", 1.1),
        ("generate M --stop -- x", "prompt", "x"),
        ("generate M -f -", "file", Path("-")),
        ("generate M --kv F16 x", "kv", "f16"),
        ("generate M --backend Llama.cpp x", "backend", "llama.cpp"),
        ("convert S -o O -t Q8_0", "type", "q8_0"),
        ("convert S -o O --outtype q8-0", "type", "q8_0"),
        ("convert -tBF16 S --outfile O", "type", "bf16"),
        ("convert S -qf -o O", "force", True),
        ("convert S --family BELLE --dry-run", "family", "belle"),
        ("completion BASH", "shell", "bash"),
        ("pull --include *.json ID", "repo_id", "ID"),
        ("pull ID --include *.json *.bin", "include", ["*.json", "*.bin"]),
        ("bench M -p 16 -n 4 -r 1", "prompt", 16),
        ("-q generate M x", "quiet", True),
    ],
)
def test_names_and_values(words: str, name: str, value: object, capsys: pytest.CaptureFixture[str]) -> None:
    if "--stop --" in words:  # a bare -- ends the options, it is nobody's value
        assert "--stop needs a value" in refused(*words.split(), capsys=capsys)
        return
    assert parsed(*words.split())[name] == value


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "give a command"),
        ("genrate M x", "did you mean generate?"),
        ("download x", "use belle-edge pull"),
        ("llama-server", "use belle-edge serve"),
        ("chat M --port 80", "an option of serve"),
        ("list", "models are files"),
        ("m.gguf", "belle-edge chat m.gguf"),
        ("--verison", "did you mean --version?"),
        ("generate", "MODEL"),
        ("generate -p x", "MODEL"),
        ("generate M --temprature 0 x", "did you mean --temperature?"),
        ("generate M --max-tokns 5 x", "did you mean --max-tokens?"),
        ("generate M -ngl 5 x", "CPU"),
        ("generate M --system x y", "an option of chat"),
        ("generate M -abc", "goes after --"),
        ("generate M how are you", "in quotes"),
        ("generate M --t 1 x", "--temperature"),
        ("generate M x --max-tokens", "needs a value"),
        ("generate M x --max-tokens --raw", "needs a value"),
        ("generate M x --max-tokens 1.5", "--max-tokens: expected a whole number, got '1.5'"),
        ("generate M x --top-p high", "--top-p: expected a number, got 'high'"),
        ("generate M x --raw=1", "takes no value"),
        ("generate M x --file c", "PROMPT: not allowed with --file"),
        ("convert S -t q8", "q4_k_m, q4_k_s, q3_k_l, q3_k_m, iq4_m, q3_k_s, got 'q8'; did you mean q8_0?"),
        ("chat M --overflow b", "expected one of error, slide"),
        ("completion powershell", "bash, fish, zsh"),
    ],
)
def test_wrong_usage_is_one_line_with_advice(
    words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(*words.split(), capsys=capsys)


def test_other_ways_to_ask_for_help(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["help"], ["help", "chat"], ["chat", "M", "-h"], ["run", "--help"], ["version"]):
        with pytest.raises(SystemExit, match="0"):
            main(words)
        assert "belle-edge" in capsys.readouterr().out


def test_messages_speak_of_options() -> None:
    flags = _parsers()[1]["generate"].flags
    wording = Wording(flags)
    assert wording("[sampling] top_p: expected x") == "--top-p: expected x"
    assert wording("prompt 3: [generate] max_tokens: y") == "prompt 3: --max-tokens: y"
    assert (
        wording("m.gguf has no template (raw=True hides this)") == "m.gguf has no template (--raw hides this)"
    )
    assert wording("[sampling] top_logprobs: z") == "--logprobs: z"
    assert wording("no such file: max_tokens.gguf") == "no such file: max_tokens.gguf"
    assert wording("[model] no such file: x") == "[model] no such file: x"
    chat = Wording(all_flags(_parsers()[1], "chat"))
    assert chat("use overflow='slide'") == "use --overflow slide"
    assert chat("no template: generate with raw=True") == "no template: generate with --raw"
    convert = Wording(_parsers()[1]["convert"].flags)
    assert convert("--force (force=True) replaces it") == "--force replaces it"
