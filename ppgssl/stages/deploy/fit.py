"""The final model: the encoder of all recordings, and an arm fitted to all labelled patients.

Nobody is left to test it on. Its expected performance is that of the same recipe in cross-validation, in which each
part of the patients was predicted by a model made in the same way from the others: it is taken from the study's
``results.json``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from ppgssl.classifiers.factory import make_risk_model
from ppgssl.classifiers.network import NetworkRiskModel
from ppgssl.classifiers.risk_model import RiskModel
from ppgssl.core.config.arms import Arm, parse_arm
from ppgssl.core.errors import ConfigError, EvaluationError
from ppgssl.core.parallel import Progress, Workers, silent, workers
from ppgssl.core.provenance import made_of
from ppgssl.core.records import IntArray
from ppgssl.core.seeds import derive_seed
from ppgssl.evaluation.refits import drawable_counts
from ppgssl.features.fold_features import check_feature_packages, fitted_kernels
from ppgssl.features.patient_table import GivenFeatures, PatientFeatures, needs_spo2_curve
from ppgssl.features.recordings import RECORDING_FEATURES, recording_features
from ppgssl.features.signal_summary import signal_summary
from ppgssl.features.spo2_curve import fitted_spo2_curve
from ppgssl.models.card_text import card_text
from ppgssl.models.fitted import FittedModel, check_embedding, final_arm_table
from ppgssl.models.folder import load_model, save_model
from ppgssl.models.reference import fit_domain
from ppgssl.models.refits import N_REFITS, fit_refits
from ppgssl.selfsupervised.encoder_io import load_encoder, save_encoder
from ppgssl.selfsupervised.encoders import make_encoder
from ppgssl.selfsupervised.encoders.base import EncoderNetwork
from ppgssl.selfsupervised.input_description import (
    InputDescription,
    describe_study_input,
    save_input_description,
    segment_bank,
)
from ppgssl.selfsupervised.study_encoders import (
    EncoderJob,
    encoder_fingerprint,
    exposure_of,
    initial_seed,
    job_for,
    seen_segments,
)
from ppgssl.stages.deploy.describe import FittedArm, describe_model
from ppgssl.stages.pretrain import train_encoders
from ppgssl.store.linked_patients import linked_patients
from ppgssl.store.splits import Fold
from ppgssl.store.study_data import StudyData

_MIN_OF_CLASS = 5


def fit_model(
    data: StudyData,
    arm_name: str,
    study_folder: Path,
    out: Path,
    *,
    n_refits: int | None = None,
    n_jobs: int = -1,
    scheduler: str | None = None,
    progress: Progress = silent,
) -> FittedModel:
    """Fit an arm of a study to all of its labelled patients, and write the model into a folder.

    The encoder is pretrained on all recordings that the study's ``pretraining.exposure`` lets one see where nobody is
    tested: all cohorts, or the unlabelled ones alone where it is ``disjoint``. It is kept with those of the study, so
    that an interrupted fit goes on, and a second model has it at once.

    Parameters
    ----------
    data : StudyData
    arm_name : str
        Such as ``covariates+ssl-all``; it need not be among those that the study compares.
    study_folder : Path
        The study's outputs: encoders, and ``results.json`` with the performance.
    out : Path
        Folder of the model.
    n_refits : int, optional
        Refits to bootstrap samples of the patients, of which intervals are made; by default those of
        :data:`ppgssl.models.refits.N_REFITS`. Arms without an entry there have none: intervals of a horseshoe model are
        made of the draws from its posterior, and risks of networks and of stacked horseshoe models have no interval.
    n_jobs, scheduler, progress
        Of the refits, see :func:`ppgssl.core.parallel.workers`; of a cluster, one worker pretrains the encoder.

    Returns
    -------
    FittedModel
        As it is read from the folder.

    Raises
    ------
    ConfigError
        If there is no such arm, or it needs a package that is not installed.
    StoreError
        If the folder holds other things than a model.
    EvaluationError
        If there are too few patients to fit anything.
    """
    arm = _checked_arm(arm_name, data)
    job = _encoder_job(arm, data, study_folder)
    if job and made_of(job.folder) != encoder_fingerprint(job, data):
        folder = study_folder / "encoders"
        train_encoders([(job, data.study)], data, folder, n_jobs=1, scheduler=scheduler, progress=progress)
    n_segments = len(data.segments.table)
    seen = seen_segments(job, data) if job else np.zeros(n_segments, dtype=bool)
    description = describe_study_input(data, np.ones(n_segments, dtype=bool))
    with TemporaryDirectory() as scratch:
        encoder_folder = Path(scratch) / "encoder" if arm.encoder else None
        encoder = _write_encoder(job, data, description, encoder_folder) if encoder_folder else None
        with workers(n_jobs, scheduler=scheduler, folder=study_folder) as pool:
            known: dict[str, PatientFeatures] = {
                name: GivenFeatures(recording_features(name, data, list(data.y.index), study_folder, pool, progress))
                for name in arm.feature_sets
                if name in RECORDING_FEATURES
            }
            fitted = _fit_arm(arm, data, description, encoder, known, n_refits, pool, progress)
        if isinstance(fitted.model, NetworkRiskModel):
            encoder, encoder_folder = fitted.model.members_[0].model.encoder, None
        check = check_embedding(encoder, description) if encoder else []
        card = describe_model(arm, data, description, fitted, seen, check, study_folder)
        model = FittedModel(card, fitted.model, fitted.refits, fitted.kernels, fitted.precision)
        save_model(out, model, card_text(card), encoder=encoder_folder)
    return load_model(out)


def _checked_arm(name: str, data: StudyData) -> Arm:
    try:
        arm = parse_arm(name)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    check_feature_packages([arm])
    try:
        data.study.inputs.check_features(arm.feature_sets, f"arm {name!r}")
    except ValueError as error:
        raise ConfigError(str(error)) from None
    if arm.clinical == "covariates" and not data.study.covariates:
        raise ConfigError(f"arm {name!r} takes covariates, and the study has none: list some under `covariates`")
    if exposure_of(arm.encoder or "", data.study) == "disjoint" and len(data.stores) == 1:
        raise ConfigError(f"arm {name!r}: pretraining on disjoint cohorts needs a cohort of role `unlabelled`")
    n_events = int(data.y.sum())
    if min(n_events, len(data.y) - n_events) < _MIN_OF_CLASS:
        raise EvaluationError(
            f"{n_events} of {len(data.y)} patients have the event: a final model needs at least "
            f"{_MIN_OF_CLASS} patients with it and {_MIN_OF_CLASS} without"
        )
    return arm


def _encoder_job(arm: Arm, data: StudyData, study_folder: Path) -> EncoderJob | None:
    """The study's own encoder where one serves all folds; else one that leaves nobody out; None without SSL."""
    if arm.encoder is None or not arm.is_ssl:
        return None
    if exposure_of(arm.encoder, data.study) != "per-fold":
        everybody = Fold(0, 0, train=tuple(data.y.index), test=())
        return job_for(arm.encoder, everybody, data.study, study_folder)
    return EncoderJob(arm.encoder, None, study_folder / "encoders" / arm.encoder / "final", is_transductive=True)


