"""The outcome of pretraining the encoders of one kind, as the report shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ppgssl.core.results.pretraining import CurvePoint, Reconstruction
from ppgssl.selfsupervised.pretraining_result import Examples, load_result
from ppgssl.selfsupervised.study_encoders import EncoderJob, encoder_warnings, seen_segments
from ppgssl.store.study_data import StudyData


def summarize_encoders(jobs: Sequence[EncoderJob], data: StudyData) -> dict[str, Any]:
    """Fields of :class:`ppgssl.core.results.pretraining.PretrainingRun` for the encoders of one kind."""
    results = [load_result(job.folder) for job in jobs]
    seen = seen_segments(jobs[0], data)
    table = data.segments.table
    return {
        "n_encoders": len(jobs),
        "n_patients": int(table.loc[seen, "patient"].nunique()),
        "n_segments": int(seen.sum()),
        "n_parameters": results[0].n_parameters,
        "curves": [
            [CurvePoint.model_validate(row, from_attributes=True) for row in result.history] for result in results
        ],
        "score_name": results[0].score_name,
        "score": _mean([result.best.score for result in results]),
        "effective_rank": float(np.mean([result.best.effective_rank for result in results])),
        "seconds": sum(result.seconds for result in results),
        "device": results[0].device,
        "warnings": encoder_warnings(jobs),
        "hardware": dict(results[0].hardware),
        "cpu_joules": _sum([result.energy.cpu_joules for result in results]),
        "gpu_joules": _sum([result.energy.gpu_joules for result in results]),
        "energy_note": results[0].energy.note,
        "reconstructions": _reconstructions(results[0].examples, data) if results[0].examples else [],
    }


def _sum(values: Sequence[float | None]) -> float | None:
    """Unknown as soon as one of the values is."""
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _reconstructions(examples: Examples, data: StudyData) -> list[Reconstruction]:
    """The first channel of each example that its cohort has, as the report shows it."""
    cohorts = data.segments.table["cohort"]
    shown = data.segments.is_present[examples.index].argmax(axis=1)
    return [
        Reconstruction(
            cohort=str(cohorts.iloc[segment]),
            channel=data.study.inputs.channels[channel].name,
            fs_hz=data.study.inputs.fs_hz,
            original=examples.original[number, channel].tolist(),
            is_masked=examples.is_masked[number, channel].tolist(),
            reconstruction=examples.reconstruction[number, channel].tolist(),
        )
        for number, (segment, channel) in enumerate(zip(examples.index, shown, strict=True))
    ]
