"""``results.json`` of an external validation: the report's content for a frozen model and its recalibrations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from ppgssl.classifiers.imputation import missing_data
from ppgssl.core.config.arms import parse_arm
from ppgssl.core.config.study import Decisions
from ppgssl.core.provenance import Stopwatch, peak_memory_mb, system, utc_now, versions
from ppgssl.core.reasons import FindingKind, Reason
from ppgssl.core.records import BoolArray, FloatArray, IntArray
from ppgssl.core.results.data import CohortFlow, Finding, LeakageCheck, finding
from ppgssl.core.results.performance import ArmResult, OperatingPoint, ValidationSummary
from ppgssl.core.results.robustness import ShiftMeasure
from ppgssl.core.results.study import InputFile, Provenance, Results
from ppgssl.core.seeds import derive_seed
from ppgssl.core.text import listed
from ppgssl.evaluation.operating_points import assess_operating_points
from ppgssl.evaluation.performance import Performance, estimate_performance
from ppgssl.evaluation.predictions import AlignedPredictions
from ppgssl.evaluation.recalibration import LABELS, METHODS, Recalibration
from ppgssl.evaluation.subgroups import subgroups
from ppgssl.evaluation.table_one import table_one
from ppgssl.features.patient_table import clinical_variables
from ppgssl.models.card import ModelCard
from ppgssl.models.fitted import FittedModel
from ppgssl.stages.deploy.describe import cohort_without_paths
from ppgssl.stages.deploy.risks import PatientRisks
from ppgssl.stages.deploy.shift import shift_findings
from ppgssl.stages.deploy.site import site_dictionary
from ppgssl.stages.evaluate.acquisition import acquisition_checks
from ppgssl.stages.evaluate.examples import channel_quality, example_waveforms
from ppgssl.stages.evaluate.flow import cohort_flow, exclusions, findings
from ppgssl.store.study_data import StudyData

FROZEN = "frozen"
# Thresholds of 0 and 1 are at the ends of what a study may give.
_NEAREST = 1e-9


@dataclass(frozen=True)
class SitePatients:
    """The patients of another cohort.

    Attributes
    ----------
    data : StudyData
        Those analysed.
    before : StudyData
        These, and those left out because the model has ``seen`` them or nothing is known of them (``unknown``).
    everybody : PatientRisks
    rows : int array
        Of those analysed, in ``everybody``.
    """

    data: StudyData = field(repr=False)
    before: StudyData = field(repr=False)
    everybody: PatientRisks = field(repr=False)
    rows: IntArray = field(repr=False)
    seen: list[str]
    unknown: list[str]

    @property
    def is_event(self) -> BoolArray:
        return self.data.y.to_numpy() == 1

    @property
    def risk(self) -> FloatArray:
        return self.everybody.risks[0, self.rows]


@dataclass(frozen=True)
class RecalibratedRisks:
    """Predictions by the frozen model and by its recalibrations; recalibrations of all patients; why others lack."""

    predictions: pd.DataFrame = field(repr=False)
    fitted: list[Recalibration]
    notes: list[str]


def validation_seed(card: ModelCard) -> int:
    return derive_seed(card.seed, "external validation")


def validation_results(
    model: FittedModel,
    patients: SitePatients,
    recalibrated: RecalibratedRisks,
    shift: list[ShiftMeasure],
    site_notes: Sequence[str],
    watch: Stopwatch,
) -> Results:
    """All that the report shows; ``site_notes`` name what could not be as it was for the training patients."""
    card, data = model.card, patients.data
    study, store, table = data.study, data.labelled, data.clinical
    settings: dict[str, Any] = {"n_resamples": study.validation.n_bootstrap, "seed": validation_seed(card)}
    predictions = recalibrated.predictions
    performance = estimate_performance(
        predictions,
        list(dict.fromkeys(predictions["arm"])),
        study.decisions,
        operating_points=lambda aligned: _operating_points(card, aligned, predictions.iloc[:0]),
        ranked=[FROZEN],  # recalibration keeps the order of patients
        **settings,
    )
    known = list(study.covariates)
    outcome = table.variables[card.outcome]
    frozen = predictions[predictions["arm"] == FROZEN]
    return Results(
        name=f"{card.study['name']}-on-{store.cohort.name}",
        title=f"{study.title}, on {store.cohort.title or store.cohort.name}",
        description=(
            f"The model {card.name} (fingerprint {model.fingerprint[:16]}), fitted to {card.n_patients} patients, "
            f"{card.n_events} of them with the event, was used as it is on patients it has not seen."
        ),
        outcome=card.outcome,
        outcome_label=outcome.label or card.outcome,
        event_label=outcome.level_names[-1],
        covariate_labels=[table.variables[name].label or name for name in known],
        flow=[_flow(patients)],
        findings=[*_findings(model, patients, shift, site_notes), *findings(patients.before, store)],
        table_one=table_one(data.covariates, data.y, table, known),
        quality=channel_quality(data, store),
        examples=example_waveforms(data, store),
        acquisition=acquisition_checks(data),
        pretraining=[],
        validation=_validation(patients, recalibrated, performance, settings["n_resamples"]),
        leakage=_leakage(patients),
        arms=_arms(card, performance),
        decision_references=performance.decisions.references,
        missing=missing_data(data.covariates[known], data.y, table.variables, study.missing) if known else None,
        subgroups=subgroups(frozen, [FROZEN], data.covariates, table, study.subgroups, **settings),
        shift=shift,
        provenance=_provenance(model, data, watch),
    )


def _flow(patients: SitePatients) -> CohortFlow:
    flow = cohort_flow(patients.before, patients.data.labelled)
    left_out = exclusions({Reason.SEEN_BY_MODEL: patients.seen, Reason.NOTHING_KNOWN: patients.unknown})
    return flow.model_copy(
        update={
            "n_patients_analysed": len(patients.data.y),
            "n_events": int(patients.data.y.sum()),
            "exclusions": [*flow.exclusions, *left_out],
        }
    )


def _findings(
    model: FittedModel, patients: SitePatients, shift: Sequence[ShiftMeasure], site_notes: Sequence[str]
) -> list[Finding]:
    cohort = patients.data.labelled.cohort
    cautions: list[tuple[FindingKind, str]] = []
    if patients.seen:
        text = f"{len(patients.seen)} patients, by their id or a recording ({listed(patients.seen)}). Left out."
        cautions.append((FindingKind.MODEL_SAW_PATIENTS, text))
    needed = clinical_variables(parse_arm(model.card.arm), model.card.study_model())
    absent = site_dictionary(cohort.clinical, model.card, needed)
    if absent:
        text = f"{', '.join(absent)}: taken as missing of everybody, and replaced by what is typical in training."
        cautions.append((FindingKind.MODEL_LACKS_VALUES, text))
    cautions += [(FindingKind.MODEL_OTHER_SIGNALS, note) for note in site_notes]
    cautions += [(FindingKind.MODEL_OTHER_SOFTWARE, text) for text in model.warnings]
    cautions += shift_findings(model, shift, patients.everybody, patients.rows)
    return [finding(cohort.name, kind, text) for kind, text in cautions]


def _validation(
    patients: SitePatients, recalibrated: RecalibratedRisks, performance: Performance, n_resamples: int
) -> ValidationSummary:
    notes = [
        "The model was frozen before these patients were seen. Each patient's recalibrated risk is by a recalibration "
        "fitted to the other patients, so it shows what recalibration is worth on the next patients; discrimination is "
        "the same by construction.",
        *(f"Offered, not applied: {one.text}." for one in recalibrated.fitted),
        *recalibrated.notes,
    ]
    return ValidationSummary(
        scheme="external",
        n_folds=1,
        n_repeats=1,
        n_patients=len(patients.data.y),
        n_events=int(patients.data.y.sum()),
        n_test_patients=performance.discrimination.n_patients,
        n_bootstrap=n_resamples,
        n_bootstrap_skipped=performance.discrimination.n_skipped,
        notes=notes,
    )


def _leakage(patients: SitePatients) -> list[LeakageCheck]:
    text = f"{len(patients.seen)} patients whom the model had seen were left out." if patients.seen else ""
    return [
        LeakageCheck(what=what, n_checked=len(patients.data.y), n_shared=0, text=text)
        for what in ("Patients of the model", "Recordings of the model")
    ]


def _arms(card: ModelCard, performance: Performance) -> list[ArmResult]:
    labels = {FROZEN: "Frozen model"} | {f"recalibrated-{method}": LABELS[method].capitalize() for method in METHODS}
    return [
        performance.arm_result(
            name,
            parse_arm(card.arm),
            ranked_as=FROZEN,
            label=f"{labels[name]}: {card.arm_label}",
            is_transductive=False,
            n_features=len(card.columns.as_columns().names),
            seconds=0.0,
        )
        for name in performance.aligned.arms
    ]


def _operating_points(
    card: ModelCard, aligned: AlignedPredictions, nobody: pd.DataFrame
) -> dict[str, list[OperatingPoint]]:
    """At the model's own thresholds, in its order; of recalibrated risks, only at those that the study gave."""
    points: dict[str, list[OperatingPoint]] = {arm: [] for arm in aligned.arms}
    for one in card.thresholds:
        given = Decisions(risks=[min(max(one.threshold, _NEAREST), 1 - _NEAREST)])
        by_arm = assess_operating_points(aligned, nobody, given)
        for arm in aligned.arms if one.rule == "given" else [FROZEN]:
            points[arm].append(by_arm[arm][0].model_copy(update={"rule": one.rule, "label": one.label}))
    return points


def _provenance(model: FittedModel, data: StudyData, watch: Stopwatch) -> Provenance:
    store = data.labelled
    return Provenance(
        created_utc=utc_now(),
        versions=versions(),
        platform=system(),
        seed=model.card.seed,
        inputs=[
            InputFile(name=f"model {model.card.name}", sha256=model.fingerprint),
            InputFile(name=f"store {store.cohort.name}", sha256=store.fingerprint()),
        ],
        study=data.study.model_dump(mode="json"),
        cohorts=[cohort_without_paths(store.cohort)],
        stage_seconds={"external validation": round(watch.seconds(), 2)},
        stage_peak_memory_mb={"external validation": round(peak_memory_mb(), 1)},
    )
