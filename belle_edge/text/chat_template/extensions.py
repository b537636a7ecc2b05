"""What transformers adds to Jinja for chat templates: JSON as it writes it, the date, tags, stricter namespaces.

It follows transformers.utils.chat_template_utils of transformers 5.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from jinja2 import TemplateError, nodes, pass_eval_context
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension
from jinja2.nodes import EvalContext
from jinja2.parser import Parser
from jinja2.runtime import Macro
from jinja2.utils import Namespace, generate_lorem_ipsum

from .limits import TemplateLimitError

_LONGEST_DATE_FORMAT = 256
_MOST_PARAGRAPHS, _MOST_WORDS = 20, 200


class GenerationTag(Extension):
    """`{% generation %}`: marks the assistant's text for training. Here it is rendered as it stands."""

    tags = {"generation"}  # noqa: RUF012 - Jinja's own form

    def parse(self, parser: Parser) -> nodes.CallBlock:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("rendered"), [], [], body, lineno=line)

    @pass_eval_context
    def rendered(self, _context: EvalContext, caller: Macro) -> str:
        """The text between the tags."""
        return str(caller())


class TemplateDict:
    """`dict(…)` without the attributes of the type."""

    def __call__(self, *arguments: Any, **named: Any) -> dict[Any, Any]:
        return dict(*arguments, **named)

    def fromkeys(self, *arguments: Any, **named: Any) -> dict[Any, Any]:
        return dict.fromkeys(*arguments, **named)


class TemplateNamespace(Namespace):
    """`namespace(…)` without underscored names. Its text does not repeat what it holds: that may be itself."""

    def __init__(*arguments: Any, **named: Any) -> None:
        self, arguments = arguments[0], arguments[1:]
        attributes = dict(*arguments, **named)
        for name in attributes:
            _check_name(name)
        Namespace.__init__(self, attributes)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_name(name)
        Namespace.__setitem__(self, name, value)

    def __repr__(self) -> str:
        return "<Namespace>"


def _check_name(name: Any) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"a namespace takes no names that begin with an underscore, got {name[:80]!r}")


class MessagesRejected(TemplateError):
    """What a template says about messages that it does not take."""


def raise_exception(message: Any) -> None:
    """What templates call to reject messages. Whatever it gives becomes a text here, where its bounds hold."""
    raise MessagesRejected(str(message))


def tojson(
    x: Any,
    ensure_ascii: bool = False,
    indent: Any = None,
    separators: Any = None,
    sort_keys: bool = False,
) -> str:
    """JSON without escaping for HTML, and with characters beyond ASCII as they are."""
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def strftime_now(format: str) -> str:
    """The local date and time in strftime's format."""
    if len(format) > _LONGEST_DATE_FORMAT:
        raise TemplateLimitError(
            f"it writes a date by a format of more than {_LONGEST_DATE_FORMAT} characters"
        )
    return datetime.now().strftime(format)


def lipsum(n: int = 5, html: bool = True, min: int = 20, max: int = 100) -> str:
    """Jinja's filler text, in a length that has some use."""
    if n > _MOST_PARAGRAPHS or max > _MOST_WORDS:
        raise TemplateLimitError(f"lipsum makes {_MOST_PARAGRAPHS} paragraphs of {_MOST_WORDS} words at most")
    return generate_lorem_ipsum(n, html, min, max)
