"""A conversion with everything decided and nothing written: what `--dry-run` reports and a run executes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from belle_edge.convert.architectures.mapped_model import MappedTensor, Metadata, MetadataValue
from belle_edge.convert.conversion_report import VocabularyReport
from belle_edge.convert.gguf_writer import Header, build_header
from belle_edge.convert.header_encoding import EncodedValue
from belle_edge.convert.model_facts import ModelFacts, facts_of
from belle_edge.convert.output_metadata import build_metadata
from belle_edge.convert.quantization import (
    BLOCK_BYTES,
    PlannedTensor,
    main_mix,
    plan,
    requantized_warnings,
)
from belle_edge.convert.source_model import SourceModel
from belle_edge.convert.sources.byte_source import WeightFile
from belle_edge.convert.sources.source_tensors import BlockTensor, RequantizedTensor
from belle_edge.convert.template_check import template_warnings
from belle_edge.convert.trim import TrimmedModel, TrimRequest, trim_vocabulary
from belle_edge.convert.type_mixes import Mix
from belle_edge.convert.type_rules import TypeRules

if TYPE_CHECKING:
    from belle_edge.convert.optimize.optimized_writing import OptimizedWriting

Planner = Callable[[TypeRules], "Job"]  # what a source becomes under rules


@dataclass(frozen=True)
class Job:
    """A conversion with everything decided and nothing written."""

    facts: ModelFacts
    planned: list[PlannedTensor]
    mix: Mix  # that the file is named by
    header: Header
    weight_files: Sequence[WeightFile]  # that the tensors lie in, in reading order
    warnings: list[str]
    vocabulary: VocabularyReport | None = None
    n_untrimmed_header_bytes: int = 0  # of a trim: its tokenizers, before and after, are in memory together
    metadata: Mapping[str, MetadataValue | EncodedValue] = field(default_factory=dict, repr=False)
    optimized: OptimizedWriting | None = None  # what rounds its rows; None: to the nearest
    n_optimizing_bytes: int = 0  # of memory that this takes

    @property
    def fingerprint(self) -> str:
        """A hash of what decides the output: header, types, and the state of the files it is made from."""
        digest = hashlib.sha256(self.header.content)
        for source in self.weight_files:
            digest.update(f"\0{source.stamp}".encode())
        return digest.hexdigest()

    @property
    def output_bytes(self) -> int:
        return self.header.file_bytes

    @property
    def weight_bytes(self) -> int:
        return sum(tensor.n_bytes for tensor in self.planned)

    def with_metadata(self, more: Metadata) -> Job:
        """The same with these entries at the end of its metadata, or in the place of those of their names."""
        metadata = {**self.metadata, **more}
        return replace(
            self, metadata=metadata, header=build_header(self.facts.architecture, metadata, self.planned)
        )


def planner(source: SourceModel, *, trim: TrimRequest | None = None) -> Planner:
    """What plans the conversion of a checkpoint. A vocabulary is cut down once, however many plans are made.

    It raises ConversionError for what does not fit together, or cannot be expressed in a GGUF.
    """
    if trim is None:
        return lambda rules: _plan(source, rules)
    trimmed = trim_vocabulary(source.model, source.tables, trim, template=source.chat_template)
    return lambda rules: _plan_trimmed(source, rules, trimmed=trimmed)


def assemble(
    facts: ModelFacts,
    tensors: list[MappedTensor],
    rules: TypeRules,
    *,
    weight_files: Sequence[WeightFile],
    metadata: Callable[[Mix], Mapping[str, MetadataValue | EncodedValue]],
    warnings: Callable[[list[PlannedTensor]], list[str]],
) -> Job:
    """The job that writes `tensors` as `rules` say, with the metadata that a file of that mix has."""
    planned = plan(tensors, rules, n_layers=facts.n_layers, key_sharing=facts.key_sharing)
    mix = main_mix(planned, rules)
    entries = metadata(mix)
    header = build_header(facts.architecture, entries, planned)
    return Job(facts, planned, mix, header, weight_files, warnings(planned), metadata=entries)


def _plan_trimmed(source: SourceModel, rules: TypeRules, *, trimmed: TrimmedModel) -> Job:
    """The job with a smaller vocabulary, and what that saves against the job without."""
    whole = _plan(source, rules)
    job = _plan(
        replace(source, model=trimmed.model, tables=trimmed.tables), rules, more_metadata=trimmed.metadata
    )
    saved = VocabularyReport(
        kept=trimmed.kept,
        rows_before=source.model.n_vocab_rows,
        rows_after=trimmed.model.n_vocab_rows,
        file_bytes_saved=whole.output_bytes - job.output_bytes,
        weight_bytes_saved=whole.weight_bytes - job.weight_bytes,
        n_texts=trimmed.n_texts,
        n_tokens=trimmed.n_tokens,
    )
    return replace(job, vocabulary=saved, n_untrimmed_header_bytes=len(whole.header.content))


def _plan(source: SourceModel, rules: TypeRules, *, more_metadata: Metadata | None = None) -> Job:
    return assemble(
        facts_of(source),
        source.model.tensors,
        rules,
        weight_files=source.checkpoint.weight_files,
        metadata=lambda mix: build_metadata(source, mix) | (more_metadata or {}),
        warnings=lambda planned: _warnings(source, planned),
    )


def _warnings(source: SourceModel, planned: list[PlannedTensor]) -> list[str]:
    warnings = [
        *source.checkpoint.warnings,
        *requantized_warnings(planned),
        *source.model.warnings,
        *source.tables.warnings,
        *source.tables.llama_cpp_warnings(),
        *source.identity.warnings,
    ]
    if not source.chat_template:
        warnings.append(
            "no chat template: not a known BELLE (--family names one), and the source brings none of its own;"
            " chat programs will guess"
        )
    return warnings + template_warnings(source.chat_template or None, source.tables)


def conversion_memory_bytes(job: Job) -> int:
    """Upper estimate: interpreter, tokenizer as Python objects, as it is tried and as the source has it, blocks.

    Blocks are read ahead, widened, converted, reordered.
    And of matrices that were quantized already the largest, whose rows lie across all of it, with what expanding a
    block of its codes takes.
    """
    reordered = max((t.n_bytes for t in job.planned if t.tensor.row_order is not None), default=0)
    quantized = [t for t in job.planned if _is_packed(t)]
    packed = max((t.tensor.source.n_bytes for t in quantized), default=0)
    expanding = 4 * BLOCK_BYTES * any(not t.is_repacked for t in quantized)
    n_header_bytes = len(job.header.content) + job.n_untrimmed_header_bytes
    blocks = 7 * BLOCK_BYTES + reordered + packed + expanding
    return (64 << 20) + 24 * n_header_bytes + blocks + job.n_optimizing_bytes


def _is_packed(planned: PlannedTensor) -> bool:
    """Whether rows lie across all of a quantized matrix; those of a GGUF follow each other."""
    source = planned.tensor.source
    return source.keeps_blocks if isinstance(source, BlockTensor) else isinstance(source, RequantizedTensor)
