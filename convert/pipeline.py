"""The conversion from end to end: open, map, identify, plan, then stream every tensor into the output."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from belle_edge.convert.background_reader import read_in_background
from belle_edge.convert.conversion_report import ConversionReport, TensorReport
from belle_edge.convert.gguf_writer import ModelFile
from belle_edge.convert.job import Job, conversion_memory_bytes, prepare
from belle_edge.convert.output_metadata import display_name
from belle_edge.convert.partial_file import check_free_space, check_target, partial_file
from belle_edge.convert.progress import ProgressCallback, ProgressMeter
from belle_edge.convert.quantization import encode
from belle_edge.convert.reading import FileRead, reading_order, source_blocks
from belle_edge.convert.source_guard import check_not_a_source
from belle_edge.convert.sources.lora.merging import LoraArgument, adapter_options
from belle_edge.convert.sources.opening import SourceOptions, open_checkpoint
from belle_edge.convert.trim import TrimRequest
from belle_edge.errors import ConversionError
from belle_edge.settings import threads_or_all


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
    vocab: Sequence[str] = (),
    vocab_from: Sequence[str | Path] = (),
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
    vocab: languages ("zh", "en", …) to keep the tokens of; others go, with their rows. Byte-level BPE (BLOOM) only.
    vocab_from: text, .json or .jsonl files to keep the tokens of, besides those of `vocab`. Either one gives the kept
        tokens new ids.
    progress: called after every block of a few MB.

    Raises ConversionError, with the file or tensor and what to do, OSError for failing reads and writes, and ValueError
    for a number of threads out of range.
    """
    start = time.monotonic()
    threads = threads_or_all("[threads]", threads)
    target = Path(out).expanduser() if out is not None else None
    if target is None and not dry_run:
        raise ConversionError("[out] no output file given")
    if target is not None and not dry_run:
        check_target(target, force=force, resume=resume)
        texts = [vocab_from] if isinstance(vocab_from, str | Path) else vocab_from
        named = [place for place in (key, tokenizer, *texts) if place is not None]
        check_not_a_source(target, src, [*named, *(adapter.folder for adapter in adapter_options(lora))])

    options = SourceOptions(
        revision=revision,
        key=key,
        tokenizer=tokenizer,
        gptq_zeros=gptq_zeros,
        lora=adapter_options(lora),
    )
    trim = TrimRequest.from_arguments(vocab, vocab_from)
    job = prepare(open_checkpoint(src, options), type=type, family=family, trim=trim)
    if target is not None and not dry_run:
        check_free_space(target, job.output_bytes)
        _write(target, job, force=force, resume=resume, threads=threads, progress=progress)
    return _report(
        job,
        source=str(src),
        target=target,
        dry_run=dry_run,
        seconds=time.monotonic() - start,
    )


def _write(
    target: Path, job: Job, *, force: bool, resume: bool, threads: int, progress: ProgressCallback | None
) -> None:
    offsets = dict(zip((tensor.name for tensor in job.planned), job.header.offsets, strict=True))
    with partial_file(target, conversion=job.fingerprint, resume=resume, replace=force) as (file, journal):
        output = ModelFile(file, job.header)
        meter = ProgressMeter(job.planned, done=journal.tensors, report=progress)
        passes = reading_order(job.checkpoint.weight_files, job.planned, journal)
        events = read_in_background(source_blocks(passes))
        for event in events:
            if isinstance(event, FileRead):
                journal.note_file(event.name)
                continue
            try:
                encoded = encode(event.tensor, event.rows, threads=threads)
            except ConversionError:
                if (
                    event.is_hashed
                ):  # a wrong hash explains impossible values better, and is found at the file's end
                    next(rest for rest in events if isinstance(rest, FileRead))
                raise
            for offset, data in event.placed(encoded):
                output.write_at(offsets[event.tensor.name] + offset, data.data)
            if event.is_last:
                journal.note_tensor(event.tensor.name)
            meter.advance(event)
        output.finish()


def _report(job: Job, *, source: str, target: Path | None, dry_run: bool, seconds: float) -> ConversionReport:
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
        conversion_memory_bytes=conversion_memory_bytes(job),
        weight_bytes=job.weight_bytes,
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
        vocabulary=job.vocabulary,
        tokenizer=job.tables.comparison,
    )
