"""The conversion from end to end: open, map, identify, plan, then stream every tensor into the output."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from belle_edge.convert.architectures import read_model
from belle_edge.convert.architectures.base import MappedModel
from belle_edge.convert.identify import Identity, identify
from belle_edge.convert.metadata import build_metadata, display_name
from belle_edge.convert.partial_file import check_free_space, check_target, partial_file
from belle_edge.convert.progress import ProgressCallback, ProgressMeter
from belle_edge.convert.quantize import (
    BLOCK_BYTES,
    PlannedTensor,
    encode,
    main_type,
    plan,
    requantized_warnings,
)
from belle_edge.convert.read_ahead import read_ahead
from belle_edge.convert.reading import FileRead, reading_order, source_blocks
from belle_edge.convert.report import ConversionReport, TensorReport
from belle_edge.convert.sources.checkpoint import Checkpoint
from belle_edge.convert.sources.lora import LoraArgument, adapter_options
from belle_edge.convert.sources.opening import SourceOptions, open_checkpoint
from belle_edge.convert.sources.tensors import BlockTensor, RequantizedTensor
from belle_edge.convert.tokenizer_tables import read_tokenizer
from belle_edge.convert.vocabulary import TokenizerTables
from belle_edge.convert.writer import Header, ModelFile, build_header
from belle_edge.errors import ConversionError


def convert(
    src: str | Path,
    out: str | Path | None = None,
    *,
    type: str | None = None,
    family: str | None = None,
    force: bool = False,
    resume: bool = False,
    dry_run: bool = False,
    threads: int = 0,
    revision: str | None = None,
    key: str | Path | None = None,
    tokenizer: str | Path | None = None,
    gptq_zeros: str | None = None,
    lora: LoraArgument | Sequence[LoraArgument] = (),
    progress: ProgressCallback | None = None,
) -> ConversionReport:
    """Convert a checkpoint to a GGUF file.

    src: a Hugging Face folder, a weight file in one, or a hub id (then `revision` may name a branch, tag or commit);
    or a folder of Meta's with params.json and consolidated.*.pth; or a llama.cpp file from before GGUF (ggml, ggjt).
    out: the file to write; it appears only when it is complete. May be left out with `dry_run`.
    type: of the matrices: f32, f16, bf16, q4_0, q4_1 or q8_0; None: q4_0. Norms and biases are always f32.
    family: prompt family (belle, belle-llama, belle-ext, belle-v2, none) in place of the recognised one.
    force: overwrite an existing `out`, and drop an interrupted conversion of it.
    resume: go on with an interrupted conversion of `out`, if there is one; the result is the same byte for byte.
    dry_run: write nothing; the report's sizes are exact all the same.
    threads: for quantization, 0 = every usable processor.
    key: of an encrypted checkpoint (.enc files): Meta's original weights, or the folder with them.
    tokenizer: a folder or hub id whose tokenizer is taken, and whose config.json where the source has none.
    gptq_zeros: how a GPTQ checkpoint stores its zeros, "minus-one" or "plain"; None: found out.
    lora: folders of LoRA adapters (PEFT) to merge in float32, or (folder, weight).
    progress: called after every block of a few MB.

    Raises ConversionError, with the file or tensor and what to do, and OSError for failing reads and writes.
    """
    start = time.monotonic()
    target = Path(out).expanduser() if out is not None else None
    if target is None and not dry_run:
        raise ConversionError("[out] no output file given")
    if target is not None and not dry_run:
        check_target(target, force=force, resume=resume)

    options = SourceOptions(
        revision=revision,
        key=key,
        tokenizer=tokenizer,
        gptq_zeros=gptq_zeros,
        lora=adapter_options(lora),
    )
    job = _prepare(open_checkpoint(src, options), type=type, family=family)
    if target is not None and not dry_run:
        check_free_space(target, job.output_bytes)
        _write(target, job, resume=resume, threads=threads, progress=progress)
    return _report(
        job,
        source=str(src),
        target=target,
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
    type: str  # that the file is named by
    header: Header
    warnings: list[str]

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


def _prepare(checkpoint: Checkpoint, *, type: str | None, family: str | None) -> _Job:
    model = read_model(checkpoint.config, checkpoint.weights)
    identity = identify(
        checkpoint, architecture=model.architecture, n_vocab_rows=model.n_vocab_rows, family=family
    )
    tables = read_tokenizer(checkpoint, n_vocab_rows=model.n_vocab_rows)
    planned = plan(model.tensors, type=type)
    chosen_type = main_type(planned, type=type)
    metadata = build_metadata(checkpoint, model, tables, identity, type=chosen_type)
    warnings = [
        *checkpoint.warnings,
        *requantized_warnings(planned),
        *model.warnings,
        *tables.warnings,
        *identity.warnings,
    ]
    if "tokenizer.chat_template" not in metadata:
        warnings.append(
            "no chat template: not a known BELLE (--family names one), and the source brings none of its own;"
            " chat programs will guess"
        )
    header = build_header(model.architecture, metadata, planned)
    return _Job(checkpoint, model, tables, identity, planned, chosen_type, header, warnings)


def _write(target: Path, job: _Job, *, resume: bool, threads: int, progress: ProgressCallback | None) -> None:
    offsets = dict(zip((tensor.name for tensor in job.planned), job.header.offsets, strict=True))
    with partial_file(target, conversion=job.fingerprint, resume=resume) as (file, journal):
        output = ModelFile(file, job.header)
        meter = ProgressMeter(job.planned, done=journal.tensors, report=progress)
        passes = reading_order(job.checkpoint.weight_files, job.planned, journal)
        for event in read_ahead(source_blocks(passes)):
            if isinstance(event, FileRead):
                journal.note_file(event.name)
                continue
            encoded = encode(event.tensor, event.rows, threads=threads)
            for offset, data in event.placed(encoded):
                output.write_at(offsets[event.tensor.name] + offset, data.data)
            if event.is_last:
                journal.note_tensor(event.tensor.name)
            meter.advance(event)
        output.finish()


def _report(
    job: _Job, *, source: str, target: Path | None, dry_run: bool, seconds: float
) -> ConversionReport:
    model = job.model
    return ConversionReport(
        source=source,
        output=str(target) if target is not None else None,
        dry_run=dry_run,
        architecture=model.architecture,
        type=job.type,
        name=display_name(job.identity, model),
        family=job.identity.family,
        confidence=job.identity.confidence,
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
    """Upper estimate: interpreter, tokenizer as Python objects, blocks read ahead, widened, converted, reordered.

    And the largest matrix that was quantized already, whose rows lie across all of it.
    """
    reordered = max((t.n_bytes for t in job.planned if t.tensor.row_order is not None), default=0)
    sources = [tensor.tensor.source for tensor in job.planned]
    packed = max((s.n_bytes for s in sources if isinstance(s, BlockTensor | RequantizedTensor)), default=0)
    return (64 << 20) + 12 * len(job.header.content) + 7 * BLOCK_BYTES + reordered + packed
