"""The tokenizer of an adapter that extends its base's vocabulary."""

from __future__ import annotations

from belle_edge.convert.sources.byte_source import ByteSource
from belle_edge.convert.sources.checkpoint_files import CheckpointFiles, FolderFiles
from belle_edge.convert.sources.lora.adapter_files import Adapter

_VOCABULARIES = ("tokenizer.model", "tokenizer.json")
_SETTINGS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja")


class _AdapterTokenizer:
    """The base's files with the adapter's tokenizer; files of the two tokenizers are never mixed."""

    def __init__(self, base: CheckpointFiles, adapter: CheckpointFiles) -> None:
        self._base, self._adapter, self.name = base, adapter, base.name

    def names(self) -> list[str]:
        tokenizer = {*_VOCABULARIES, *_SETTINGS}
        return sorted((set(self._base.names()) - tokenizer) | (set(self._adapter.names()) & tokenizer))

    def read(self, name: str) -> bytes | None:
        return (self._adapter if name in (*_VOCABULARIES, *_SETTINGS) else self._base).read(name)

    def open(self, name: str) -> ByteSource:
        return self._base.open(name)


def with_adapter_tokenizer(base: CheckpointFiles, adapter: Adapter) -> tuple[CheckpointFiles, str | None]:
    """(files with the tokenizer that the new vocabulary belongs to, a warning if there is none)."""
    files = FolderFiles(adapter.folder)
    if any(name in files.names() for name in _VOCABULARIES):
        return _AdapterTokenizer(base, files), None
    return base, (
        f"adapter {adapter.name} changes the size of the vocabulary and brings no tokenizer: that of the base is kept"
    )
