"""A realistic ``Results`` with made-up numbers, built through the real model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ppgssl.core.config.arms import DEFAULT_ARMS
from ppgssl.core.config.cohort import Cohort
from ppgssl.core.config.study import Study
from ppgssl.core.reasons import Reason
from ppgssl.core.results.data import (
    ChannelQuality,
    CohortFlow,
    ExampleWaveform,
    Exclusion,
    Finding,
    SegmentMark,
    TableOneCell,
    TableOneRow,
)
from ppgssl.core.results.performance import ArmResult, ValidationSummary
from ppgssl.core.results.pretraining import CurvePoint, PretrainingRun, Reconstruction
from ppgssl.core.results.robustness import AcquisitionCheck
from ppgssl.core.results.study import InputFile, Provenance, Results
from tests.support.fake_performance import added_value, decision_references, interval, make_arms, roc
from tests.support.fake_robustness import (
    covariate_model,
    embedding_maps,
    leakage,
    learning_curves,
    missing_data,
    optimism,
    sample_size,
    stability,
    subgroups,
)

# Parts of the results that `without` leaves out, by name.
PARTS = (
    *("metrics", "bands", "calibration", "decisions", "missing", "sample_size", "covariate_model", "added_value"),
    *("subgroups", "learning_curves", "stability", "optimism", "embedding_maps", "leakage"),
)
SPECIAL = 'A #strange $label@ with *stars*, _underscores_, [brackets], <angles>, `ticks`, \\slashes\\ & "quotes" = x'
NON_LATIN = "Больница №4 · Νοσοκομείο · Bệnh viện Đà Nẵng · مستشفى · 医院"
LONG = "Indeed a very long title of a cohort that somebody wrote without thinking of the width of a printed page"


def make_results(
    *,
    n_patients: int = 146,
    n_events: int = 36,
    arms: list[str] | None = None,
    n_extra_arms: int = 0,
    auroc: dict[str, float] | None = None,
    half_width: float = 0.08,
    n_cohorts: int = 2,
    label_suffix: str = "",
    with_pretraining: bool = True,
    with_examples: bool = True,
    with_acquisition: bool = True,
    with_sensitivity: bool = True,
    with_intervals: bool = True,
    exposure: str = "per-fold",
    warnings: Sequence[str] = (),
    cpu_joules: float | None = None,
    study: dict[str, Any] | None = None,
    without: tuple[str, ...] = (),
    slope: float = 0.9,
    is_adjusted: bool = True,
    missing: str = "median",
    validation_notes: Sequence[str] = (),
    seed: int = 1,
) -> Results:
    """Results of ``n_patients`` with the arms named; ``label_suffix`` is appended to every free text.

    ``auroc`` overrides estimates by arm; ``half_width`` is the half-width of AUROC intervals (differences get half
    of it); without intervals every estimate, limit and p-value is null. ``without`` names :data:`PARTS` to leave out,
    ``slope`` is the calibration slope of all arms, and p-values are Holm-adjusted if ``is_adjusted``.
    """
    rng = np.random.default_rng(seed)
    names = list(DEFAULT_ARMS) if arms is None else arms
    width = half_width if with_intervals else None
    cohorts = [f"cohort-{number}" for number in range(n_cohorts)]
    title = "Hypertension from two seconds of finger photoplethysmography" + label_suffix
    configuration = _study(names, cohorts, title, exposure, study or {})
    rows = make_arms(
        names,
        auroc or {},
        n_patients=n_patients,
        n_events=n_events,
        half_width=width,
        is_transductive=exposure == "transductive",
        with_sensitivity=with_sensitivity,
        without=without,
        slope=slope,
        is_adjusted=is_adjusted,
    )
    evaluated = list(rows)
    rows += [_extra_arm(number, width, label_suffix) for number in range(n_extra_arms)]
    extras = _extras(evaluated, cohorts, n_patients, n_events, width, label_suffix, missing)
    if "decisions" not in without:
        extras["decision_references"] = decision_references(n_events / n_patients)
    return Results(
        name="demo-study",
        title=title,
        description="A made-up study that shows what the report looks like." + label_suffix,
        authors="A. Nurse, B. Physician and C. Statistician",
        outcome="htn",
        outcome_label="Hypertension, stage 1 or 2" + label_suffix,
        event_label="hypertensive" + label_suffix,
        covariate_labels=["Age", "Sex", "Body mass index" + label_suffix],
        flow=[_flow(name, number, n_patients, n_events, label_suffix) for number, name in enumerate(cohorts)],
        findings=_findings(cohorts, label_suffix),
        table_one=_table_one(n_patients, n_events, label_suffix),
        quality=[_quality(name, channel, rng) for name in cohorts for channel in ("ppg_red", "ppg_ir")],
        examples=[_example(cohorts[i % n_cohorts], i, label_suffix, rng) for i in range(3 if with_examples else 0)],
        acquisition=_acquisition(cohorts[0], n_patients, n_events, label_suffix, rng) if with_acquisition else [],
        pretraining=_pretraining(exposure, label_suffix, warnings, cpu_joules, rng) if with_pretraining else [],
        validation=_validation(n_patients, n_events, with_sensitivity, configuration, validation_notes),
        arms=rows,
        provenance=_provenance(configuration, cohorts, label_suffix),
        **{name: value for name, value in extras.items() if name not in without},
    )


def _extras(
    arms: list[ArmResult],
    cohorts: list[str],
    n_patients: int,
    n_events: int,
    width: float | None,
    suffix: str,
    missing: str,
) -> dict[str, Any]:
    """Everything but the arms, by the field that holds it."""
    is_defined = width is not None
    return {
        "missing": missing_data(n_patients, suffix, missing),
        "sample_size": sample_size(n_patients, n_events),
        "covariate_model": covariate_model(n_patients, n_events, suffix, is_defined=is_defined),
        "added_value": added_value(arms, width),
        "subgroups": subgroups(arms, n_patients, n_events, width, suffix),
        "learning_curves": learning_curves(arms, n_patients, n_events, width),
        "stability": stability(arms, n_patients, n_events),
        "optimism": optimism(arms, width) if is_defined else [],
        "embedding_maps": embedding_maps(cohorts, n_patients, n_events, suffix),
        "leakage": leakage(n_patients),
    }


# --- parts ----------------------------------------------------------------------------------------------------


def _extra_arm(number: int, width: float | None, suffix: str) -> ArmResult:
    area = 0.6 + 0.01 * number
    return ArmResult(
        name=f"extra-{number}",
        label=f"Extra arm number {number}{suffix}",
        learner="ridge",
        is_control=False,
        is_transductive=False,
        n_features=7,
        auroc=interval(area, width),
        difference=None,
        auroc_sensitivity=None,
        roc=roc(area),
        seconds=1.0,
    )


def _flow(name: str, number: int, n_patients: int, n_events: int, suffix: str) -> CohortFlow:
    labelled = number == 0
    return CohortFlow(
        cohort=name,
        title=("Finger PPG of hospital patients" if labelled else f"Unlabelled source {number}") + suffix,
        role="labelled" if labelled else "unlabelled",
        citation="Somebody A, Other B. A data base of pulses. J Data 5:180020, 2018.",
        n_files=3 * n_patients + 8,
        n_recordings=3 * n_patients,
        n_recordings_used=3 * n_patients - 12,
        n_segments=3 * n_patients + 4,
        n_segments_accepted=3 * n_patients - 18,
        n_patients_table=n_patients + 3 if labelled else None,
        n_patients_with_recordings=n_patients + 1,
        n_patients_analysed=n_patients,
        n_events=n_events if labelled else None,
        exclusions=[
            Exclusion(unit="file", reason=Reason.FILE_UNREADABLE, n=2, examples=["signals/12_1.txt"]),
            Exclusion(unit="recording", reason=Reason.COPY_OF_PATIENT, n=6, examples=["146_2"]),
            Exclusion(unit="segment", reason=Reason.LOW_SQI, n=17),
            Exclusion(unit="segment", reason=Reason.CLIPPED, n=5),
            Exclusion(unit="patient", reason=Reason.OUTCOME_MISSING, n=3, examples=["p7", "p12", "p99"]),
            Exclusion(unit="patient", reason=Reason.PATIENT_WITHOUT_SEGMENT, n=1, examples=["p55"]),
            Exclusion(unit="cell", reason=Reason.IMPLAUSIBLE, n=4, examples=["p3/weight_kg"]),
        ],
    )


def _findings(cohorts: list[str], suffix: str) -> list[Finding]:
    return [
        Finding(
            cohort=cohorts[0],
            kind=Reason.COPY_OF_OTHER,
            text="Recording 23_3 equals 24_1, sample by sample: one of the two patients has a wrong recording. Both "
            f"recordings were left out.{suffix}",
            severity="caution",
        ),
        Finding(
            cohort=cohorts[-1],
            kind=Reason.OTHER_UNIT,
            text="32 weights fall into the bulk when halved, as jin (500 g) would. Values were left as they are.",
            severity="note",
        ),
    ]


def _numeric_cell(n: int, missing: int, mean: float, sd: float, skew: float = 0.0) -> TableOneCell:
    median = mean - skew * sd
    return TableOneCell(
        n=n - missing, n_missing=missing, mean=mean, sd=sd, median=median, q1=median - 0.67 * sd, q3=median + 0.67 * sd
    )


def _count_cell(n: int, missing: int, count: int) -> TableOneCell:
    return TableOneCell(n=n - missing, n_missing=missing, count=count, fraction=count / max(n - missing, 1))


def _table_one(n: int, n_events: int, suffix: str) -> list[TableOneRow]:
    none = n - n_events
    rows = [
        TableOneRow(
            variable="age",
            label="Age" + suffix,
            unit="years",
            kind="numeric",
            overall=_numeric_cell(n, 0, 57.1, 15.8),
            without_event=_numeric_cell(none, 0, 54.6, 16.1),
            with_event=_numeric_cell(n_events, 0, 64.8, 12.2),
            smd=0.71,
        ),
        TableOneRow(
            variable="bmi",
            label="Body mass index",
            unit="kg/m2",
            kind="numeric",
            overall=_numeric_cell(n, 4, 23.1, 4.0, skew=0.4),
            without_event=_numeric_cell(none, 3, 22.7, 3.7, skew=0.4),
            with_event=_numeric_cell(n_events, 1, 24.3, 4.6, skew=0.4),
            smd=0.39,
        ),
        TableOneRow(
            variable="sex",
            label="Female sex",
            kind="binary",
            level="Female",
            overall=_count_cell(n, 0, n // 2),
            without_event=_count_cell(none, 0, none // 2),
            with_event=_count_cell(n_events, 0, n_events // 2),
            smd=-0.04,
        ),
    ]
    levels = [("never", 0.6), ("former", 0.3), ("current" + suffix, 0.1)]
    return rows + [
        TableOneRow(
            variable="smoking",
            label="Smoking",
            kind="categorical",
            level=level,
            overall=_count_cell(n, 6, int(proportion * (n - 6))),
            without_event=_count_cell(none, 4, int(proportion * (none - 4))),
            with_event=_count_cell(n_events, 2, int(proportion * (n_events - 2))),
            smd=0.12 if level == "never" else None,
        )
        for level, proportion in levels
    ]


def _quality(cohort: str, channel: str, rng: np.random.Generator) -> ChannelQuality:
    values = np.concatenate([rng.beta(9, 2, 900), rng.beta(2, 4, 200)])
    histogram, _ = np.histogram(values, bins=20, range=(0, 1))
    return ChannelQuality(
        cohort=cohort,
        channel=channel,
        n_segments=1130,
        n_accepted=905,
        sqi_histogram=histogram.tolist(),
        defects={"gap": 4, "flat": 11, "clipped": 9, "jump": 6, "low-sqi": 195},
        heart_rate_bpm_quartiles=[64.2, 71.8, 80.3],
    )


def _pulse(n: int, fs_hz: float, rng: np.random.Generator) -> np.ndarray:
    phase = 2 * np.pi * 1.25 * np.arange(n) / fs_hz
    return np.sin(phase) + 0.45 * np.sin(2 * phase + 0.9) + 0.03 * rng.standard_normal(n)


def _example(cohort: str, number: int, suffix: str, rng: np.random.Generator) -> ExampleWaveform:
    fs_hz = 50.0
    samples: list[float | None] = list(_pulse(3000, fs_hz, rng))
    samples[900:980] = [None] * 80
    defects = ["", "gap", "gap", "", "low-sqi", "", "", "clipped", "", ""]
    marks = [
        SegmentMark(start_s=5.0 * i, duration_s=10.0, accepted=not defect, sqi=0.9 - 0.5 * bool(defect), defect=defect)
        for i, defect in enumerate(defects)
    ]
    return ExampleWaveform(
        cohort=cohort,
        recording_id=f"{101 + number}_1{suffix}",
        channel="ppg_ir",
        fs_hz=fs_hz,
        samples=samples,
        segments=marks,
        caption="A mixed recording." + suffix,
    )


def _acquisition(cohort: str, n: int, n_events: int, suffix: str, rng: np.random.Generator) -> list[AcquisitionCheck]:
    is_event = [i < n_events for i in range(n)]
    amplitude = np.exp(rng.normal(5.0, 0.3, n)) * np.where(np.arange(n) > 0.9 * n, 5.0, 1.0)
    return [
        AcquisitionCheck(
            cohort=cohort,
            name="Pulse amplitude (adc)" + suffix,
            values=amplitude.tolist(),
            is_event=is_event,
            auroc=interval(0.58, 0.05),
            threshold=450.0,
            text="Two separate groups of patients: 14 lie above 450, none of them with the event.",
        ),
        AcquisitionCheck(
            cohort=cohort,
            name="Recording length (s)",
            values=rng.normal(2.1, 0.01, n).tolist(),
            is_event=is_event,
            auroc=interval(0.51, 0.06),
            text="No separate groups, and no sign that it tells the outcome.",
        ),
    ]


def _pretraining(
    exposure: str, suffix: str, warnings: Sequence[str], cpu_joules: float | None, rng: np.random.Generator
) -> list[PretrainingRun]:
    runs = []
    for encoder, label in (("ssl-labelled", "Labelled cohort"), ("ssl-all", "All recordings" + suffix)):
        runs.append(
            PretrainingRun(
                encoder=encoder,
                label=label,
                exposure="per-fold" if exposure == "disjoint" and encoder == "ssl-labelled" else exposure,  # type: ignore[arg-type]
                n_encoders=15,
                n_patients=117,
                n_segments=340 if encoder == "ssl-labelled" else 9500,
                n_parameters=248_321,
                curves=[_curve(rng) for _ in range(15)],
                score_name="variance explained of hidden samples",
                score=0.71,
                effective_rank=9.4,
                seconds=418.0,
                device="CPU (2 threads)",
                warnings=list(warnings),
                hardware={"cpu": "Xeon" + suffix, "n_cores": 8, "memory_gb": 63.2, "peak_memory_mb": 812.4},
                cpu_joules=cpu_joules,
                reconstructions=[_reconstruction(rng) for _ in range(3)],
            )
        )
    return runs


def _curve(rng: np.random.Generator) -> list[CurvePoint]:
    level = rng.normal(0.3, 0.02)
    return [
        CurvePoint(
            step=step,
            train_loss=None if step == 0 else level - 0.03 + 0.7 * np.exp(-step / 250),
            validation_loss=level + 0.7 * np.exp(-step / 280) + 0.01 * rng.standard_normal(),
        )
        for step in range(0, 1501, 100)
    ]


def _reconstruction(rng: np.random.Generator) -> Reconstruction:
    original = _pulse(200, 100.0, rng)
    is_masked = np.repeat(rng.random(10) < 0.5, 20)
    return Reconstruction(
        cohort="cohort-0",
        channel="ppg_ir",
        fs_hz=100.0,
        original=original.tolist(),
        is_masked=is_masked.tolist(),
        reconstruction=(original * 0.9 + 0.1 * rng.standard_normal(200)).tolist(),
    )


def _validation(
    n: int, n_events: int, with_sensitivity: bool, study: dict[str, Any], notes: Sequence[str]
) -> ValidationSummary:
    validation = Study.model_validate(study).validation
    single = validation.scheme == "single-split"
    return ValidationSummary(
        scheme=validation.scheme,
        n_folds=1 if single else validation.n_folds,
        n_repeats=1 if single else validation.n_repeats,
        n_patients=n,
        n_events=n_events,
        n_test_patients=round(n * validation.test_fraction) if single else n,
        n_bootstrap=validation.n_bootstrap,
        n_bootstrap_skipped=0,
        notes=list(notes),
        sites={"North": n // 2, "South": n - n // 2} if validation.scheme == "leave-one-site-out" else {},
        sensitivity="Patients whose pulse amplitude lies below the gap at 450" if with_sensitivity else None,
        sensitivity_n_patients=n - 14 if with_sensitivity else None,
        sensitivity_n_events=n_events if with_sensitivity else None,
    )


def _study(names: list[str], cohorts: list[str], title: str, exposure: str, changes: dict[str, Any]) -> dict[str, Any]:
    description = {
        "name": "demo-study",
        "title": title,
        "authors": "A. Nurse, B. Physician and C. Statistician",
        "out": "out/demo",
        "cohorts": [
            {"cohort": f"{name}.yaml", "role": "labelled" if number == 0 else "unlabelled"}
            for number, name in enumerate(cohorts)
        ],
        "inputs": {
            "channels": [{"name": "pulse", "any_of": ["ppg_ir", "ppg_red"]}],
            "fs_hz": 100,
            "segment_s": 2.0,
            "step_s": 1.0,
        },
        "outcome": "htn",
        "covariates": ["age", "sex", "bmi"],
        "arms": names,
        "pretraining": {"exposure": exposure},
    }
    return Study.model_validate(description | changes).model_dump(mode="json")


def _provenance(study: dict[str, Any], cohorts: list[str], suffix: str) -> Provenance:
    return Provenance(
        created_utc="2026-03-14T09:26:53+00:00",
        versions={"ppgssl": "0.1.0", "python": "3.11.9", "torch": "2.13.0", "numpy": "2.4.1", "scikit-learn": "1.9.0"},
        platform="Linux-6.1.0-x86_64-with-glibc2.36" + suffix,
        seed=2023,
        inputs=[
            InputFile(name=f"{name}.yaml{suffix}", sha256=f"{number:02x}" * 32) for number, name in enumerate(cohorts)
        ],
        study=study,
        cohorts=[_cohort(name, suffix) for name in cohorts],
        stage_seconds={"ingest": 8.1, "pretrain": 6270.4, "evaluate": 181.0},
        stage_peak_memory_mb={"ingest": 412.0, "pretrain": 1830.0, "evaluate": 940.0},
    )


def _cohort(name: str, suffix: str) -> dict[str, Any]:
    variables = {
        "age": {"kind": "numeric", "label": "Age", "unit": "years", "range": (0, 120)},
        "bmi": {"kind": "numeric", "label": "Body mass index", "unit": "kg/m2", "range": (10, 60)},
        "sex": {"kind": "binary", "label": "Female sex", "levels": {"Male": "Male", "Female": "Female"}},
        "htn": {"kind": "binary", "label": "Hypertension"},
    }
    channels = {"ppg_red": {"column": 0, "unit": "adc"}, "ppg_ir": {"column": 1, "unit": "adc"}}
    description = {
        "name": name,
        "title": name + suffix,
        "signals": {
            "files": "signals/{patient}_{recording}.txt",
            "reader": "delimited",
            "fs_hz": 1000,
            "channels": channels,
        },
        "clinical": {"file": "clinical.csv", "patient_column": "subject_id", "variables": variables},
    }
    return Cohort.model_validate(description).model_dump(mode="json")
