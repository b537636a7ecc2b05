"""Messages of the Python interface in the words of the command line: --max-tokens, not max_tokens."""

from __future__ import annotations

import re
from collections.abc import Mapping

_ELSEWHERE = {
    "top_logprobs": "logprobs",
    "memory_check": "no-memory-check",
}  # settings under another option's name
_PLACE_AND_NAME = re.compile(r"\[\w+\] (\w+)(?=[:：])")
_ASSIGNMENT = re.compile(r"(?<![\w-])(\w+)=(?:True\b|'([^']*)'|\"([^\"]*)\")")
_WORD = re.compile(r"(?<![\w.\"'/-])([a-z]+(?:_[a-z]+)+)(?![\w.\"'/-])")
_TWICE = re.compile(r"(--[\w-]+) ?[(（]\1[)）]")


class Wording:
    """Names of settings -> options of the command that runs. Without a command texts stay as they are."""

    def __init__(self, flags: Mapping[str, str]) -> None:
        """flags: name of a setting -> its option."""
        options = set(flags.values())
        extra = {name: f"--{other}" for name, other in _ELSEWHERE.items() if f"--{other}" in options}
        self._flags = {**flags, **extra}

    def __call__(self, text: str) -> str:
        """`text` with options in place of settings."""
        text = _PLACE_AND_NAME.sub(lambda found: self._flags.get(found[1], found[0]), text)
        text = _ASSIGNMENT.sub(self._assignment, text)
        text = _WORD.sub(lambda found: self._flags.get(found[1], found[0]), text)
        return _TWICE.sub(r"\1", text)

    def _assignment(self, found: re.Match[str]) -> str:
        flag = self._flags.get(found[1])
        value = found[2] or found[3]
        return found[0] if flag is None else f"{flag} {value}" if value else flag
