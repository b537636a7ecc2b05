"""A tensor that is made from one of a source while it is read: named and placed as that one."""

from __future__ import annotations

from dataclasses import dataclass

from belle_edge.convert.sources.source_tensors import SourceTensor


@dataclass(frozen=True)
class DerivedTensor:
    """What a SourceTensor has that is the source's; `shape`, `n_bytes` and `rows` are the derived class's."""

    source: SourceTensor

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def file(self) -> str:
        return self.source.file

    @property
    def offset(self) -> int:
        return self.source.offset

    @property
    def dtype(self) -> str:
        """The source's, whatever `rows` are."""
        return self.source.dtype
