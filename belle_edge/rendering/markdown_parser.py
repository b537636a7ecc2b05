"""The Markdown that is understood: CommonMark, tables, strikethrough and formulas. No HTML, no references.

Link references are left out on purpose: a definition at the end of a text would change blocks that were shown before.
"""

from __future__ import annotations

import re
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock, table
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from .chinese_emphasis import emphasis
from .formula_rules import AT_END, GROWING, add_formulas
from .sanitizing import ALIGNMENTS, SCHEMES
from .virtual_ends import close_emphasis

MAX_NESTING = 24  # of quotes and lists; deeper text is shown as it was written
MAX_INLINE_CHARS = 20_000  # of one paragraph; a longer one is shown as it was written
MAX_BRACKETS = 400  # "[" in one paragraph: the time to look for their ends grows with the square
MAX_CELLS = 10_000  # of one table: a short text can ask for many empty ones
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.\-]*):")


class _Parser(MarkdownIt):
    """Links lead to other sites, or write a mail; nothing else."""

    def validateLink(self, url: str) -> bool:
        found = _SCHEME.match(url.strip())
        return found is not None and found[1].lower() in SCHEMES

    def normalizeLinkText(self, link: str) -> str:
        """The text of <https://…>: a name in foreign letters stays in its ASCII form, and looks like no other."""
        return link


def markdown_parser() -> MarkdownIt:
    """A parser with this room's rules. It keeps no state between texts."""
    md = _Parser("commonmark", {"html": False, "breaks": True, "xhtmlOut": False, "maxNesting": MAX_NESTING})
    md.enable(["table", "strikethrough"])
    md.disable(["reference", "html_block", "html_inline"])
    add_formulas(md)
    md.block.ruler.at("table", _bounded_table, {"alt": ["paragraph", "reference"]})
    md.inline.ruler.at("emphasis", emphasis)
    md.core.ruler.at("inline", _inline)
    md.core.ruler.push("images", _images_are_links)
    md.core.ruler.push("alignment", _alignment_is_a_class)
    md.inline.ruler2.before("balance_pairs", "virtual_ends", _virtual_ends)
    return md


def is_too_deep(tokens: list[Token]) -> bool:
    """Whether the parser may have left something out."""
    return any(token.level >= MAX_NESTING - 1 for token in tokens)


def _bounded_table(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """A table; one of too many cells is a token `plain` instead."""
    n_before = len(state.tokens)
    if not table(state, start, end, silent):
        return False
    if sum(token.type in ("th_open", "td_open") for token in state.tokens[n_before:]) > MAX_CELLS:
        del state.tokens[n_before:]
        token = state.push("plain", "p", 0)
        token.content, token.map = (
            state.getLines(start, state.line, state.blkIndent, False),
            [start, state.line],
        )
    return True


def _inline(state: StateCore) -> None:
    """Parse inline texts; the last one of a growing text is known as such."""
    texts = [token for token in state.tokens if token.type == "inline"]
    for token in texts:
        state.env[AT_END] = bool(state.env.get(GROWING)) and token is texts[-1]
        token.children = []
        if len(token.content) > MAX_INLINE_CHARS or token.content.count("[") > MAX_BRACKETS:
            token.children = _unparsed(token.content)
        else:
            state.md.inline.parse(token.content, state.md, state.env, token.children)
    state.env[AT_END] = False


def _unparsed(content: str) -> list[Token]:
    """A text without markup; its line ends stay."""
    tokens: list[Token] = []
    for line in content.split("\n"):
        tokens += [Token("hardbreak", "br", 0), Token("text", "", 0, content=line)]
    return tokens[1:]


def _virtual_ends(state: StateInline) -> None:
    if state.env.get(AT_END):
        close_emphasis(state)


def _images_are_links(state: StateCore) -> None:
    """Nothing is fetched: an image becomes a link to it, and inside a link its description."""
    for token in state.tokens:
        if token.children and any(child.type == "image" for child in token.children):
            token.children = _without_images(token.children)


def _without_images(tokens: list[Token]) -> list[Token]:
    result: list[Token] = []
    in_links = 0
    for token in tokens:
        in_links += token.nesting if token.type in ("link_open", "link_close") else 0
        if token.type != "image":
            result.append(token)
            continue
        address = str(token.attrs.get("src", ""))
        label = Token("text", "", 0, content=_plain_text(token) or address)
        if in_links:
            result.append(label)
        else:
            attributes: dict[str, Any] = {"href": address, "class": "image"}
            result += [Token("link_open", "a", 1, attrs=attributes), label, Token("link_close", "a", -1)]
    return result


def _plain_text(image: Token) -> str:
    """The description of an image without its markup."""
    parts, waiting = [], list(image.children or [])
    while waiting:
        token = waiting.pop(0)
        if token.children:
            waiting = [*token.children, *waiting]
        elif token.type in ("text", "code_inline", "formula_inline"):
            parts.append(token.content)
        elif token.type in ("softbreak", "hardbreak"):
            parts.append(" ")
    return "".join(parts)


def _alignment_is_a_class(state: StateCore) -> None:
    """Inline styles are not allowed on the page."""
    for token in state.tokens:
        if token.type in ("th_open", "td_open") and (style := token.attrs.pop("style", None)):
            side = str(style).rpartition(":")[2]
            if side in ALIGNMENTS:
                token.attrs["class"] = side
