"""A template and its values to a text, or a ValueError that says what is wrong with the template."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from jinja2 import Template, TemplateError, TemplateSyntaxError

from .compilation import compiled
from .environment import BoundedEnvironment
from .extensions import MessagesRejected
from .limits import TemplateLimitError

_LONGEST_MESSAGE = 300  # characters of a message that a template can make
_OF_THREAD = threading.local()  # making an environment takes longer than most renderings


def render_template(source: str, values: Mapping[str, Any]) -> str:
    """The text of a template, as transformers' environment renders it.

    values: texts, numbers, lists, dicts. None is what transformers passes for absent tools. Of other objects the
        template sees the name of their type only.
    Raises ValueError, for everything that can go wrong in a template.
    """
    try:
        return _rendered(source, values)
    except TemplateSyntaxError as error:
        raise _refusal(f"broken at line {error.lineno}", error.message) from None
    except TemplateLimitError as error:
        raise _refusal(f"refused{_line(error.__traceback__)}", f"{error}") from None
    except MessagesRejected as error:
        raise _refusal(f"rejects these messages{_line(error.__traceback__)}", error.message) from None
    except TemplateError as error:
        raise _refusal(f"broken{_line(error.__traceback__)}", error.message) from None
    except (
        SyntaxError
    ) as error:  # of the Python that it is compiled to: a break outside of loops, too many loops
        raise _refusal("broken", error.msg) from None
    except RecursionError:  # of the parser, of Python's compiler, of macros
        raise _refusal("refused", "it is nested too deep") from None
    except MemoryError:
        raise _refusal("refused", "it asks for more text than memory holds") from None
    except Exception as error:  # a template is a program: it can raise whatever Python's operators raise
        detail = f"{type(error).__name__}: {error}"
        raise _refusal(f"failed on these messages{_line(error.__traceback__)}", detail) from None


def _rendered(source: str, values: Mapping[str, Any]) -> str:
    environment = _environment()
    plain = {name: _plain(value) for name, value in values.items()}
    environment.budget.grow(list(plain.values()))
    code = compiled(BoundedEnvironment, source)
    template = Template.from_code(environment, code, environment.make_globals(None))
    pieces = []
    # Not template.render(): on an error it rewrites tracebacks, which takes long for deep ones.
    for piece in template.root_render_func(template.new_context(plain)):
        environment.budget.make_text(len(piece))
        pieces.append(piece)
    text = "".join(pieces)
    environment.budget.check_text(len(text))
    return text


def _environment() -> BoundedEnvironment:
    """This thread's, with a budget that nothing was taken from."""
    environment: BoundedEnvironment | None = getattr(_OF_THREAD, "environment", None)
    if environment is None:
        environment = _OF_THREAD.environment = BoundedEnvironment()
    environment.budget.renew()
    return environment


def _plain(value: Any) -> Any:
    """A copy in Python's plain types: methods of other objects could do anything."""
    if value is None or type(value) in (str, int, float, bool):
        return value
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, Mapping):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value] if isinstance(value, list) else tuple(map(_plain, value))
    return f"<{type(value).__name__}>"


def _refusal(where: str, detail: str | None) -> ValueError:
    text = detail or "no reason given"
    if len(text) > _LONGEST_MESSAGE:
        text = text[: _LONGEST_MESSAGE - 1] + "…"
    return ValueError(f"[chat template] {where}: {text}; use raw=True to send the text as it is")


def _line(traceback: TracebackType | None) -> str:
    """ " at line N" of the template, where the error arose in one."""
    found = ""
    while traceback is not None:
        template = traceback.tb_frame.f_globals.get("__jinja_template__")
        if template is not None and traceback.tb_frame.f_code.co_filename == "<template>":
            found = f" at line {template.get_corresponding_lineno(traceback.tb_lineno)}"
        traceback = traceback.tb_next
    return found
