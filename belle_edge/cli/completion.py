"""`belle-edge completion`: completion scripts for bash, zsh and fish, written from the parser itself."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_HOW = """\
where it goes:
  bash   belle-edge completion bash > ~/.local/share/bash-completion/completions/belle-edge
  zsh    belle-edge completion zsh > "${fpath[1]}/_belle-edge"
  fish   belle-edge completion fish > ~/.config/fish/completions/belle-edge.fish
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Define the command's arguments."""
    parser = subparsers.add_parser(
        "completion",
        help="print a completion script for your shell",
        description="Print a script that completes commands, options and their values in a shell.",
        epilog=_HOW,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=sorted(_SHELLS))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from .main import build_parser

    print(_SHELLS[args.shell](build_parser()), end="")
    return 0


@dataclass(frozen=True)
class _Argument:
    """One option, or one positional where `flags` is empty."""

    flags: tuple[str, ...]
    value: str  # "" for a flag alone, else "choice", "gguf", "file" or "text"
    choices: tuple[str, ...]
    help: str


def _commands(parser: argparse.ArgumentParser) -> dict[str, tuple[str, list[_Argument]]]:
    """Command -> its one-line help and its arguments."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            return {
                name: (helps.get(name, ""), list(_arguments(sub))) for name, sub in action.choices.items()
            }
    return {}


def _arguments(parser: argparse.ArgumentParser) -> Iterator[_Argument]:
    for action in parser._actions:
        metavar = action.metavar if isinstance(action.metavar, str) else ""
        if action.choices is not None:
            value = "choice"
        elif action.nargs == 0:
            value = ""
        elif metavar.endswith(".gguf") or metavar == "MODEL":
            value = "gguf"
        elif action.type is Path or metavar in ("SRC", "DIR", "FILE", "PATH"):
            value = "file"
        else:
            value = "text"
        choices = tuple(str(choice) for choice in action.choices or ())
        yield _Argument(tuple(action.option_strings), value, choices, (action.help or "").replace("%%", "%"))


def _bash(parser: argparse.ArgumentParser) -> str:
    commands = _commands(parser)
    values, options, words = [], [], []
    for name, (_, arguments) in commands.items():
        flags = [flag for argument in arguments for flag in argument.flags]
        options.append(f"        {name}) words={shlex.quote(' '.join(flags))} ;;")
        for argument in arguments:
            patterns = "|".join(f"{name}:{flag}" for flag in argument.flags)
            if argument.flags and argument.value:
                kind = shlex.quote(" ".join(argument.choices) if argument.choices else f"<{argument.value}>")
                values.append(f"        {patterns}) kind={kind} ;;")
        positional = next((argument for argument in arguments if not argument.flags), None)
        if positional is not None:
            kind = " ".join(positional.choices) if positional.choices else f"<{positional.value}>"
            words.append(f"        {name}) kind={shlex.quote(kind)} ;;")
    return _BASH.format(
        commands=" ".join([*commands, "--help", "--version"]),
        values="\n".join(values),
        options="\n".join(options),
        words="\n".join(words),
    )


_BASH = """\
# bash completion for belle-edge; made by `belle-edge completion bash`
_belle_edge() {{
    local cur="${{COMP_WORDS[COMP_CWORD]}}" prev="${{COMP_WORDS[COMP_CWORD-1]}}" name="${{COMP_WORDS[1]}}"
    local words="" kind="" IFS=$' \\t\\n'
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "{commands}" -- "$cur"))
        return
    fi
    case "$name:$prev" in
{values}
    esac
    if [ -z "$kind" ] && [ "${{cur:0:1}}" = "-" ]; then
        case "$name" in
{options}
        esac
        COMPREPLY=($(compgen -W "$words" -- "$cur"))
        return
    fi
    if [ -z "$kind" ]; then
        case "$name" in
{words}
        esac
    fi
    case "$kind" in
        "<text>"|"") ;;
        "<file>") IFS=$'\\n'; COMPREPLY=($(compgen -f -- "$cur")) ;;
        "<gguf>") IFS=$'\\n'; COMPREPLY=($(compgen -f -X '!*.gguf' -- "$cur"; compgen -d -- "$cur")) ;;
        *) COMPREPLY=($(compgen -W "$kind" -- "$cur")) ;;
    esac
}}
complete -o filenames -F _belle_edge belle-edge
"""


def _zsh(parser: argparse.ArgumentParser) -> str:
    commands = _commands(parser)
    names = "\n".join(f"        {shlex.quote(f'{name}:{text}')}" for name, (text, _) in commands.items())
    cases = []
    for name, (_, arguments) in commands.items():
        specs = " \\\n                ".join(_zsh_spec(argument) for argument in arguments)
        cases.append(f"            {name})\n                _arguments \\\n                {specs} ;;")
    return _ZSH.format(names=names, cases="\n".join(cases))


def _zsh_spec(argument: _Argument) -> str:
    """One argument in the notation of zsh's _arguments."""
    actions = {
        "choice": f"({' '.join(argument.choices)})",
        "gguf": '_files -g "*.gguf"',
        "file": "_files",
        "text": " ",
    }
    text = argument.help
    for char in "\\[]:":
        text = text.replace(char, f"\\{char}")
    value = f":value:{actions[argument.value]}" if argument.value else ""
    if not argument.flags:
        return shlex.quote(f":{argument.value}:{actions[argument.value]}")
    flags = "{" + ",".join(argument.flags) + "}" if len(argument.flags) > 1 else argument.flags[0]
    return f"{flags}{shlex.quote(f'[{text}]{value}')}"


_ZSH = """\
#compdef belle-edge
# zsh completion for belle-edge; made by `belle-edge completion zsh`
_belle-edge() {{
    local -a commands
    commands=(
{names}
    )
    local context state line
    _arguments -C '(- *)--help[show help]' '(- *)--version[show the version]' '1: :->command' '*:: :->rest'
    case $state in
        command) _describe command commands ;;
        rest)
            case $line[1] in
{cases}
            esac ;;
    esac
}}
if [ "$funcstack[1]" = "_belle-edge" ]; then
    _belle-edge "$@"
else
    compdef _belle-edge belle-edge
fi
"""


def _fish(parser: argparse.ArgumentParser) -> str:
    commands = _commands(parser)
    lines = [
        "# fish completion for belle-edge; made by `belle-edge completion fish`",
        "complete -c belle-edge -f",
    ]
    at_start = shlex.quote("__fish_use_subcommand")
    for name, (text, _) in commands.items():
        lines.append(f"complete -c belle-edge -n {at_start} -a {name} -d {_fish_quoted(text)}")
    for name, (_, arguments) in commands.items():
        when = f"complete -c belle-edge -n {shlex.quote(f'__fish_seen_subcommand_from {name}')}"
        for argument in arguments:
            flags = [
                f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in argument.flags
            ]
            lines.append(" ".join([when, *flags, *_fish_value(argument), "-d", _fish_quoted(argument.help)]))
    return "\n".join(lines) + "\n"


def _fish_value(argument: _Argument) -> list[str]:
    if argument.value == "choice":
        return ["-x", "-a", _fish_quoted(" ".join(argument.choices))]
    if argument.value == "gguf":
        return ["-k", "-x" if argument.flags else "-f", "-a", "'(__fish_complete_suffix .gguf)'"]
    if argument.value == "file":
        return ["-r", "-F"]
    return ["-x"] if argument.value else []


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


_SHELLS = {"bash": _bash, "zsh": _zsh, "fish": _fish}
