"""A conversion with everything decided and nothing written: what `--dry-run` reports and a run executes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from belle_edge.convert.architectures.mapped_model import Metadata
from belle_edge.convert.conversion_report import VocabularyReport
from belle_edge.convert.gguf_writer import Header, build_header
from belle_edge.convert.output_metadata import build_metadata
from belle_edge.convert.quantization import BLOCK_BYTES, PlannedTensor, main_type, plan, requantized_warnings
from belle_edge.convert.source_model import SourceModel
from belle_edge.convert.sources.source_tensors import BlockTensor, RequantizedTensor
from belle_edge.convert.template_check import template_warnings
from belle_edge.convert.trim import TrimRequest, trim_vocabulary


@dataclass(frozen=True)
class Job:
    """A conversion with everything decided and nothing written."""

    source: SourceModel  # trimmed, where that was asked for
    planned: list[PlannedTensor]
    type: str  # that the file is named by
    header: Header
    warnings: list[str]
    vocabulary: VocabularyReport | None = None
    n_untrimmed_header_bytes: int = 0  # of a trim: its tokenizers, before and after, are in memory together

    @property
    def fingerprint(self) -> str:
        """A hash of what decides the output: header, types, and the state of the files it is made from."""
        digest = hashlib.sha256(self.header.content)
        for source in self.source.checkpoint.weight_files:
            digest.update(f"\0{source.stamp}".encode())
        return digest.hexdigest()

    @property
    def output_bytes(self) -> int:
        return self.header.file_bytes

    @property
    def weight_bytes(self) -> int:
        return sum(tensor.n_bytes for tensor in self.planned)


def prepare(source: SourceModel, *, type: str | None, trim: TrimRequest | None = None) -> Job:
    """Plan. Raises ConversionError for what does not fit together, or cannot be expressed in a GGUF."""
    return _plan(source, type=type) if trim is None else _plan_trimmed(source, type=type, trim=trim)


def _plan_trimmed(source: SourceModel, *, type: str | None, trim: TrimRequest) -> Job:
    """The job with a smaller vocabulary, and what that saves against the job without."""
    trimmed = trim_vocabulary(source.model, source.tables, trim, template=source.chat_template)
    whole = _plan(source, type=type)
    job = _plan(
        replace(source, model=trimmed.model, tables=trimmed.tables), type=type, more_metadata=trimmed.metadata
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


def _plan(source: SourceModel, *, type: str | None, more_metadata: Metadata | None = None) -> Job:
    planned = plan(source.model.tensors, type=type)
    chosen_type = main_type(planned, type=type)
    metadata = build_metadata(source, type=chosen_type) | (more_metadata or {})
    warnings = [
        *source.checkpoint.warnings,
        *requantized_warnings(planned),
        *source.model.warnings,
        *source.tables.warnings,
        *source.tables.llama_cpp_warnings(),
        *source.identity.warnings,
    ]
    if "tokenizer.chat_template" not in metadata:
        warnings.append(
            "no chat template: not a known BELLE (--family names one), and the source brings none of its own;"
            " chat programs will guess"
        )
    warnings += template_warnings(metadata.get("tokenizer.chat_template"), source.tables)
    header = build_header(source.model.architecture, metadata, planned)
    return Job(source, planned, chosen_type, header, warnings)


def conversion_memory_bytes(job: Job) -> int:
    """Upper estimate: interpreter, tokenizer as Python objects, as it is tried and as the source has it, blocks.

    Blocks are read ahead, widened, converted, reordered.
    And of matrices that were quantized already the largest, whose rows lie across all of it, with what expanding a
    block of its codes takes.
    """
    reordered = max((t.n_bytes for t in job.planned if t.tensor.row_order is not None), default=0)
    quantized = [t for t in job.planned if isinstance(t.tensor.source, BlockTensor | RequantizedTensor)]
    packed = max((t.tensor.source.n_bytes for t in quantized), default=0)
    expanding = 4 * BLOCK_BYTES * any(not t.is_repacked for t in quantized)
    n_header_bytes = len(job.header.content) + job.n_untrimmed_header_bytes
    return (64 << 20) + 24 * n_header_bytes + 7 * BLOCK_BYTES + reordered + packed + expanding