def _write_encoder(
    job: EncoderJob | None, data: StudyData, description: InputDescription, folder: Path
) -> EncoderNetwork:
    """The pretrained encoder, or one with its first weights, as it lies in ``folder`` with the model's input."""
    options = data.study.pretraining
    if job:
        network, made = load_encoder(job.folder), "SSL on all recordings"
    else:
        inputs, seed = data.study.inputs, initial_seed(data, None)
        network = make_encoder(len(inputs.channels), options.shape, fs_hz=inputs.fs_hz, seed=seed)
        made = "first weights"
    save_encoder(folder, network, {"made": made, "pretraining": options.model_dump(mode="json")})
    save_input_description(folder, description)
    return load_encoder(folder)


def _fit_arm(
    arm: Arm,
    data: StudyData,
    description: InputDescription,
    encoder: EncoderNetwork | None,
    known: Mapping[str, PatientFeatures],
    n_refits: int | None,
    pool: Workers,
    progress: Progress,
) -> FittedArm:
    """The model of all labelled patients with its refits and its applicability domain."""
    kernels = None
    if "minirocket" in arm.feature_sets:
        bank = segment_bank(data.segments, description)
        kernels, _ = fitted_kernels(data, data.of_patients(list(data.y.index)), bank, place="all")
    curve = fitted_spo2_curve(data, list(data.y.index)) if needs_spo2_curve(arm, data.study) else None
    arm_table = final_arm_table(arm, data.study, data.clinical.variables, description, encoder, kernels, curve, known)
    rows = arm_table.transform(data)
    table = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(index=rows.index)
    model = make_risk_model(arm, arm_table.columns(table), data.study, fold="all", encoder=encoder)
    model = model.fit(rows, data.y).thinned()
    refits = None
    if isinstance(model, RiskModel) and arm.learner in N_REFITS:
        samples = _bootstrap_samples(data, N_REFITS[arm.learner] if n_refits is None else n_refits)
        refits = fit_refits(model, table, data.y, samples, pool, progress)
    features = list(model.columns_.features) if isinstance(model, RiskModel) else []
    domain, precision = fit_domain(table[features].to_numpy(dtype=float)) if features else (None, None)
    return FittedArm(model, refits, kernels, table, signal_summary(data, curve), domain, precision, curve)


def _bootstrap_samples(data: StudyData, n_samples: int) -> Sequence[IntArray]:
    """Rows of each bootstrap sample; patients who share a recording are drawn together."""
    if not n_samples:
        return []
    linked = linked_patients(data.shared_signals)
    counts = drawable_counts(
        data.y.to_numpy() == 1,
        n_samples,
        groups=[linked.get(name, name) for name in data.y.index],
        seed=derive_seed(data.study.seed, "refits of the model"),
    )
    return [np.repeat(np.arange(len(data.y)), of_sample.astype(int)) for of_sample in counts]
