"""The messages of C++: sums of literals and values, which throw, or a function that does, is given."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from .found import Found, is_message

_TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|[A-Za-z_]\w*|[0-9][\w.\']*'
    r"|::|->|==|!=|<=|>=|&&|\|\||\+=|<<|>>|\S",
    re.DOTALL,
)
_DIRECTIVE = re.compile(r"^[ \t]*#(?:.*\\\n)*.*$", re.MULTILINE)
_CONSTANT = re.compile(r'\b(k[A-Z]\w*)(?:\[\])?\s*=\s*((?:"(?:[^"\\\n]|\\.)*"\s*)+);')
_OPENS, _CLOSES = frozenset("([{"), frozenset(")]}")
_ENDS = frozenset([",", ";", "?", ":", "=", "+=", "return", "throw", "<<", "&&", "||", "==", "!="])
_ESCAPES = {"\\n": "\n", '\\"': '"', "\\\\": "\\"}


def cpp_messages(files: Mapping[str, str], headers: Mapping[str, str]) -> Iterator[Found]:
    """Of many files: path relative to the repository -> source. Those of the bindings only where they throw.

    headers: only their constants are looked at.
    """
    sources = (*headers.values(), *files.values())
    constants = {found[1]: _joined(found[2]) for source in sources for found in _CONSTANT.finditer(source)}
    for path, source in files.items():
        for text, line, thrown in _texts(source, constants):
            if is_message(text) and (thrown or "/bindings/" not in path):
                yield Found(text, path, line)


def _texts(source: str, constants: Mapping[str, str]) -> Iterator[tuple[str, int, bool]]:
    """(text with places, line, whether it is thrown at once) of each sum with a literal in it."""
    source = _DIRECTIVE.sub(lambda found: "\n" * found[0].count("\n"), source)
    tokens = [
        (found[0], source.count("\n", 0, found.start()) + 1)
        for found in _TOKEN.finditer(source)
        if not found[0].startswith(("//", "/*", 'R"'))
    ]
    done: set[int] = set()
    for index, (token, line) in enumerate(tokens):
        if not token.startswith('"') or index in done or _is_for_the_compiler(tokens, index):
            continue
        is_wrapped = [token for token, _ in tokens[max(0, index - 4) : index]] == ["std", "::", "string", "("]
        begin = _begin(tokens, index - 4 if is_wrapped else index)
        text, end = _sum(tokens, begin, constants, done)
        if end > index:
            yield text, line, _is_thrown(tokens, begin)


def _is_for_the_compiler(tokens: list[tuple[str, int]], index: int) -> bool:
    before = [token for token, _ in tokens[max(0, index - 40) : index] if token in (";", "static_assert")]
    return before[-1:] == ["static_assert"]


def _begin(tokens: list[tuple[str, int]], index: int) -> int:
    """Where the sum begins that the token is in."""
    depth = 0
    while index > 0:
        before = tokens[index - 1][0]
        if before in _CLOSES:
            depth += 1
        elif before in _OPENS:
            if depth == 0:
                return index
            depth -= 1
        elif depth == 0 and before in _ENDS:
            return index
        index -= 1
    return index


def _is_thrown(tokens: list[tuple[str, int]], begin: int) -> bool:
    return "throw" in [token for token, _ in tokens[max(0, begin - 7) : begin]]


def _sum(
    tokens: list[tuple[str, int]], index: int, constants: Mapping[str, str], done: set[int]
) -> tuple[str, int]:
    """The text of the sum that begins here, and where it ends."""
    pieces: list[str] = []
    n_places, depth, in_value = 0, 0, False
    while index < len(tokens):
        token = tokens[index][0]
        if depth == 0 and (token in _ENDS or token in _CLOSES):
            break
        if depth == 0 and token == "std" and _wraps_literal(tokens, index):
            pieces.append(_literal(tokens[index + 4][0]))  # of std::string("…")
            done.add(index + 4)
            index += 6
            continue
        if depth == 0 and token == "+":
            in_value = False
        elif depth == 0 and token.startswith('"'):
            pieces.append(_literal(token))
            done.add(index)
        elif depth == 0 and token in constants:
            pieces.append(constants[token])
        else:
            if not in_value:
                pieces.append(f"{{{n_places}}}")
                n_places, in_value = n_places + 1, True
            depth += (token in _OPENS) - (token in _CLOSES)
        index += 1
    return "".join(pieces), index


def _wraps_literal(tokens: list[tuple[str, int]], index: int) -> bool:
    words = [token for token, _ in tokens[index : index + 6]]
    return (
        len(words) == 6
        and words[1:4] == ["::", "string", "("]
        and words[4].startswith('"')
        and words[5] == ")"
    )


def _literal(token: str) -> str:
    return re.sub(r"\\.", lambda found: _ESCAPES.get(found[0], found[0]), token[1:-1])


def _joined(literals: str) -> str:
    return "".join(map(_literal, re.findall(r'"(?:[^"\\\n]|\\.)*"', literals)))
