"""The conversion from end to end: open, map, identify, plan, then stream every tensor into the output."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from belle_edge.convert.architectures import read_model
from belle_edge.convert.architectures.base import MappedModel
from belle_edge.convert.identify import Identity, identify
from belle_edge.convert.metadata import build_metadata, display_name
from belle_edge.convert.progress import ConversionProgress, ProgressCallback
from belle_edge.convert.quantize import BLOCK_BYTES, PlannedTensor, converted_blocks, plan
from belle_edge.convert.report import ConversionReport, TensorReport
from belle_edge.convert.sources.hf import Checkpoint, open_checkpoint
from belle_edge.convert.tokenizer_tables import read_tokenizer
from belle_edge.convert.vocabulary import TokenizerTables
from belle_edge.convert.writer import (
    Header,
    ModelFile,
    atomic_file,
    build_header,
    check_free_space,
    check_target,
    padding,
)
from belle_edge.errors import ConversionError


def convert(
    src: str | Path,
    out: str | Path | None = None,
    *,
    type: str = "q4_0",
    family: str | None = None,
    force: bool = False,
    dry_run: bool = False,
    threads: int = 0,
    revision: str | None = None,
    progress: ProgressCallback | None = None,
) -> ConversionReport:
    """Convert a checkpoint to a GGUF file.

    src: a Hugging Face folder, or a hub id (then `revision` may name a branch, tag or commit).
    out: the file to write; it appears only when it is complete. May be left out with `dry_run`.
    type: of the matrices: f32, f16, bf16, q4_0, q4_1 or q8_0. Norms and biases are always f32.
    family: prompt family (belle, belle-llama, belle-ext, belle-v2, none) in place of the recognised one.
    force: overwrite an existing `out`.
    dry_run: write nothing; the report's sizes are exact all the same.
    threads: for quantization, 0 = every usable processor.
    progress: called after every block of a few MB.

    Raises ConversionError, with the file or tensor and what to do, and OSError for failing reads and writes.
    """
    start = time.monotonic()
    target = Path(out).expanduser() if out is not None else None
    if target is None and not dry_run:
        raise ConversionError("[out] no output file given")
    if target is not None and not dry_run:
        check_target(target, force=force)

    job = _prepare(open_checkpoint(src, revision=revision), type=type, family=family)
    if target is not None and not dry_run:
        check_free_space(target, job.output_bytes)
        _write(target, job.header, job.planned, threads=threads, progress=progress)
    return _report(
        job,
        source=str(src),
        target=target,
        type=type,
        dry_run=dry_run,
        seconds=time.monotonic() - start,
    )


@dataclass(frozen=True)
class _Job:
    """A conversion with everything decided and nothing written."""

    checkpoint: Checkpoint
    model: MappedModel
    tables: TokenizerTables
    identity: Identity
    planned: list[PlannedTensor]
    header: Header
    warnings: list[str]

    @property
    def output_bytes(self) -> int:
        return self.header.file_bytes


def _prepare(checkpoint: Checkpoint, *, type: str, family: str | None) -> _Job:
    model = read_model(checkpoint.config, checkpoint.weights)
    identity = identify(
        checkpoint, architecture=model.architecture, n_vocab_rows=model.n_vocab_rows, family=family
    )
    tables = read_tokenizer(checkpoint, n_vocab_rows=model.n_vocab_rows)
    planned = plan(model.tensors, type=type)
    metadata = build_metadata(checkpoint, model, tables, identity, type=type)
    warnings = [*model.warnings, *tables.warnings, *identity.warnings]
    if "tokenizer.chat_template" not in metadata:
        warnings.append(
            "no chat template: not a known BELLE (--family names one), and the source brings none of its own;"
            " chat programs will guess"
        )
    header = build_header(model.architecture, metadata, planned)
    return _Job(checkpoint, model, tables, identity, planned, header, warnings)


def _write(
    target: Path,
    header: Header,
    planned: list[PlannedTensor],
    *,
    threads: int,
    progress: ProgressCallback | None,
) -> None:
    total_bytes = sum(tensor.tensor.source.n_bytes for tensor in planned)
    done_bytes = 0
    with atomic_file(target) as file:
        output = ModelFile(file, header)
        for tensor in planned:
            n_written = 0
            for data, n_source_bytes in converted_blocks(tensor, threads=threads):
                output.write(data.data)
                n_written += data.nbytes
                done_bytes += n_source_bytes
                if progress is not None:
                    progress(ConversionProgress(tensor.name, done_bytes, total_bytes))
            if n_written != tensor.n_bytes:
                raise ConversionError(
                    f"[{tensor.name}] expected {tensor.n_bytes} bytes, produced {n_written}"
                )
            output.write(bytes(padding(n_written)))
        output.finish()


def _report(
    job: _Job, *, source: str, target: Path | None, type: str, dry_run: bool, seconds: float
) -> ConversionReport:
    model = job.model
    return ConversionReport(
        source=source,
        output=str(target) if target is not None else None,
        dry_run=dry_run,
        architecture=model.architecture,
        type=type,
        name=display_name(job.identity, model),
        family=job.identity.family,
        license=job.identity.license.id if job.identity.license else None,
        n_tokens=len(job.tables.tokens),
        n_padding_tokens=job.tables.n_padding,
        source_bytes=job.checkpoint.n_bytes,
        output_bytes=job.output_bytes,
        conversion_memory_bytes=_conversion_memory_bytes(job),
        weight_bytes=sum(tensor.n_bytes for tensor in job.planned),
        kv_bytes_per_token=2 * 2 * model.n_layers * model.kv_width,  # keys and values, two bytes each
        context_length=model.context_length,
        tensors=[
            TensorReport(
                tensor.name,
                tensor.shape,
                tensor.tensor.source.dtype,
                tensor.type,
                tensor.n_bytes,
                tensor.fallback,
            )
            for tensor in job.planned
        ],
        warnings=job.warnings,
        seconds=seconds,
    )


def _conversion_memory_bytes(job: _Job) -> int:
    """Upper estimate: interpreter, torch, tokenizer as Python objects, a block read, widened, converted."""
    needs_torch = any(tensor.tensor.source.file.endswith(".bin") for tensor in job.planned)
    return (64 << 20) + (160 << 20) * needs_torch + 12 * len(job.header.content) + 5 * BLOCK_BYTES
