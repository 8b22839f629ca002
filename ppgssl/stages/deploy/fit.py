"""One model to take away: the encoder of all recordings, and an arm fitted to all labelled patients.

Nobody is left to test it on. What it may be expected to do is what cross-validation of the same recipe found, in which
each part of the patients was predicted by a model made in the same way from the others: it is taken from the study's
``results.json``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from ppgssl.classifiers.regression import RegressionFit
from ppgssl.core.config.arms import Arm, parse_arm
from ppgssl.core.config.cohort import Variable
from ppgssl.core.errors import ConfigError, EvaluationError, ReportError
from ppgssl.core.parallel import Progress, Workers, silent, workers
from ppgssl.core.provenance import file_sha256, made_of, system, utc_now, versions
from ppgssl.core.records import BoolArray, FloatArray, IntArray
from ppgssl.core.results.study import RESULTS_FILE, Results, load_results
from ppgssl.core.seeds import derive_seed
from ppgssl.evaluation.operating_points import sensitivity_threshold, youden_threshold
from ppgssl.evaluation.refits import drawable_counts
from ppgssl.features.columns import Columns
from ppgssl.features.patient_table import clinical_variables, needs_signals, signal_vitals
from ppgssl.features.signal_summary import SIGNAL_QUANTITIES, signal_summary
from ppgssl.models.card import Covariate, ModelCard, ModelColumns, Performance, Seen, Threshold, Usual
from ppgssl.models.card_text import card_text
from ppgssl.models.classifier import Classifier, Level
from ppgssl.models.folder import FittedModel, check_embedding, load_model, save_model
from ppgssl.models.kinds import KINDS, check_freezable
from ppgssl.models.linear import LinearModel, freeze, joined, refreeze
from ppgssl.models.posterior import PosteriorModel, freeze_posterior
from ppgssl.models.reference import Neighbourhood, Reference, learn_distance, level_reference, numeric_reference
from ppgssl.selfsupervised.encoder_io import load_encoder, save_encoder
from ppgssl.selfsupervised.encoders import make_encoder
from ppgssl.selfsupervised.input_description import InputDescription, describe_study_input, save_input_description
from ppgssl.selfsupervised.study_encoders import (
    EncoderJob,
    encoder_fingerprint,
    exposure_of,
    initial_seed,
    job_for,
    seen_segments,
    study_bank,
)
from ppgssl.stages.deploy.model_inputs import arm_table, known_as, without_paths
from ppgssl.stages.pretrain import train_encoders
from ppgssl.store.assembly import patient_key
from ppgssl.store.linked_patients import linked_patients
from ppgssl.store.splits import Fold
from ppgssl.store.study_data import StudyData

N_REFITS = 200
_MIN_OF_CLASS = 5
# Of one task: fewer are not worth a process.
_TASK_REFITS = 25


@dataclass(frozen=True)
class _Fitted:
    """What fitting an arm to all labelled patients gives."""

    classifier: Classifier
    fit: RegressionFit = field(repr=False)
    table: pd.DataFrame = field(repr=False)
    signals: pd.DataFrame = field(repr=False)


def fit_model(
    data: StudyData,
    arm_name: str,
    study_folder: Path,
    out: Path,
    *,
    n_refits: int = N_REFITS,
    n_jobs: int = -1,
    scheduler: str | None = None,
    progress: Progress = silent,
) -> FittedModel:
    """Fit an arm of a study to all of its labelled patients, and write the model into a folder.

    The encoder is pretrained on all recordings that the study's ``pretraining.exposure`` lets one see where nobody is
    tested: all cohorts, or the unlabelled ones alone where it is ``disjoint``. It is kept beside those of the study,
    so that an interrupted fit goes on, and a second model has it at once.

    Parameters
    ----------
    data : StudyData
    arm_name : str
        Of a regression arm, such as ``covariates+ssl-all``; it need not be among those that the study compares.
    study_folder : Path
        The study's outputs: encoders, and ``results.json`` with the performance.
    out : Path
        Folder of the model.
    n_refits : int
        Refits to bootstrap samples of the patients, of which intervals are made. A horseshoe model needs none: its
        intervals are made of the draws from its posterior.
    n_jobs : int
        Processes that refit; -1 is one a core.
    scheduler : str, optional
        Address of a Dask scheduler (``tcp://host:port``) whose workers refit; one of them pretrains the encoder. They
        must see ``study_folder`` and the stores under the same path.
    progress : Progress

    Returns
    -------
    FittedModel
        As it is read from the folder.

    Raises
    ------
    ConfigError
        If there is no such arm, or it cannot be written as plain numbers.
    StoreError
        If the folder holds other things than a model.
    EvaluationError
        If there are too few patients to fit anything.
    """
    arm = _checked_arm(arm_name, data)
    parts = _FinalEncoder(data, arm, study_folder, scheduler, progress)
    with TemporaryDirectory() as scratch:
        encoder_folder = parts.write(Path(scratch) / "encoder")
        network = load_encoder(encoder_folder) if encoder_folder else None
        signals = signal_summary(data)
        table = arm_table(arm, data.study, data.clinical.variables, parts.described, network).transform(data)
        assert isinstance(table, pd.DataFrame)
        with workers(n_jobs, scheduler=scheduler, folder=study_folder) as pool:
            classifier, fit = _fit(arm, data, table, n_refits, pool, progress)
        fitted = _Fitted(classifier, fit, table, signals)
        neighbourhood, precision = _neighbourhood(fitted)
        card = _card(arm, data, parts, fitted, neighbourhood, study_folder)
        if network is not None:
            card = card.model_copy(update={"check": check_embedding(network, card)})
        save_model(out, card, card_text(card), classifier, precision=precision, encoder=encoder_folder)
    return load_model(out)


def _checked_arm(name: str, data: StudyData) -> Arm:
    try:
        arm = parse_arm(name)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    check_freezable(arm)
    if arm.clinical == "covariates" and not data.study.covariates:
        raise ConfigError(f"arm {name!r} takes covariates, and the study has none: list some under `covariates`")
    if exposure_of(arm.encoder or "", data.study) == "disjoint" and len(data.stores) == 1:
        raise ConfigError(f"arm {name!r}: pretraining on disjoint cohorts needs a cohort of role `unlabelled`")
    n_events = int(data.y.sum())
    if min(n_events, len(data.y) - n_events) < _MIN_OF_CLASS:
        raise EvaluationError(
            f"{n_events} of {len(data.y)} patients have the event: a model to take away needs at least "
            f"{_MIN_OF_CLASS} patients with it and {_MIN_OF_CLASS} without"
        )
    return arm


# --- the encoder -----------------------------------------------------------------------------------------------


class _FinalEncoder:
    """The encoder of an arm, made of all recordings, and what its input is like."""

    def __init__(
        self, data: StudyData, arm: Arm, study_folder: Path, scheduler: str | None, progress: Progress
    ) -> None:
        self.data, self.arm = data, arm
        self.job = _job(arm, data, study_folder) if arm.is_ssl else None
        if self.job and made_of(self.job.folder) != encoder_fingerprint(self.job, data):
            folder = study_folder / "encoders"
            train_encoders([(self.job, data.study)], data, folder, n_jobs=1, scheduler=scheduler, progress=progress)
        everybody = np.ones(len(data.segments.table), dtype=bool)
        self.described: InputDescription = describe_study_input(data, study_bank(data, everybody))

    @property
    def seen(self) -> BoolArray:
        """Segments that it has seen."""
        return seen_segments(self.job, self.data) if self.job else np.zeros(len(self.data.segments.table), dtype=bool)

    def write(self, folder: Path) -> Path | None:
        """A copy that says what this model's input is; None for an arm without an encoder."""
        if self.arm.encoder is None:
            return None
        if self.job:
            network, made = load_encoder(self.job.folder), "SSL on all recordings"
        else:
            inputs, options = self.data.study.inputs, self.data.study.pretraining
            seed = initial_seed(self.data, None)
            network, made = make_encoder(len(inputs.channels), options.encoder, seed=seed), "first weights"
        save_encoder(
            folder, network, {"made": made, "pretraining": self.data.study.pretraining.model_dump(mode="json")}
        )
        save_input_description(folder, self.described)
        return folder


def _job(arm: Arm, data: StudyData, study_folder: Path) -> EncoderJob:
    """The study's own encoder where one serves all folds; else one that leaves nobody out."""
    assert arm.encoder is not None
    everybody = Fold(0, 0, train=tuple(data.y.index), test=())
    if exposure_of(arm.encoder, data.study) != "per-fold":
        return job_for(arm.encoder, everybody, data.study, study_folder)
    folder = study_folder / "encoders" / arm.encoder / "final"
    return EncoderJob(arm.encoder, None, folder, is_transductive=True)


# --- the classifier --------------------------------------------------------------------------------------------


def _fit(
    arm: Arm, data: StudyData, table: pd.DataFrame, n_refits: int, pool: Workers, progress: Progress
) -> tuple[Classifier, RegressionFit]:
    """The model of all labelled patients with its refits or draws, and the fit to them."""
    columns = _columns(data, arm, table)
    levels = {name: _levels(table[name]) for name in columns.categorical}
    settings: dict[str, Any] = {
        "columns": columns,
        "levels": levels,
        "learner": arm.learner,
        "seed": derive_seed(data.study.seed, "inner folds", "all"),
    }
    if KINDS[arm.learner] is PosteriorModel:
        return freeze_posterior(table, data.y, **settings)
    settings["is_late_fusion"] = arm.is_late_fusion
    whole, fit = freeze(table, data.y, **settings)
    label = "refits to bootstrap samples"
    samples = _samples(data, n_refits)
    tasks = [samples[first : first + _TASK_REFITS] for first in range(0, len(samples), _TASK_REFITS)]
    refits = pool.run(_refrozen, tasks, table, data.y, settings, progress=progress, label=label)
    return joined([whole, *chain.from_iterable(refits)]), fit


def _refrozen(
    samples: Sequence[IntArray], table: pd.DataFrame, y: pd.Series, settings: dict[str, Any]
) -> list[LinearModel]:
    return [refreeze(table.iloc[rows], y.iloc[rows], **settings) for rows in samples]


def _columns(data: StudyData, arm: Arm, table: pd.DataFrame) -> Columns:
    """Columns with a value; clinical ones by their kind, all others numbers from signals."""
    clinical = [*clinical_variables(arm, data.study), *signal_vitals(arm, data.study)]
    kinds = {name: variable.kind for name, variable in data.clinical.variables.items()}
    known = [name for name in table.columns if table[name].notna().any()]
    numeric = tuple(name for name in known if name in clinical and kinds.get(name, "numeric") == "numeric")
    return Columns(
        numeric=numeric,
        categorical=tuple(name for name in known if name in clinical and name not in numeric),
        features=tuple(name for name in known if name not in clinical),
    )


def _levels(values: pd.Series) -> tuple[Level, ...]:
    return tuple(sorted(values.dropna().unique().tolist(), key=str))


def _samples(data: StudyData, n_refits: int) -> Sequence[np.ndarray]:
    """Rows of each bootstrap sample; patients who share a recording are drawn together."""
    if not n_refits:
        return []
    linked = linked_patients(data.shared_signals)
    counts = drawable_counts(
        data.y.to_numpy() == 1,
        n_refits,
        groups=[linked.get(name, name) for name in data.y.index],
        seed=derive_seed(data.study.seed, "refits of the model"),
    )
    return [np.repeat(np.arange(len(data.y)), of_sample.astype(int)) for of_sample in counts]


def _neighbourhood(fitted: _Fitted) -> tuple[Neighbourhood | None, FloatArray | None]:
    features = fitted.classifier.columns.features
    if not features:
        return None, None
    neighbourhood, precision, _ = learn_distance(fitted.table[list(features)].to_numpy(dtype=float))
    return neighbourhood, precision


# --- what is known of it ---------------------------------------------------------------------------------------


def _card(
    arm: Arm,
    data: StudyData,
    parts: _FinalEncoder,
    fitted: _Fitted,
    neighbourhood: Neighbourhood | None,
    study_folder: Path,
) -> ModelCard:
    study, columns = data.study, fitted.classifier.columns
    outcome = data.clinical.variables[study.outcome]
    described, cohort = without_paths(study, data.labelled.cohort)
    performance, note = _performance(arm, data, study_folder)
    pretrained = data.segments.table[parts.seen]
    return ModelCard(
        name=f"{study.name}: {arm.name}",
        title=f"{arm.label} to predict {outcome.label or study.outcome}",
        arm=arm.name,
        arm_label=arm.label,
        learner=arm.learner,
        outcome=study.outcome,
        outcome_label=outcome.label or study.outcome,
        event_label=outcome.level_names[-1],
        n_patients=len(data.y),
        n_events=int(data.y.sum()),
        n_pretraining_patients=int(pretrained["patient"].nunique()),
        n_pretraining_segments=len(pretrained),
        columns=ModelColumns(
            numeric=list(columns.numeric),
            categorical=list(columns.categorical),
            features=list(columns.features),
            levels={name: list(levels) for name, levels in fitted.classifier.levels.items()},
        ),
        covariates=[
            _covariate(name, data.clinical.variables[name], fitted.table[name])
            for name in clinical_variables(arm, study)
        ],
        n_refits=fitted.classifier.n_refits,
        n_draws=fitted.classifier.n_draws,
        thresholds=_thresholds(data, fitted.fit),
        performance=performance,
        performance_note=note,
        input=parts.described,
        usual=_usual(fitted.signals),
        references=_references(arm, data, fitted),
        neighbourhood=neighbourhood,
        seen=_seen(data, parts),
        study=described,
        cohort=cohort,
        stores={store.cohort.name: store.fingerprint() for store in data.stores},
        notes=_notes(arm, data, fitted),
        seed=study.seed,
        created_utc=utc_now(),
        versions=dict(versions()),
        platform=system(),
    )


def _covariate(name: str, variable: Variable, values: pd.Series) -> Covariate:
    known = values.dropna()
    is_number = variable.kind == "numeric" and len(known) > 0
    usual = np.quantile(known.astype(float), [0.01, 0.99]).tolist() if is_number else None
    return Covariate(
        name=name,
        label=variable.label or name,
        kind=variable.kind,
        unit=variable.unit,
        levels=variable.level_names,
        plausible=variable.used_range,
        usual=(usual[0], usual[1]) if usual else None,
        share_missing=float(values.isna().mean()),
    )


def _thresholds(data: StudyData, fit: RegressionFit) -> list[Threshold]:
    """Chosen on training patients, by the risks of models that were not fitted to them."""
    y, risk, decisions = data.y.to_numpy() == 1, fit.training_score, data.study.decisions
    chosen = [
        ("youden", "Youden index", youden_threshold(y, risk)),
        (
            "sensitivity",
            f"sensitivity of {100 * decisions.sensitivity:g} % in training",
            sensitivity_threshold(y, risk, decisions.sensitivity),
        ),
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


def _usual(signals: pd.DataFrame) -> Usual:
    return Usual(
        n_segments=float(signals["n_accepted"].quantile(0.05)), share=float(signals["share"].fillna(0).quantile(0.05))
    )


def _references(arm: Arm, data: StudyData, fitted: _Fitted) -> list[Reference]:
    found = []
    for name in clinical_variables(arm, data.study):
        variable, values = data.clinical.variables[name], fitted.table[name]
        label = variable.label or name
        if variable.kind == "numeric":
            found.append(numeric_reference(name, label, "covariate", values.to_numpy(dtype=float), unit=variable.unit))
        else:
            found.append(level_reference(name, label, level_names(variable), values))
    for name, (label, unit) in SIGNAL_QUANTITIES.items():
        numbers = fitted.signals[name].to_numpy(dtype=float)
        found.append(numeric_reference(f"signal_{name}", label, "signal", numbers, unit=unit))
    for name in fitted.classifier.columns.features:
        numbers = fitted.table[name].to_numpy(dtype=float)
        found.append(numeric_reference(name, f"Feature {name}", "feature", numbers))
    found.append(numeric_reference("risk", "Predicted risk", "risk", fitted.fit.training_score))
    return found


def level_names(variable: Variable) -> Mapping[object, str]:
    """Value in a table of patients -> name of the level."""
    if variable.kind == "binary":
        return {float(number): name for number, name in enumerate(variable.level_names)}
    return {name: name for name in variable.level_names}


def _seen(data: StudyData, parts: _FinalEncoder) -> Seen:
    seen = {*data.y.index, *data.segments.table.loc[parts.seen, "patient"]}
    patients: set[str] = set()
    signals: set[str] = set()
    for store in data.stores:
        recordings = store.recordings(["patient_id", "signal_sha256"])
        is_seen = [patient_key(store.cohort.name, name) in seen for name in recordings["patient_id"]]
        signals |= set(recordings.loc[is_seen, "signal_sha256"])
        patients |= {one for name in recordings.loc[is_seen, "patient_id"] for one in known_as(store, name)}
    return Seen(patients_sha256=sorted(patients), signals_sha256=sorted(signals - {""}))


def _notes(arm: Arm, data: StudyData, fitted: _Fitted) -> list[str]:
    notes = list(fitted.fit.notes)
    if data.study.missing.method == "mice" and clinical_variables(arm, data.study):
        notes.append(
            "The study filled in missing covariates by chained equations, which draw values of training patients. A "
            "model to take away holds no patients: here they become the median or the most frequent level of the "
            "training patients, and the performance told is that of the other way."
        )
    if not needs_signals(arm, data.study):
        notes.append("The model takes no signals: it was fitted to patients with at least one accepted segment.")
    return notes


def _performance(arm: Arm, data: StudyData, study_folder: Path) -> tuple[Performance | None, str]:
    """What the study's results tell of this arm; none, and why, where they do not."""
    path = study_folder / RESULTS_FILE
    if not path.is_file():
        return None, "The study was not evaluated: run `ppgssl evaluate STUDY.yaml`, then fit again."
    try:
        results = load_results(path)
    except ReportError as error:
        return None, f"The study's results cannot be read: {error}"
    judged = next((one for one in results.arms if one.name == arm.name), None)
    if judged is None:
        return None, f"The study did not compare the arm {arm.name!r}: add it to `arms` and evaluate, then fit again."
    if not _is_of(results, data):
        return None, "The study's results are of other data or settings: evaluate it again, then fit again."
    calibration = judged.calibration
    return (
        Performance(
            scheme=_scheme(results),
            n_patients=results.validation.n_patients,
            n_events=results.validation.n_events,
            auroc=judged.auroc,
            auprc=judged.auprc,
            brier=judged.brier,
            calibration_intercept=calibration.intercept if calibration else None,
            calibration_slope=calibration.slope if calibration else None,
            created_utc=results.provenance.created_utc,
            results_sha256=file_sha256(path),
        ),
        "",
    )


def _is_of(results: Results, data: StudyData) -> bool:
    """Whether results are of these stores, inputs and covariates, and of this way to pretrain."""
    stores = {f"store {store.cohort.name}": store.fingerprint() for store in data.stores}
    told = {item.name: item.sha256 for item in results.provenance.inputs}
    now = data.study.model_dump(mode="json")
    keys = ("inputs", "outcome", "covariates", "pretraining", "missing", "heart_rate", "spo2")
    return all(told.get(name) == sha256 for name, sha256 in stores.items()) and all(
        results.provenance.study.get(key) == now[key] for key in keys
    )


def _scheme(results: Results) -> str:
    validation = results.validation
    return {
        "repeated-kfold": f"{validation.n_folds}-fold cross-validation, repeated {validation.n_repeats} times",
        "single-split": "one split of the patients",
        "leave-one-site-out": "each site left out in turn",
    }.get(validation.scheme, validation.scheme)
