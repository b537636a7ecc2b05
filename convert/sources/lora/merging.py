"""PEFT's LoRA adapters, merged into a checkpoint while it is read: the weights become float32 and get W + ΔW."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from belle_edge.convert.sources.checkpoint import Checkpoint
from belle_edge.convert.sources.lora.adapter_files import Adapter, open_adapter
from belle_edge.convert.sources.lora.adapter_tokenizer import with_adapter_tokenizer
from belle_edge.convert.sources.lora.deltas import DeltaBuilder
from belle_edge.convert.sources.lora.low_rank import Delta, MergedTensor
from belle_edge.convert.sources.source_tensors import FLOAT_TYPES, BlockTensor, SourceTensor, to_float32
from belle_edge.errors import ConversionError, excerpt
from belle_edge.settings import number

LoraArgument = str | Path | tuple[str | Path, float]
_EMBEDDINGS = ("embed_tokens.weight", "word_embeddings.weight")
_HEAD = "lm_head.weight"
_COMPARED_ROWS = 1024  # of head and embedding at a time


@dataclass(frozen=True)
class AdapterOption:
    """An adapter to merge, and how much of it."""

    folder: Path
    weight: float = 1.0


def adapter_options(lora: LoraArgument | Sequence[LoraArgument]) -> tuple[AdapterOption, ...]:
    """`convert`'s argument checked: folders, or (folder, weight)."""
    options = []
    for item in [lora] if isinstance(lora, str | Path) else lora:
        folder, weight = item if isinstance(item, tuple) else (item, 1.0)
        try:
            checked = float(number("[lora] weight", weight))
        except ValueError as error:
            raise ConversionError(
                f"[lora] expected a folder or (folder, weight), got {excerpt(item)}: {error}"
            ) from None
        if not isinstance(folder, str | Path):
            raise ConversionError(f"[lora] expected a folder or (folder, weight), got {excerpt(item)}")
        options.append(AdapterOption(Path(folder).expanduser(), checked))
    return tuple(options)


def merge_adapters(checkpoint: Checkpoint, options: Sequence[AdapterOption]) -> Checkpoint:
    """The checkpoint with the adapters merged into it.

    Raises ConversionError for adapters that are damaged, of another kind, or made for another model.
    """
    adapters: list[Adapter] = []
    for option in options:
        name = option.folder.absolute().name
        n_same = sum(adapter.folder.absolute().name == name for adapter in adapters)
        shown = f"{name}#{n_same + 1}" if n_same else name
        adapters.append(open_adapter(option.folder, weight=option.weight, name=shown))
    merger = _Merger(checkpoint)
    for adapter in adapters:
        merger.replace_whole(adapter)
    for adapter in adapters:
        merger.add_deltas(adapter)
    return merger.result(adapters)


