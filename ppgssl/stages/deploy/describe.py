"""The card of a final model: its inputs and training patients, its performance in the study, and its limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ppgssl.classifiers.factory import AnyRiskModel
from ppgssl.classifiers.network import NetworkRiskModel
from ppgssl.core.config.arms import Arm
from ppgssl.core.config.cohort import Cohort, Variable
from ppgssl.core.config.study import Study
from ppgssl.core.errors import ReportError
from ppgssl.core.provenance import file_sha256, system, utc_now, versions
from ppgssl.core.records import BoolArray, FloatArray
from ppgssl.core.results.study import RESULTS_FILE, Results, load_results
from ppgssl.evaluation.operating_points import sensitivity_threshold, youden_threshold
from ppgssl.features.columns import Columns
from ppgssl.features.patient_table import clinical_variables, needs_signals
from ppgssl.features.random_kernels import RandomKernels
from ppgssl.features.signal_summary import SIGNAL_QUANTITIES
from ppgssl.features.spo2_curve import Curve
from ppgssl.models.card import Covariate, ModelCard, ModelColumns, Performance, Seen, Threshold, TypicalSignal
from ppgssl.models.reference import ApplicabilityDomain, Reference, level_reference, numeric_reference
from ppgssl.models.refits import Refits
from ppgssl.selfsupervised.input_description import InputDescription
from ppgssl.stages.deploy.site import known_as
from ppgssl.store.assembly import patient_key
from ppgssl.store.study_data import StudyData

_NO_SIGNALS = "The model takes no signals: it was fitted to patients with at least one accepted segment."


@dataclass(frozen=True)
class FittedArm:
    """An arm fitted to all labelled patients; fields are those of :class:`ppgssl.models.fitted.FittedModel`, and more.

    ``table`` are the training patients as the model sees them (without columns for a network), ``signals`` their
    :func:`ppgssl.features.signal_summary.signal_summary`.
    """

    model: AnyRiskModel
    refits: Refits | None = field(repr=False)
    kernels: RandomKernels | None = field(repr=False)
    table: pd.DataFrame = field(repr=False)
    signals: pd.DataFrame = field(repr=False)
    domain: ApplicabilityDomain | None = field(repr=False)
    precision: FloatArray | None = field(repr=False)
    spo2_curve: Curve | None = None

    @property
    def columns(self) -> Columns:
        return Columns() if isinstance(self.model, NetworkRiskModel) else self.model.columns_


def describe_model(
    arm: Arm,
    data: StudyData,
    description: InputDescription,
    fitted: FittedArm,
    seen: BoolArray,
    check: list[float],
    study_folder: Path,
) -> ModelCard:
    """The card.

    ``seen`` are the segments that the encoder was pretrained on, ``check`` is of
    :func:`ppgssl.models.fitted.check_embedding` (empty without an encoder), and ``study_folder`` may hold results.
    """
    study = data.study
    performance, note = _performance(arm, data, study_folder)
    pretrained = data.segments.table[seen]
    return ModelCard(
        **_names(arm, data),
        **_classifier(fitted),
        **_training_patients(arm, data, fitted),
        n_pretraining_patients=int(pretrained["patient"].nunique()),
        n_pretraining_segments=len(pretrained),
        seen=_seen(data, seen),
        performance=performance,
        performance_note=note,
        input=description,
        check=check,
        spo2_curve=fitted.spo2_curve,
        study=_study_without_paths(study),
        cohort=cohort_without_paths(data.labelled.cohort),
        stores={store.cohort.name: store.fingerprint() for store in data.stores},
        notes=[*fitted.model.notes_, *([] if needs_signals(arm, study) else [_NO_SIGNALS])],
        seed=study.seed,
        created_utc=utc_now(),
        versions=dict(versions()),
        platform=system(),
    )


def _names(arm: Arm, data: StudyData) -> dict[str, Any]:
    outcome = data.clinical.variables[data.study.outcome]
    label = outcome.label or data.study.outcome
    return {
        "name": f"{data.study.name}: {arm.name}",
        "title": f"{arm.label} to predict {label}",
        "arm": arm.name,
        "arm_label": arm.label,
        "learner": arm.learner,
        "outcome": data.study.outcome,
        "outcome_label": label,
        "event_label": outcome.level_names[-1],
    }


def _classifier(fitted: FittedArm) -> dict[str, Any]:
    columns = fitted.columns
    return {
        "columns": ModelColumns(**{name: list(own) for name, own in vars(columns).items()}),
        "classifier": fitted.model.spec(),
        "refits": fitted.refits.spec() if fitted.refits else [],
        "n_refits": len(fitted.refits) if fitted.refits else 0,
        "n_draws": fitted.model.n_draws_,
    }


def _training_patients(arm: Arm, data: StudyData, fitted: FittedArm) -> dict[str, Any]:
    variables = {name: data.clinical.variables[name] for name in clinical_variables(arm, data.study)}
    signals = fitted.signals
    return {
        "n_patients": len(data.y),
        "n_events": int(data.y.sum()),
        "covariates": [_covariate(name, variable, fitted.table[name]) for name, variable in variables.items()],
        "thresholds": _thresholds(data, fitted.model.oof_),
        "typical_signal": TypicalSignal(
            n_accepted=float(signals["n_accepted"].quantile(0.05)),
            proportion_accepted=float(signals["proportion_accepted"].fillna(0).quantile(0.05)),
        ),
        "references": [
            *(_clinical_reference(name, variable, fitted.table[name]) for name, variable in variables.items()),
            *(
                numeric_reference(f"signal_{name}", label, "signal", _numbers(signals[name]), unit=unit)
                for name, (label, unit) in SIGNAL_QUANTITIES.items()
            ),
            *(
                numeric_reference(name, f"Feature {name}", "feature", _numbers(fitted.table[name]))
                for name in fitted.columns.features
            ),
            numeric_reference("risk", "Predicted risk", "risk", fitted.model.oof_),
        ],
        "applicability_domain": fitted.domain,
    }


def _numbers(values: pd.Series) -> FloatArray:
    return values.to_numpy(dtype=float)


def _covariate(name: str, variable: Variable, values: pd.Series) -> Covariate:
    known = values.dropna()
    has_range = variable.kind == "numeric" and len(known)
    return Covariate(
        name=name,
        label=variable.label or name,
        kind=variable.kind,
        unit=variable.unit,
        levels=variable.level_names,
        plausible=variable.used_range,
        typical=tuple(np.quantile(known.astype(float), [0.01, 0.99]).tolist()) if has_range else None,
        proportion_missing=float(values.isna().mean()),
    )


def _clinical_reference(name: str, variable: Variable, values: pd.Series) -> Reference:
    label, names = variable.label or name, variable.level_names
    if variable.kind == "numeric":
        return numeric_reference(name, label, "covariate", _numbers(values), unit=variable.unit)
    levels: dict[object, str] = {float(n) if variable.kind == "binary" else one: one for n, one in enumerate(names)}
    return level_reference(name, label, levels, values)


def _thresholds(data: StudyData, oof: FloatArray) -> list[Threshold]:
    """Chosen on the out-of-fold predictions of training patients."""
    is_known = np.isfinite(oof)
    y, risk, decisions = data.y.to_numpy()[is_known] == 1, oof[is_known], data.study.decisions
    sensitivity = decisions.sensitivity
    label = f"sensitivity of {100 * sensitivity:g} % in training"
    chosen = [
        ("youden", "Youden index", youden_threshold(y, risk)),
        ("sensitivity", label, sensitivity_threshold(y, risk, sensitivity)),
        *(("given", f"risk of {100 * one:g} % or more", one) for one in sorted(set(decisions.risks))),
    ]
    return [
        Threshold(
            rule=rule,
            label=label,
            threshold=threshold,
            sensitivity=float((risk[y] >= threshold).mean()),
            specificity=float((risk[~y] < threshold).mean()),
        )
        for rule, label, threshold in chosen
    ]


def _seen(data: StudyData, seen: BoolArray) -> Seen:
    """Hashes of the labelled patients and of those whose segments the encoder was pretrained on."""
    keys = {*data.y.index, *data.segments.table.loc[seen, "patient"]}
    patients: set[str] = set()
    signals: set[str] = set()
    for store in data.stores:
        recordings = store.recordings(["patient_id", "signal_sha256"])
        is_seen = [patient_key(store.cohort.name, name) in keys for name in recordings["patient_id"]]
        signals |= set(recordings.loc[is_seen, "signal_sha256"])
        patients |= {one for name in recordings.loc[is_seen, "patient_id"] for one in known_as(store, name)}
    return Seen(patients_sha256=sorted(patients), signals_sha256=sorted(signals - {""}))


def _study_without_paths(study: Study) -> dict[str, Any]:
    """A description that names no place on the machine it was written on."""
    cohorts = [
        {"cohort": None, "store": f"stores/{number}", "role": entry.role} for number, entry in enumerate(study.cohorts)
    ]
    return {**study.model_dump(mode="json"), "out": ".", "cohorts": cohorts}


def cohort_without_paths(cohort: Cohort) -> dict[str, Any]:
    return {**cohort.model_dump(mode="json"), "root": ".", "privacy": None}


# --- the study's results ---------------------------------------------------------------------------------------


def _performance(arm: Arm, data: StudyData, study_folder: Path) -> tuple[Performance | None, str]:
    """What the study's results report of this arm; none, and why, where they do not."""
    path = study_folder / RESULTS_FILE
    if not path.is_file():
        return None, "The study was not evaluated: run `ppgssl evaluate STUDY.yaml`, then fit again."
    try:
        results = load_results(path)
    except ReportError as error:
        return None, f"The study's results cannot be read: {error}"
    evaluated = next((one for one in results.arms if one.name == arm.name), None)
    if evaluated is None:
        return None, f"The study did not compare the arm {arm.name!r}: add it to `arms` and evaluate, then fit again."
    if not _are_of(results, data):
        return None, "The study's results are of other data or settings: evaluate it again, then fit again."
    calibration, validation = evaluated.calibration, results.validation
    schemes = {
        "repeated-kfold": f"{validation.n_folds}-fold cross-validation, repeated {validation.n_repeats} times",
        "single-split": "one split of the patients",
        "leave-one-site-out": "each site left out in turn",
    }
    performance = Performance(
        scheme=schemes.get(validation.scheme, validation.scheme),
        n_patients=validation.n_patients,
        n_events=validation.n_events,
        auroc=evaluated.auroc,
        auprc=evaluated.auprc,
        brier=evaluated.brier,
        calibration_intercept=calibration.intercept if calibration else None,
        calibration_slope=calibration.slope if calibration else None,
        created_utc=results.provenance.created_utc,
        results_sha256=file_sha256(path),
    )
    return performance, ""


def _are_of(results: Results, data: StudyData) -> bool:
    """Whether results are of these stores, inputs and covariates, and of this way to pretrain."""
    inputs = {item.name: item.sha256 for item in results.provenance.inputs}
    study = data.study.model_dump(mode="json")
    keys = ("inputs", "outcome", "covariates", "pretraining", "missing", "heart_rate", "spo2")
    return all(inputs.get(f"store {store.cohort.name}") == store.fingerprint() for store in data.stores) and all(
        results.provenance.study.get(key) == study[key] for key in keys
    )
