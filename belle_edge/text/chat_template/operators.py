"""Operators and formats whose result can be far larger than what they are given."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from jinja2.sandbox import SandboxedEscapeFormatter, SandboxedFormatter

from .limits import INTEGER_BITS, WIDTH, Budget, TemplateLimitError

if TYPE_CHECKING:
    from .environment import BoundedEnvironment

_CONVERSION = re.compile(
    r"%(?:\((?P<key>[^()]*)\))?[-#0 +]*(?P<width>\*|\d+)?(?:\.(?P<precision>\*|\d*))?[hlL]?(?P<type>.)",
    re.DOTALL,
)
_NUMBER = re.compile(r"\d+")
_REPEATED = (str, bytes, list, tuple)


def binary(budget: Budget, name: str, left: Any, right: Any) -> Any:
    """left NAME right, charged. Raises TemplateLimitError, and what Python's operator raises."""
    guard = _GUARDS.get(name)
    if guard is not None:
        guard(budget, left, right)
    budget.step()
    return budget.make(_OPERATORS[name](left, right))


def _check_sum(budget: Budget, left: Any, right: Any) -> None:
    if isinstance(left, (str, bytes)) and isinstance(right, (str, bytes)):
        budget.check_text(len(left) + len(right))
    elif isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        budget.check_items(len(left) + len(right))


def _check_product(budget: Budget, left: Any, right: Any) -> None:
    for sequence, times in ((left, right), (right, left)):
        if isinstance(sequence, _REPEATED) and isinstance(times, int):
            if isinstance(sequence, (str, bytes)):
                budget.check_text(len(sequence) * times)
            else:
                budget.check_items(len(sequence) * times)


def _check_power(_budget: Budget, left: Any, right: Any) -> None:
    if not (isinstance(left, int) and isinstance(right, int)) or abs(left) <= 1:
        return
    if abs(right) > 1024 or (right > 0 and (left.bit_length() - 1) * right > INTEGER_BITS):
        raise TemplateLimitError(f"it makes an integer of more than {INTEGER_BITS} bits")


def check_percent_format(budget: Budget, template: Any, values: Any) -> None:
    """For `template % values`, where `template` is a text."""
    if not isinstance(template, (str, bytes)):
        return
    text = template if isinstance(template, str) else template.decode("latin-1")
    size = budget.read(values) + 32
    total, n_fields = len(text), 0
    for match in _CONVERSION.finditer(text):
        if "*" in (match["width"], match["precision"]):
            raise TemplateLimitError("it formats with a width taken from its arguments")
        for number in (match["width"], match["precision"]):
            if number:
                _check_number(number)
                total += int(number)
        n_fields += match["type"] != "%"
    named = isinstance(values, Mapping)
    budget.step(n_fields)
    budget.check_text(total + size * (n_fields if named or n_fields == 1 else 1))


def _check_number(digits: str) -> None:
    if len(digits) > 9 or int(digits) > WIDTH:
        raise TemplateLimitError(f"it pads to a width of {digits[:20]}, the limit is {WIDTH}")


_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "**": operator.pow,
    "%": operator.mod,
}
_GUARDS: Mapping[str, Callable[[Budget, Any, Any], None]] = {
    "+": _check_sum,
    "*": _check_product,
    "**": _check_power,
    "%": check_percent_format,
}


class BoundedFormatter(SandboxedFormatter):
    """str.format in the sandbox: widths are limited, fields are charged."""

    def __init__(self, environment: BoundedEnvironment, **options: Any) -> None:
        super().__init__(environment, **options)
        self._budget = environment.budget

    def format_field(self, value: Any, format_spec: str) -> Any:
        for number in _NUMBER.findall(format_spec):
            _check_number(number)
        self._budget.read(value)
        return self._budget.make(super().format_field(value, format_spec))

    def convert_field(self, value: Any, conversion: Any) -> Any:
        self._budget.read(value)
        return self._budget.make(super().convert_field(value, conversion))


class BoundedEscapeFormatter(BoundedFormatter, SandboxedEscapeFormatter):
    """The same for texts that escape what is put into them."""