class _Merger:
    """The weights of a base model on their way to the merged ones."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._weights: dict[str, SourceTensor] = {}  # by name without what stands in front of layers
        self._names: dict[str, str] = {}  # these names → the checkpoint's
        for name, tensor in checkpoint.weights.items():
            self._weights[_short(name)] = tensor
            self._names[_short(name)] = name
        self._embedding = next((name for name in _EMBEDDINGS if name in self._weights), None)
        default = self._embedding == "word_embeddings.weight"  # BLOOM's
        tied = checkpoint.config.get("tie_word_embeddings")
        self._is_tied = bool(default if tied is None else tied)
        if self._is_tied and self._embedding and _HEAD in self._weights:
            self._is_tied = self._same_rows()  # else two matrices, as transformers 5 takes them
        self._n_rows = self._weights[self._embedding].shape[0] if self._embedding else 0
        self._replaced: dict[str, str] = {}  # name → the adapter that brought it
        self._deltas: dict[str, list[Delta]] = {}
        self._warnings: list[str] = []

    def replace_whole(self, adapter: Adapter) -> None:
        """Weights and biases that the adapter has as a whole: modules_to_save, trained biases."""
        unexpected = []
        for path, tensor in adapter.whole.items():
            name = _short(path)
            if _is_copy(tensor, self._weights.get(name)):
                continue
            self._check_replacement(adapter, name, tensor)
            if not adapter.config.saves(path) and name not in (*_EMBEDDINGS, _HEAD):
                unexpected.append(path)
            self._weights[name] = tensor
            self._names.setdefault(name, name)
            self._replaced[name] = adapter.name
        if unexpected:
            self._warnings.append(
                f"adapter {adapter.name}: {len(unexpected)} whole tensors that its settings do not name replace the"
                f" base's ({unexpected[0]}, …)"
            )

    def add_deltas(self, adapter: Adapter) -> None:
        """What the pairs of the adapter add."""
        builder = DeltaBuilder(adapter, {path: self._target(adapter, path).shape for path in adapter.pairs})
        deltas = [builder.build(path) for path in adapter.pairs]
        for path, delta in zip(adapter.pairs, deltas, strict=True):
            self._deltas.setdefault(_short(f"{path}.weight"), []).append(delta)
        if not adapter.whole and all(delta.is_zero() for delta in deltas):
            reason = "its weight is 0" if adapter.weight == 0 else "every product of its matrices is zero"
            self._warnings.append(f"adapter {adapter.name} changes nothing: {reason}")
        self._warnings += [*adapter.warnings, *builder.warnings]

    def result(self, adapters: Sequence[Adapter]) -> Checkpoint:
        """The merged checkpoint."""
        config = self._settle_head()
        merged: dict[str, SourceTensor] = {}
        for name, tensor in self._weights.items():
            deltas = self._deltas.get(name)
            merged[self._names[name]] = MergedTensor(tensor, deltas) if deltas else tensor
        base = self._checkpoint
        files, warning = base.files, None
        if self._embedding in self._replaced and self._weights[self._embedding].shape[0] != self._n_rows:
            owner = next(it for it in adapters if it.name == self._replaced[str(self._embedding)])
            files, warning = with_adapter_tokenizer(base.files, owner)
        return replace(
            base,
            files=files,
            config=config,
            weights=merged,
            weight_files=[*base.weight_files, *(adapter.source for adapter in adapters)],
            warnings=(*base.warnings, *self._warnings, *([warning] if warning else [])),
            provenance={**base.provenance, **_provenance(adapters)},
        )

    def _target(self, adapter: Adapter, path: str) -> SourceTensor:
        """The weight of the base that a pair belongs to."""
        name = _short(f"{path}.weight")
        if name == _HEAD and name not in self._weights and self._is_tied and self._embedding:
            self._weights[name], self._names[name] = self._weights[self._embedding], name
        tensor = self._weights.get(name)
        if tensor is None:
            factor = adapter.pairs[path].a
            shown = f"[{factor.file}] {factor.name}" if factor else f"[{adapter.name}] {path}"
            raise ConversionError(f"{shown}: the base has no {path}; {_made_for(adapter)}")
        if len(tensor.shape) != 2:
            raise ConversionError(
                f"[{adapter.name}] {path}: expected a matrix in the base to add to, got {list(tensor.shape)};"
                f" {_made_for(adapter)}"
            )
        if tensor.dtype not in FLOAT_TYPES and not isinstance(tensor, BlockTensor):
            raise ConversionError(
                f"[{tensor.file}] {tensor.name}: stored as {tensor.dtype}, expected one of {', '.join(FLOAT_TYPES)};"
                " merge adapters into the original weights"
            )
        return tensor

    def _check_replacement(self, adapter: Adapter, name: str, tensor: SourceTensor) -> None:
        base = self._weights.get(name)
        if base is None and name == _HEAD and self._embedding:
            base = self._weights[self._embedding]
        if base is None:
            raise ConversionError(
                f"[{tensor.file}] {tensor.name}: the base has no {name}; {_made_for(adapter)}"
            )
        resizable = name in (*_EMBEDDINGS, _HEAD)
        if tensor.shape[1:] != base.shape[1:] or (tensor.shape != base.shape and not resizable):
            raise ConversionError(
                f"[{tensor.file}] {tensor.name}: expected shape {list(base.shape)}, got {list(tensor.shape)};"
                f" {_made_for(adapter)}"
            )
        if adapter.weight != 1:
            raise ConversionError(
                f"[{tensor.file}] {tensor.name}: the adapter replaces this tensor as a whole, so its weight must be 1,"
                f" got {adapter.weight:g}"
            )
        if name in self._replaced:
            raise ConversionError(
                f"[{tensor.file}] {tensor.name}: {self._replaced[name]} replaces {name} already; merge one of them"
            )

    def _settle_head(self) -> dict[str, Any]:
        """The configuration, in which head and embedding stay tied only if the adapters leave them equal."""
        config = dict(self._checkpoint.config)
        touched = {*self._deltas, *self._replaced}
        if not self._is_tied or self._embedding is None or not {_HEAD, self._embedding} & touched:
            return config
        if _HEAD not in touched:
            self._weights.pop(_HEAD, None)  # a copy of what the embedding was
            if self._embedding in self._deltas:
                self._warnings.append("the embedding is tied to the head, so that the adapter changes both")
        elif _HEAD not in self._deltas and self._same_rows():
            del self._weights[_HEAD]
        else:
            config["tie_word_embeddings"] = False
            self._warnings.append(
                "the adapter changes the head, which was tied: head and embedding are two matrices"
            )
        return config

    def _same_rows(self) -> bool:
        head, embedding = self._weights[_HEAD], self._weights[str(self._embedding)]
        if head.shape != embedding.shape:
            return False
        return all(
            np.array_equal(
                to_float32(head.rows(start, min(start + _COMPARED_ROWS, head.shape[0]))),
                to_float32(embedding.rows(start, min(start + _COMPARED_ROWS, head.shape[0]))),
            )
            for start in range(0, head.shape[0], _COMPARED_ROWS)
        )


def _is_copy(tensor: SourceTensor, base: SourceTensor | None) -> bool:
    """Whether PEFT saved the frozen weight under a LoRA, as it does with embeddings; a resized one is no copy."""
    return base is not None and tensor.name.endswith(".base_layer.weight") and tensor.shape == base.shape


def _short(name: str) -> str:
    """A name as bare models and those with a head have in common."""
    return name.removeprefix("module.").removeprefix("transformer.").removeprefix("model.")


def _made_for(adapter: Adapter) -> str:
    base = adapter.config.base_model
    return f"the adapter was made for {base}" if base else "was the adapter made for this model?"


def _provenance(adapters: Sequence[Adapter]) -> dict[str, str | int | float]:
    values: dict[str, str | int | float] = {"belle.source.lora.count": len(adapters)}
    for index, adapter in enumerate(adapters):
        key = f"belle.source.lora.{index}"
        values |= {f"{key}.name": adapter.name, f"{key}.weight": adapter.weight}
        values |= {f"{key}.{name}": value for name, value in adapter.hashes.items()}
        if adapter.config.base_model:
            values[f"{key}.base_model"] = adapter.config.base_model
    return values
