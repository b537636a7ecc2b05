"""The .po files: brought up to date with what the sources say, and checked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import BinaryIO

from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po, write_po

from .found import Found, places_of, without_doubles

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = ("es", "zh")
DOMAIN = "belle_edge"
_WIDTH = 110
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
_ONLY_ENGLISH = {  # text -> a place for what only English grammar needs: "is" or "are"
    "{0}, and {1}{2} missing beside it: download all parts into one folder": {"2"},
}
_NO_TIME = datetime(2026, 1, 1, tzinfo=timezone.utc)  # one that does not change with every edit
_HEADER = "Translations of BELLE Edge. Distributed under the same licence, Apache-2.0."


def path_of(language: str) -> Path:
    """The .po of a language."""
    return ROOT / "belle_edge" / "languages" / "catalogues" / language / "LC_MESSAGES" / f"{DOMAIN}.po"


def read(language: str) -> Catalog:
    """The catalogue of a language; an empty one where there is none yet."""
    path = path_of(language)
    if not path.is_file():
        return Catalog(locale=language, domain=DOMAIN)
    with path.open("rb") as file:
        return read_po(file, locale=language, domain=DOMAIN)


def write(catalogue: Catalog, file: BinaryIO) -> None:
    """As a .po, without times and lines, which would change with every edit."""
    write_po(file, catalogue, width=_WIDTH, sort_by_file=True, include_lineno=False, ignore_obsolete=True)


def updated(old: Catalog, texts: Iterable[Found]) -> Catalog:
    """The texts of the sources with the translations that they have already; others are empty."""
    new = Catalog(
        locale=old.locale,
        domain=DOMAIN,
        header_comment=f"# {_HEADER}",
        project="belle-edge",
        version="(any version)",
        last_translator="BELLE Edge",
        language_team="BELLE Edge",
        msgid_bugs_address="see CONTRIBUTING.md",
        creation_date=_NO_TIME,
        revision_date=_NO_TIME,
        fuzzy=False,
    )
    for found in without_doubles(texts):
        known = old.get(found.text)
        said = known.string if known is not None else ""
        text = found.text if found.plural is None else (found.text, found.plural)
        if isinstance(text, tuple) != isinstance(said, (tuple, list)):
            said = ""
        new.add(text, said, locations=[(found.path, 0)])
    return new


def problems(catalogue: Catalog, texts: Iterable[Found]) -> Iterator[str]:
    """What is wrong with a catalogue, a line each."""
    where = path_of(str(catalogue.locale)).relative_to(ROOT).as_posix()
    wanted = {found.text for found in without_doubles(texts)}
    there = {_id(message): message for message in catalogue if message.id}
    yield from (f"{where}: not taken over from the sources: {text}" for text in sorted(wanted - there.keys()))
    yield from (f"{where}: no longer in the sources: {text}" for text in sorted(there.keys() - wanted))
    yield from (f"{where}: obsolete: {message.id}" for message in catalogue.obsolete.values())
    for text, message in there.items():
        yield from (f"{where}: {problem}: {text}" for problem in _problems_of(message))


def _problems_of(message: Message) -> Iterator[str]:
    said = [message.string] if isinstance(message.string, str) else list(message.string or ())
    if message.fuzzy:
        yield "fuzzy"
    if not said or not all(said):
        yield "not translated"
        return
    english = [message.id] if isinstance(message.id, str) else list(message.id)
    for text in said:
        if not set(places_of(text)) <= set(places_of(english[-1])):
            yield f"places that the text has not: {text}"
        needed = set(places_of(english[0])) - _ONLY_ENGLISH.get(english[0], set())
        if isinstance(message.id, str) and not needed <= set(places_of(text)):
            yield f"places left out: {text}"
        if sorted(set(_OPTION.findall(text))) != sorted(set(_OPTION.findall(english[-1]))):
            yield f"other options: {text}"
        is_spaced = not any(char > "\u2e80" for char in text)  # Chinese marks bring their own
        if is_spaced and [text[:1] == " ", text[-1:] == " "] != [
            english[0][:1] == " ",
            english[0][-1:] == " ",
        ]:
            yield f"another blank at its begin or end: {text!r}"


def _id(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]
