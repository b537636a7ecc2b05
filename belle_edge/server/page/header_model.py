"""A model before it is loaded: its file's header has the tokenizer and the template, so prompts can be counted."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING, cast

from ...settings import EngineSettings
from ...text.chat_format import ChatFormat
from ...text.tokenizer import Tokenizer
from ..served_models import ServedModel
from .page_settings import PageSettings

if TYPE_CHECKING:
    from ...generation.loaded_model import LoadedModel

_MOST = 2  # tokenizers that are kept for models that are not loaded


@dataclass(frozen=True)
class HeaderModel:
    """What prompts need of a model."""

    tokenizer: Tokenizer
    chat_format: ChatFormat
    context: int

    def without_limit(self) -> HeaderModel:
        """Whose context holds whatever is to be counted."""
        return replace(self, context=1 << 30)

    def as_model(self) -> LoadedModel:
        """For what encodes prompts; it has no engine."""
        return cast("LoadedModel", self)


class HeaderModels:
    """Of all models that are served. For any thread."""

    def __init__(self, settings: PageSettings) -> None:
        self._settings = settings
        self._known: OrderedDict[str, HeaderModel] = OrderedDict()
        self._lock = Lock()

    def get(self, served: ServedModel) -> HeaderModel:
        """Of the loaded model, where it is. Raises what a broken header raises, and ValueError."""
        if (belle := served.belle) is not None:
            return HeaderModel(belle.tokenizer, belle.chat_format, belle.context)
        with self._lock:
            if served.name not in self._known:
                self._known[served.name] = HeaderModel(
                    Tokenizer.from_metadata(served.file), self.chat_format(served), self.context(served)
                )
                while len(self._known) > _MOST:
                    self._known.popitem(last=False)
            self._known.move_to_end(served.name)
            return self._known[served.name]

    def chat_format(self, served: ServedModel) -> ChatFormat:
        """As it will be when the model is loaded."""
        if served.belle is not None:
            return served.belle.chat_format
        return ChatFormat.of_file(served.file, **self._settings.chat_format)

    def context(self, served: ServedModel) -> int:
        """Tokens that it will hold."""
        if served.belle is not None:
            return served.belle.context
        architecture = served.file.get("general.architecture", "")
        trained = served.file.get(f"{architecture}.context_length", 0)
        trained = trained if isinstance(trained, int) else 0
        return EngineSettings(context=self._settings.context).context_of(trained)
