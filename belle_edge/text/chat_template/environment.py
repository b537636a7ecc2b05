"""The sandbox in which templates run: Jinja's immutable one, with a budget for everything it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import update_wrapper
from types import BuiltinMethodType, MethodType
from typing import Any

from jinja2 import nodes, pass_context, pass_eval_context
from jinja2.lexer import TokenStream
from jinja2.nodes import EvalContext
from jinja2.runtime import Context, Undefined, markup_join, str_join
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from .compilation import charged_tree, check_source, counted_tokens
from .extensions import (
    GenerationTag,
    TemplateDict,
    TemplateNamespace,
    lipsum,
    raise_exception,
    strftime_now,
    tojson,
)
from .filters import FILTER_GUARDS, bounded
from .limits import Budget, TemplateLimitError
from .methods import check_method, is_own
from .operators import BoundedEscapeFormatter, BoundedFormatter, binary

_OPERATORS = frozenset({"+", "-", "*", "/", "//", "**", "%"})
_JINJAS_OWN = frozenset({"caller", "_loop_vars", "_block_vars"})  # arguments that Jinja adds to calls
_GENERATOR_ATTRIBUTES = ("gi_", "cr_", "ag_")
_OF_TYPES = frozenset({"fromkeys"})  # the methods of types that are allowed


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """For one rendering at a time: its settings are transformers', and `budget` is what it may still use.

    Operations raise TemplateLimitError before they make something too large. Constants are not folded: that would
    happen while the source is read, unbounded.
    """

    intercepted_binops = _OPERATORS

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,
            extensions=[GenerationTag, "jinja2.ext.loopcontrols"],
            finalize=_printed,
            cache_size=0,
        )
        self.budget = Budget()
        self.concat: Callable[[Iterable[str]], str] = self._concat
        self.globals |= {
            "raise_exception": raise_exception,
            "strftime_now": strftime_now,
            "dict": TemplateDict(),
            "namespace": TemplateNamespace,
            "lipsum": lipsum,
        }
        self._bound_filters()

    def _bound_filters(self) -> None:
        budget = self.budget
        filters: dict[str, Any] = {**self.filters, "tojson": tojson}
        self.filters = {
            **{name: bounded(name, function, budget, FILTER_GUARDS) for name, function in filters.items()},
            "_step": self._step,
            "_make": budget.make,
            "_read": self._read,
            "_unpack": self._unpack,
            "_concatenate": self._concatenate,
        }
        tests: dict[str, Any] = {**self.tests}
        self.tests = {name: bounded(name, function, budget, {}) for name, function in tests.items()}

    # ---- from source to code --------------------------------------------------------------------------------

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        check_source(source)
        return charged_tree(super()._parse(source, name, filename), self)

    def _tokenize(
        self, source: str, name: str | None, filename: str | None = None, state: str | None = None
    ) -> TokenStream:
        return counted_tokens(super()._tokenize(source, name, filename, state))

    # ---- operations of the running template -----------------------------------------------------------------

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        return binary(self.budget, operator, left, right)

    def getattr(self, obj: Any, attribute: str) -> Any:
        self.budget.step()
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        self.budget.step()
        if not isinstance(argument, (str, int)):
            self.budget.read(argument)
        return super().getitem(obj, argument)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return super().is_safe_attribute(obj, attr, value) and not attr.startswith(_GENERATOR_ATTRIBUTES)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """Jinja's wrapper of str.format and str.format_map, with formatters that charge."""
        if super().wrap_str_format(value) is None:
            return None
        text: str = value.__self__
        formatter = (
            BoundedEscapeFormatter(self, escape=text.escape)
            if isinstance(text, Markup)
            else BoundedFormatter(self)
        )
        by_mapping = value.__name__ == "format_map"

        def formatted(*arguments: Any, **named: Any) -> str:
            if by_mapping:
                (named,), arguments = arguments, ()
            result: str = self.budget.make(type(text)(formatter.vformat(text, arguments, named)))
            return result

        return update_wrapper(formatted, value)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        budget = __self.budget
        budget.step()
        named = {name: value for name, value in kwargs.items() if name not in _JINJAS_OWN}
        if args or named:
            budget.read(args)
            budget.read(tuple(named.values()))
        if isinstance(__obj, (BuiltinMethodType, MethodType)):
            args = __self._checked_method(__obj, args, named)
        return budget.make(super().call(__context, __obj, *args, **kwargs))

    def _checked_method(self, method: Any, args: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
        owner, name = method.__self__, method.__name__
        if is_own(owner):
            return check_method(self.budget, owner, name, args, named)
        if isinstance(method, BuiltinMethodType) and not (isinstance(owner, type) and name in _OF_TYPES):
            raise TemplateLimitError(f"it calls {name}, which no template needs")
        return args

    def _step(self, _nothing: None) -> bool:
        """A round of a loop. True, so that it can stand before a condition."""
        self.budget.step()
        return True

    def _read(self, value: Any) -> Any:
        self.budget.read(value)
        return value

    def _unpack(self, value: Any) -> Any:
        """What follows * or ** in a call: it becomes a list before the call is seen here."""
        self.budget.read(value)
        if isinstance(value, str):
            self.budget.check_items(len(value))
        return value

    @pass_eval_context
    def _concatenate(self, context: EvalContext, *values: Any) -> str:
        """The operator ~."""
        texts = [_text(self.budget, value) for value in values]
        self.budget.make_text(sum(map(len, texts)))
        return markup_join(texts) if context.autoescape else str_join(texts)

    def _concat(self, pieces: Iterable[str]) -> str:
        """What a macro, a block or {% set %}…{% endset %} wrote."""
        texts = list(pieces)
        self.budget.make_text(sum(map(len, texts)))
        return "".join(texts)


@pass_context
def _printed(context: Context, value: Any) -> Any:
    """What stands in {{ }}, as text."""
    environment: BoundedEnvironment = context.environment  # type: ignore[assignment]
    return _text(environment.budget, value)


def _text(budget: Budget, value: Any) -> str:
    """str(value), charged. Texts that count as safe keep that."""
    if isinstance(value, str):
        budget.read(value)
        return value
    if not isinstance(value, Undefined):
        budget.read(value)
    text = str(value)
    budget.make_text(len(text))
    return text
