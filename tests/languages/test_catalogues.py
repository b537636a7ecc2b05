"""The catalogues are complete and what the sources say; every message of them is recognised when it is filled in."""

from __future__ import annotations

import importlib
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("babel")
from babel.messages.mofile import write_mo

from belle_edge.languages import catalogue, catalogue_files
from belle_edge.languages.templates import MessageTemplates, Template
from message_sources.all_sources import all_messages
from message_sources.catalogue_files import LANGUAGES, path_of, problems, read, updated, write
from message_sources.cpp_messages import cpp_messages
from message_sources.error_messages import ErrorMessages
from message_sources.found import Found
from message_sources.marked_messages import marked_messages
from message_sources.page_messages import page_messages


@pytest.fixture(scope="module")
def messages() -> list[Found]:
    return all_messages()


@pytest.mark.parametrize("language", LANGUAGES)
def test_complete_and_up_to_date(language: str, messages: list[Found]) -> None:
    """Else: python tools/catalogues.py update, and translate what is empty."""
    found = list(problems(read(language), messages))
    assert not found, "\n".join(found[:20])
    assert len(messages) > 1500


@pytest.mark.parametrize("language", LANGUAGES)
def test_updating_changes_nothing(language: str, messages: list[Found]) -> None:
    before = path_of(language).read_bytes()
    catalogue = updated(read(language), messages)
    written = io.BytesIO()
    write(catalogue, written)
    assert written.getvalue() == before


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_message_is_recognised_when_it_is_filled_in(language: str) -> None:
    texts = catalogue(language)
    assert len(texts) > 1000
    templates = MessageTemplates(texts)
    wrong = {}
    for english, translation in texts.items():
        template = Template.of(english, translation)
        values = [f"<{index}>" for index in range(len(template.names))]
        message = "".join(part for pair in zip(template.pieces, [*values, ""], strict=True) for part in pair)
        said = templates.translated(message)
        if is_recognisable(english) and said != template.filled([(value, "") for value in values]):
            wrong[english] = said
    assert not wrong


def is_recognisable(english: str) -> bool:
    """Whether there is a word between the places; what has none is only ever shown, and looked up as it is."""
    return re.search("[A-Za-z]{3,}", "".join(Template.of(english, "").pieces)) is not None


def test_every_problem_of_a_catalogue_is_found() -> None:
    sources = [
        Found("{n} of {total} files", "a.py", 1, marked=True),
        Found("give --type", "a.py", 2),
        Found(" and more", "a.py", 3),
        Found("{n} file", "a.py", 4, plural="{n} files", marked=True),
        Found("all is well", "a.py", 5),
    ]
    catalogue = updated(read("es"), sources)
    assert sum("not translated" in problem for problem in problems(catalogue, sources)) == 5
    said = {
        "{n} of {total} files": "{n} archivos",
        "give --type": "dé --tipo",
        " and more": "y más",
        "{n} file": ("{n} archivo", "{m} archivos", "{n} archivos"),
        "all is well": "todo va bien",
    }
    for message in catalogue:
        if message.id:
            message.string = said[message.id if isinstance(message.id, str) else message.id[0]]
    extra = [*sources[:-1], Found("another text", "a.py", 6)]
    found = "\n".join(problems(catalogue, extra))
    for part in ("places left out", "other options", "another blank", "places that the text has not: {m}"):
        assert part in found
    assert "not taken over from the sources: another text" in found
    assert "no longer in the sources: all is well" in found


def test_errors_are_followed_to_where_they_are_made() -> None:
    source = """
ADVICE = {"a": "do this first", "b": f"or that, {1}"}
def fail(where, message, *, advice=""):
    raise ValueError(f"[{where}] {message}{advice}")
def reason(kind):
    return "it is too large" if kind else "it is too small"
def check(value, error):
    hint = " (did you mean it?)" if value else ""
    fail("x", f"expected {value!r}, got %s" % error, advice=hint)
    fail("y", message="nothing was found: " + reason(value))
    raise KeyError("for programs alone")
def more(self, key):
    self.warnings.append(f"{key}: " + ADVICE[key])
    LOGGER.warning("note: %d of %s are left", 1, key)
    return ConversionError("one", "two words here")
"""
    assert [found.text for found in ErrorMessages({"a.py": source}).found()] == [
        "do this first",
        "or that, {0}",
        "it is too large",
        "it is too small",
        " (did you mean it?)",
        "expected {value}, got {0}",
        "nothing was found: {value}",
        "note: {0} of {1} are left",
    ]


def test_sums_of_cpp_are_put_together() -> None:
    source = """
constexpr const char* kAdvice = "; load it " "again";
#include "a file.h"
void f() {
  // "not this one"
  throw Error(path() + ": tensor '" + name + "' has " + std::to_string(n + 1) + " rows" + kAdvice);
  fail(std::string("metadata '") + key + "' is " + (n > 1 ? "too long" : "missing here"));
  static_assert(true, "for the compiler");
}
"""
    texts = [found.text for found in cpp_messages({"a.cpp": source}, {})]
    assert texts == [
        "; load it again",
        "{0}: tensor '{1}' has {2} rows; load it again",
        "metadata '{0}' is {1}",
        "too long",
        "missing here",
    ]


def test_marks_have_literal_texts() -> None:
    source = 't("Send")\ntn("{n} file", "{n} files", n=2)\nt(HOW)\nHOW = msg("how it works")\n'
    found = list(marked_messages({"a.py": source}))
    assert [(text.text, text.plural) for text in found] == [
        ("Send", None),
        ("{n} file", "{n} files"),
        ("how it works", None),
    ]
    with pytest.raises(ValueError, match=r"a\.py:1: t\(\) needs a literal text"):
        list(marked_messages({"a.py": 't(f"{n} files")'}))


def test_the_page_has_texts_in_scripts_and_elements() -> None:
    script = 'import { t } from "./i18n.js";\nlabel(t("Send")); t("{n} of {total}", { n, total });\n'
    html = '<p data-t>Hello there</p><input data-t-placeholder="Ask" data-t-title title="Say"><b data-t="Yes">x</b>'
    found = list(page_messages({"a.js": script, "b.html": html}))
    assert sorted(text.text for text in found) == [
        "Ask",
        "Hello there",
        "Say",
        "Send",
        "Yes",
        "{n} of {total}",
    ]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place for catalogues with one text, not compiled yet."""
    monkeypatch.setattr(catalogue_files, "FOLDER", tmp_path)
    place = tmp_path / "es" / "LC_MESSAGES"
    place.mkdir(parents=True)
    (place / "belle_edge.po").write_text('msgid "Send"\nmsgstr "Enviar"\n', encoding="utf-8")
    catalogue_files.open_catalogue.cache_clear()
    yield place
    catalogue_files.open_catalogue.cache_clear()


def test_sources_serve_where_nothing_is_compiled(folder: Path) -> None:
    assert catalogue_files.open_catalogue("es").gettext("Send") == "Enviar"
    assert catalogue_files.open_catalogue("zh").gettext("Send") == "Send"


def test_english_without_babel(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "babel.messages", None)
    assert catalogue_files.open_catalogue("es").gettext("Send") == "Send"


def test_a_compiled_catalogue_needs_no_babel(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pofile = importlib.import_module("babel.messages.pofile")
    source = folder / "belle_edge.po"
    with source.open("rb") as file, (folder / "belle_edge.mo").open("wb") as compiled:
        write_mo(compiled, pofile.read_po(file))
    source.unlink()
    monkeypatch.setitem(sys.modules, "babel.messages", None)
    assert catalogue_files.open_catalogue("es").gettext("Send") == "Enviar"
