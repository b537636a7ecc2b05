"""Markdown to safe HTML, one string per top-level block.

The order makes it safe: Markdown without HTML; nh3 with its lists; formulas in the places that were left for them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from .code_blocks import code_block
from .formula_rules import GROWING, is_pending
from .formulas import formula, formula_source
from .markdown_parser import is_too_deep, markdown_parser
from .sanitizing import clean

_FORMULAS = "formulas"  # in env: the HTML of the formulas of a block
# A text cannot write this: nh3 writes < and " of texts, and " of attributes, as references.
_PLACE = re.compile(r'<span data-formula="(\d+)"></span>')


@dataclass(frozen=True)
class Block:
    """A top-level block: its first line, the line after its last, and its tokens."""

    begin: int
    end: int
    tokens: Sequence[Token]
    pending: bool  # a formula in it waits for its end


def render(text: str) -> list[str]:
    """Safe HTML of a whole Markdown text, one string per top-level block.

    text: what a model or a person wrote. Elements and classes are those of sanitizing.py, with MathML for formulas.
    Code is <figure class="code" data-language="…"> with Pygments' short classes (k, s1, mi, …) on <span>; a formula
    that cannot be drawn <code class="formula-source">; an image <a class="image">; a cell of a table has the class
    left, center or right; what is nested too deep, and a table of too many
    cells, <p class="plain">: its lines as they were written.
    """
    from .visible_text import visible

    return render_visible(visible(text))


def render_visible(text: str, *, growing: bool = False) -> list[str]:
    """`render` of a text that is visible already. growing: show what is open at its end as if it were closed."""
    return [html_of(block, text) for block in blocks_of(text, growing=growing)]


def blocks_of(text: str, *, growing: bool = False) -> list[Block]:
    """The top-level blocks of a text, parsed but not rendered."""
    tokens = _parser().parse(text, {GROWING: growing})
    return [_block(group) for group in _top_level(tokens)]


def html_of(block: Block, text: str) -> str:
    """Safe HTML of one block of `text`."""
    if not block.tokens:
        return _plain_html("\n".join(text.split("\n")[block.begin : block.end]))
    md = _parser()
    env: dict[str, Any] = {_FORMULAS: []}
    html = clean(md.renderer.render(block.tokens, md.options, env))
    formulas = env[_FORMULAS]
    return _PLACE.sub(lambda found: formulas[int(found[1])], html)


def _block(tokens: list[Token]) -> Block:
    begin, end = tokens[0].map or (0, 0)
    return Block(begin, end, [] if is_too_deep(tokens) else tokens, is_pending(tokens))


def _top_level(tokens: list[Token]) -> Iterator[list[Token]]:
    group: list[Token] = []
    depth = 0
    for token in tokens:
        group.append(token)
        depth += token.nesting
        if depth == 0:
            yield group
            group = []


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    md = markdown_parser()
    for name, rule in (
        ("fence", _fence),
        ("code_block", _fence),
        ("plain", _plain),
        ("formula", _formula_block),
        ("formula_inline", _formula_inline),
    ):
        md.add_render_rule(name, rule)
    return md


def _fence(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    token = tokens[index]
    return code_block(token.content, token.info)


def _plain(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    return _plain_html(tokens[index].content)


def _plain_html(text: str) -> str:
    """A text as it was written."""
    return '<p class="plain">{}</p>\n'.format(escape(text.strip("\n"), quote=False))


def _formula_block(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    token = tokens[index]
    html = formula_source(token.content) if token.meta["pending"] else formula(token.content, block=True)
    return f"<p>{_place(env, html)}</p>\n"


def _formula_inline(
    renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    token = tokens[index]
    shown = not token.meta["pending"]
    return _place(
        env, formula(token.content, block=token.meta["display"]) if shown else formula_source(token.content)
    )


def _place(env: EnvType, html: str) -> str:
    """Keep the HTML of a formula until nh3 is through; returns the place for it."""
    env[_FORMULAS].append(html)
    return f'<span data-formula="{len(env[_FORMULAS]) - 1}"></span>'
