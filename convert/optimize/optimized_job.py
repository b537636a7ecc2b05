"""The plan of an optimized conversion: moments first, then types, then what is written of it into the header."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial

from belle_edge.convert.architectures.mapped_model import Metadata
from belle_edge.convert.job import Job, Planner, conversion_memory_bytes
from belle_edge.convert.moments import Moments
from belle_edge.convert.moments.calibration_source import CalibrationSource
from belle_edge.convert.moments.moments_facts import MomentsFacts
from belle_edge.convert.moments.weight_sample import WeightSample
from belle_edge.convert.optimize.calibrating import Calibrating
from belle_edge.convert.optimize.column_scales import chosen_scales
from belle_edge.convert.optimize.held_out import HeldOut
from belle_edge.convert.optimize.matrix_names import names_among, quantized_matrices
from belle_edge.convert.optimize.matrix_rounding import RoundingByInput, rounding_bytes
from belle_edge.convert.optimize.optimization import Optimization
from belle_edge.convert.optimize.optimized_writing import OptimizedWriting
from belle_edge.convert.optimize.receipt import COLUMN_SCALES, receipt, room_for_divergence
from belle_edge.convert.optimize.scaled_tensors import ColumnScales
from belle_edge.convert.optimize.sensitivity import Sensitivity
from belle_edge.convert.optimize.sized_job import check_rules, sized_job
from belle_edge.convert.optimize.stage_progress import StageProgress
from belle_edge.convert.reference.model_shape import ModelShape
from belle_edge.convert.type_rules import TypeRules
from belle_edge.errors import ConversionError

_UNKNOWN_HASH = "0" * 64


@dataclass(frozen=True)
class Opened:
    """A source as it is before a vocabulary is cut down, and what plans its conversion."""

    plan: Planner
    open_source: Callable[[], CalibrationSource]

    @cached_property
    def source(self) -> CalibrationSource:
        """With a tokenizer, which takes a moment: only what is optimized needs it."""
        return self.open_source()


def optimized_job(
    opened: Opened, rules: TypeRules, optimization: Optimization, calibrating: Calibrating, *, dry_run: bool
) -> Job:
    """The job with types chosen and rows rounded as `optimization` says.

    A dry run computes nothing but what the choice of types needs. Raises ConversionError where nothing would be
    rounded, for moments of another model, and for a size that no choice of types reaches.
    """
    effort, n_bytes = optimization.effort, optimization.target_bytes
    if n_bytes is not None:
        check_rules(rules)
    job = opened.plan(rules)
    if effort is not None:
        _check_is_rounded(job)
    held_out = (
        calibrating.held_out(opened.source, effort=effort or "fast") if job.vocabulary is None else None
    )
    room = _expected_receipt(optimization, calibrating, held_out)
    moments = None
    if n_bytes is not None:
        moments = _for_model(calibrating.moments(), opened)
        sensitivity = Sensitivity.measured(opened.source, calibrating.texts, moments, calibrating.run)
        job = sized_job(job, rules, opened.plan, sensitivity, n_bytes=n_bytes, room=room)
    if effort is None and moments is not None:
        return job.with_metadata(_receipt(optimization, calibrating, held_out, moments))
    if dry_run and not calibrating.is_given:
        return job.with_metadata(room)
    moments = moments or _for_model(calibrating.moments(), opened)
    job = job.with_metadata(_receipt(optimization, calibrating, held_out, moments))
    scales = ColumnScales()
    if not dry_run:
        scales = chosen_scales(
            job.planned,
            moments,
            ModelShape.of(opened.source.metadata),
            progress=StageProgress(calibrating.run.progress),
            threads=calibrating.run.threads,
        )
    return _rounded(job, moments, scales, held_out, effort=effort or "fast", threads=calibrating.run.threads)


def _rounded(
    job: Job, moments: Moments, scales: ColumnScales, held_out: HeldOut | None, *, effort: str, threads: int
) -> Job:
    """The job whose rows are scaled, and rounded with these moments."""
    names = names_among(moments, job.planned)
    if not names:
        raise ConversionError(
            f"[{moments.path.name}] has none of this model's matrices that are rounded: calibrate this model"
        )
    columns = {names[name]: values for name, values in scales.columns.items()}
    rounding = RoundingByInput(moments, scales=columns, effort=effort, threads=threads)
    planned = {tensor.name: tensor for tensor in job.planned}
    measure = None
    if held_out is not None and held_out.texts:
        measure = partial(held_out.measured, job.planned, scales, threads=threads)
    widest = max(planned[name].shape[-1] for name in names)
    counted = job.with_metadata({COLUMN_SCALES: scales.n_inputs})
    scaled = replace(counted, planned=scales.planned(job.planned))
    # A scaled tensor does not show what reading the source's takes.
    n_hidden_bytes = conversion_memory_bytes(job) - conversion_memory_bytes(scaled)
    return replace(
        scaled,
        optimized=OptimizedWriting(rounding, names, columns=scales.columns, measure=measure, threads=threads),
        n_optimizing_bytes=(rounding_bytes(widest) if moments.has_full else 0) + n_hidden_bytes,
    )


def _check_is_rounded(job: Job) -> None:
    if not quantized_matrices(job.planned):
        kinds = sorted({tensor.type for tensor in job.planned if len(tensor.shape) > 1})
        raise ConversionError(
            f"[optimize] there is nothing to round: all matrices are floats or keep their source's blocks"
            f" ({', '.join(kinds)}); choose a type as q4_0"
        )


def _for_model(moments: Moments, opened: Opened) -> Moments:
    """The same. ConversionError where they are another model's."""
    sample = moments.sample
    if sample is not None and not sample.is_of(WeightSample.of(opened.source.tensors)):
        whose = f" ({moments.facts.model_name})" if moments.facts.model_name else ""
        raise ConversionError(
            f"[{moments.path.name}] was computed with another model{whose}: calibrate this one"
        )
    return moments


def _receipt(
    optimization: Optimization, calibrating: Calibrating, held_out: HeldOut | None, moments: Moments
) -> Metadata:
    facts = moments.facts
    return receipt(
        facts,
        has_full=moments.has_full,
        effort=optimization.effort,
        moments_hash=moments.content_hash,
        data=facts.datasets if calibrating.is_given else calibrating.data_names,
        target_bytes=optimization.target_bytes,
    ) | _room(optimization, held_out)


def _expected_receipt(
    optimization: Optimization, calibrating: Calibrating, held_out: HeldOut | None
) -> Metadata:
    """As long as the receipt will be."""
    if calibrating.is_given:
        return _receipt(optimization, calibrating, held_out, calibrating.moments())
    facts = MomentsFacts(
        kind="moments",
        n_tokens=0,
        n_texts=0,
        datasets=(),
        languages=(),
        token_sha256=_UNKNOWN_HASH,
        model_name=None,
    )
    return receipt(
        facts,
        has_full=True,
        effort=optimization.effort,
        moments_hash=_UNKNOWN_HASH,
        data=calibrating.data_names,
        target_bytes=optimization.target_bytes,
    ) | _room(optimization, held_out)


def _room(optimization: Optimization, held_out: HeldOut | None) -> Metadata:
    return room_for_divergence() if optimization.effort is not None and held_out and held_out.texts else {}
