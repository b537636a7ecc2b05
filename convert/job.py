"""A conversion with everything decided and nothing written: what `--dry-run` reports and a run executes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from belle_edge.convert.architectures import read_model
from belle_edge.convert.architectures.base import MappedModel, Metadata
from belle_edge.convert.identify import Identity, identify
from belle_edge.convert.metadata import build_metadata
from belle_edge.convert.quantize import BLOCK_BYTES, PlannedTensor, main_type, plan, requantized_warnings
from belle_edge.convert.report import VocabularyReport
from belle_edge.convert.sources.checkpoint import Checkpoint
from belle_edge.convert.sources.tensors import BlockTensor, RequantizedTensor
from belle_edge.convert.template_check import template_warnings
from belle_edge.convert.tokenizer_tables import check_tables, read_tokenizer
from belle_edge.convert.trim import TrimRequest, trim_vocabulary
from belle_edge.convert.vocabulary import TokenizerTables
from belle_edge.convert.writer import Header, build_header
from belle_edge.text.prompts import FAMILIES


@dataclass(frozen=True)
class Job:
    """A conversion with everything decided and nothing written."""

    checkpoint: Checkpoint
    model: MappedModel
    tables: TokenizerTables
    identity: Identity
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
        for source in self.checkpoint.weight_files:
            digest.update(f"\0{source.stamp}".encode())
        return digest.hexdigest()

    @property
    def output_bytes(self) -> int:
        return self.header.file_bytes

    @property
    def weight_bytes(self) -> int:
        return sum(tensor.n_bytes for tensor in self.planned)


def prepare(
    checkpoint: Checkpoint, *, type: str | None, family: str | None, trim: TrimRequest | None = None
) -> Job:
    """Map, identify, plan. Raises ConversionError for what does not fit together, or cannot be expressed in a GGUF."""
    model = read_model(checkpoint.config, checkpoint.weights)
    identity = identify(
        checkpoint, architecture=model.architecture, n_vocab_rows=model.n_vocab_rows, family=family
    )
    tables = read_tokenizer(checkpoint, n_vocab_rows=model.n_vocab_rows)
    check_tables(tables)
    if trim is not None:
        return _prepare_trimmed(checkpoint, model, tables, identity, type=type, trim=trim)
    return _plan_job(checkpoint, model, tables, identity, type=type)


def _prepare_trimmed(
    checkpoint: Checkpoint,
    model: MappedModel,
    tables: TokenizerTables,
    identity: Identity,
    *,
    type: str | None,
    trim: TrimRequest,
) -> Job:
    """The job with a smaller vocabulary, and what that saves against the job without."""
    template = FAMILIES[identity.family].chat_template if identity.family else tables.chat_template
    trimmed = trim_vocabulary(model, tables, trim, template=template)
    whole = _plan_job(checkpoint, model, tables, identity, type=type)
    job = _plan_job(
        checkpoint, trimmed.model, trimmed.tables, identity, type=type, more_metadata=trimmed.metadata
    )
    saved = VocabularyReport(
        kept=trimmed.kept,
        rows_before=model.n_vocab_rows,
        rows_after=trimmed.model.n_vocab_rows,
        file_bytes_saved=whole.output_bytes - job.output_bytes,
        weight_bytes_saved=whole.weight_bytes - job.weight_bytes,
        n_texts=trimmed.n_texts,
        n_tokens=trimmed.n_tokens,
    )
    return replace(job, vocabulary=saved, n_untrimmed_header_bytes=len(whole.header.content))


def _plan_job(
    checkpoint: Checkpoint,
    model: MappedModel,
    tables: TokenizerTables,
    identity: Identity,
    *,
    type: str | None,
    more_metadata: Metadata | None = None,
) -> Job:
    planned = plan(model.tensors, type=type)
    chosen_type = main_type(planned, type=type)
    metadata = build_metadata(checkpoint, model, tables, identity, type=chosen_type) | (more_metadata or {})
    warnings = [
        *checkpoint.warnings,
        *requantized_warnings(planned),
        *model.warnings,
        *tables.warnings,
        *tables.llama_cpp_warnings(),
        *identity.warnings,
    ]
    if "tokenizer.chat_template" not in metadata:
        warnings.append(
            "no chat template: not a known BELLE (--family names one), and the source brings none of its own;"
            " chat programs will guess"
        )
    warnings += template_warnings(metadata.get("tokenizer.chat_template"), tables)
    header = build_header(model.architecture, metadata, planned)
    return Job(checkpoint, model, tables, identity, planned, chosen_type, header, warnings)


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
