"""From a template's source to code that charges for its loops, literals and comparisons."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from types import CodeType
from typing import TYPE_CHECKING, Any, TypeVar

from jinja2 import nodes
from jinja2.lexer import Token, TokenStream
from jinja2.visitor import NodeTransformer

from .limits import SOURCE_CHARS, TemplateLimitError

if TYPE_CHECKING:
    from .environment import BoundedEnvironment

TOKENS = 25_000  # of one template: some ten times the longest published ones
TREE_DEPTH = 180  # Python itself ends at 200 open parentheses
_STEP, _MAKE, _READ, _UNPACK, _CONCATENATE = "_step", "_make", "_read", "_unpack", "_concatenate"  # filters


@lru_cache(maxsize=4)
def compiled(environment_class: type[BoundedEnvironment], source: str) -> CodeType:
    """Code of a template, which belongs to no environment yet.

    Raises TemplateLimitError, jinja2.TemplateSyntaxError, and what the parsers raise for nested sources.
    """
    return environment_class().compile(source)


def check_source(source: str) -> None:
    """Raises TemplateLimitError for a source that is too long."""
    if len(source) > SOURCE_CHARS:
        raise TemplateLimitError(f"its source has {len(source)} characters, the limit is {SOURCE_CHARS}")


def counted_tokens(stream: TokenStream) -> TokenStream:
    """The same tokens. Raises TemplateLimitError in the middle when there are too many."""
    return TokenStream(_counted(stream), stream.name, stream.filename)


def _counted(stream: TokenStream) -> Iterator[Token]:
    for number, token in enumerate(stream):
        if number > TOKENS:
            raise TemplateLimitError(f"its source has more than {TOKENS} words and signs")
        yield token


def charged_tree(tree: nodes.Template, environment: BoundedEnvironment) -> nodes.Template:
    """The tree with the calls that charge put into it. Raises TemplateLimitError for one that is nested too deep."""
    _check_depth(tree)
    charged: nodes.Template = _Charging(environment).visit(tree)
    return charged


def _check_depth(tree: nodes.Node) -> None:
    level: list[nodes.Node] = [tree]
    for _ in range(TREE_DEPTH):
        level = [child for node in level for child in node.iter_child_nodes()]
        if not level:
            return
    raise TemplateLimitError(f"its source is nested more than {TREE_DEPTH} deep")


_Called = TypeVar("_Called", nodes.Call, nodes.Filter, nodes.Test)


class _Charging(NodeTransformer):
    """What Jinja compiles to bare Python goes through a filter that charges."""

    def __init__(self, environment: BoundedEnvironment) -> None:
        self._environment = environment

    def visit_For(self, node: nodes.For) -> nodes.For:
        """A step for each round, and for each item that a condition leaves out."""
        self.generic_visit(node)
        step = self._filter(nodes.Const(None, lineno=node.lineno), _STEP)
        node.body.insert(0, nodes.ExprStmt(step, lineno=node.lineno))
        if node.test is not None:
            node.test = nodes.And(step, node.test, lineno=node.lineno)
        self._place(node)
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Compare:
        self.generic_visit(node)
        node.expr = self._filter(node.expr, _READ)
        for operand in node.ops:
            operand.expr = self._filter(operand.expr, _READ)
        self._place(node)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:
        self.generic_visit(node)
        return self._filter(node.nodes[0], _CONCATENATE, node.nodes[1:])

    def visit_Call(self, node: nodes.Call) -> nodes.Call:
        return self._charged_arguments(node)

    def visit_Filter(self, node: nodes.Filter) -> nodes.Filter:
        return self._charged_arguments(node)

    def visit_Test(self, node: nodes.Test) -> nodes.Test:
        return self._charged_arguments(node)

    def _charged_arguments(self, node: _Called) -> _Called:
        self.generic_visit(node)
        if node.dyn_args is not None:
            node.dyn_args = self._filter(node.dyn_args, _UNPACK)
        if node.dyn_kwargs is not None:
            node.dyn_kwargs = self._filter(node.dyn_kwargs, _UNPACK)
        self._place(node)
        return node

    def visit_List(self, node: nodes.List) -> nodes.Filter:
        self.generic_visit(node)
        return self._filter(node, _MAKE)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Filter:
        """Keys are hashed while the dict is made, so they are charged before."""
        self.generic_visit(node)
        for pair in node.items:
            pair.key = self._filter(pair.key, _READ)
        return self._filter(node, _MAKE)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Expr:
        self.generic_visit(node)
        return self._filter(node, _MAKE) if node.ctx == "load" else node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Expr:
        """Slices pass by the environment's getitem."""
        self.generic_visit(node)
        if not isinstance(node.arg, nodes.Slice):
            return node
        node.node = self._filter(
            node.node, _READ
        )  # a bare number with [:] behind it is a warning of Python's
        return self._filter(node, _MAKE)

    def _filter(self, node: nodes.Expr, name: str, arguments: list[Any] | None = None) -> nodes.Filter:
        made = nodes.Filter(node, name, arguments or [], [], None, None, lineno=node.lineno)
        self._place(made)
        return made

    def _place(self, node: nodes.Node) -> None:
        node.set_environment(self._environment)
