"""Texts and finished messages in one language."""

from __future__ import annotations

from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from .choice import LANGUAGES

if TYPE_CHECKING:
    from gettext import NullTranslations

    from .templates import MessageTemplates


class Translator:
    """One language. Safe to use from several threads."""

    def __init__(self, language: str) -> None:
        """language: one of LANGUAGES; ValueError for another."""
        if language not in LANGUAGES:
            raise ValueError(f"language: expected one of {', '.join(LANGUAGES)}, got {language!r}")
        self.language = language

    def text(self, text: str, /, **values: Any) -> str:
        """The translation of `text`, itself where there is none, with `values` in place of its `{name}`s."""
        translated = text if self.language == "en" else self._catalogue.gettext(text)
        return translated.format(**values) if values else translated

    def plural(self, one: str, several: str, /, *, n: int, **values: Any) -> str:
        """The form for the number n, which is a value too."""
        if self.language == "en":
            return (one if n == 1 else several).format(n=n, **values)
        return self._catalogue.ngettext(one, several, n).format(n=n, **values)

    def error(self, error: BaseException) -> str:
        """What an exception says, translated."""
        return self.message(str(error))

    def message(self, message: str) -> str:
        """A finished English message, translated as far as its parts are known; others stay as they are."""
        return message if self.language == "en" else self._templates.translated(message)

    @cached_property
    def _catalogue(self) -> NullTranslations:
        from .catalogue_files import open_catalogue

        return open_catalogue(self.language)

    @cached_property
    def _templates(self) -> MessageTemplates:
        from .templates import MessageTemplates

        return MessageTemplates(catalogue(self.language))


@cache
def translator(language: str) -> Translator:
    """The translator of a language: one of LANGUAGES. ValueError for another."""
    return Translator(language)


def catalogue(language: str) -> dict[str, str]:
    """English text -> its translation, of all that have one; nothing for English. ValueError for another language."""
    if translator(language).language == "en":
        return {}
    from .catalogue_files import open_catalogue, texts

    return texts(open_catalogue(language))
