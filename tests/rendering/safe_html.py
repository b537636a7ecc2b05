"""What HTML may hold, checked with two parsers: Python's for every element and attribute, nh3's as browsers read it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from belle_edge.rendering import formulas, sanitizing

VOID = {"br", "hr"}
_MATH = re.compile(r"<math[ >].*?</math>", re.DOTALL)
_ADDRESS = re.compile(r"(https?:|mailto:)[^\s<>\"]*", re.IGNORECASE)
_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_WORDS = {
    "alttext": re.compile(r".*", re.DOTALL),
    "rel": re.compile(re.escape(sanitizing.LINK_REL)),
    "data-language": re.compile(r"[\w+#.\-]{0,32}"),
    "start": re.compile(r"\d{1,9}"),
    "display": re.compile("block"),
    "href": _ADDRESS,
}


class _Checker(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        in_math = tag == "math" or "math" in self.open
        allowed = formulas.ELEMENTS if in_math else sanitizing.TAGS
        assert tag in allowed, f"<{tag}>"
        for name, value in attrs:
            assert value is not None, (tag, name)
            if name == "class":
                assert value in sanitizing.CLASSES[tag], (tag, value)
            elif name in formulas.ATTRIBUTES and in_math:
                assert formulas.ATTRIBUTES[name].fullmatch(value), (tag, name, value)
            else:
                assert name in {"a": {"href", "rel"}, "ol": {"start"}, "figure": {"data-language"},
                                "math": {"alttext", "display"}}.get(tag, set()), (tag, name)  # fmt: skip
                assert _WORDS[name].fullmatch(value), (tag, name, value)
        assert tag != "a" or "a" not in self.open, "a link in a link"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(f"a declaration: {decl}")

    def handle_pi(self, data: str) -> None:
        raise AssertionError(f"an instruction: {data}")

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(f"a declaration: {data}")


def text_of_safe(html: str) -> str:
    """The text of HTML after all checks. AssertionError for anything that is not on the lists."""
    checker = _Checker()
    checker.feed(html)
    checker.close()
    assert checker.open == []
    assert not _HIDDEN.search(html)
    without_math = _MATH.sub("", html)
    assert sanitizing.clean(without_math) == without_math
    assert "<math" not in without_math
    return checker.text
