"""The representations that a probe compares: an encoder for each objective and fold, and baselines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from ppgssl.core.config.pretraining import AnyObjective
from ppgssl.core.config.study import Study
from ppgssl.core.records import IntArray
from ppgssl.core.seeds import derive_seed
from ppgssl.features.depths import Depths
from ppgssl.features.principal_components import fit_principal_components
from ppgssl.features.pulse_wave import PulseWave
from ppgssl.features.random_kernels import fit_random_kernels
from ppgssl.features.summaries import Represent
from ppgssl.selfsupervised.bank import SegmentBank
from ppgssl.selfsupervised.encoder_io import load_encoder
from ppgssl.selfsupervised.study_encoders import EncoderJob, initial_encoder, patients_seen
from ppgssl.store.leakage import check_no_leakage, hashed_patient
from ppgssl.store.splits import Fold
from ppgssl.store.study_data import StudyData

UNTRAINED, WHOLE = "untrained", "all"
_BASELINE_LABELS = {
    UNTRAINED: "Untrained encoder",
    "pca": "Principal components",
    "minirocket": "MiniRocket kernels",
    "pulse-wave": "Hand-crafted pulse features",
    "rhythm": "Heart rate variability features",
    "ecg-wave": "ECG wave features",
}
_OBJECTIVE_LABELS = {
    "autoencoder": "Autoencoder",
    "masked-autoencoder": "Masked autoencoder",
    "contrastive-patient": "Contrastive (NT-Xent)",
    "contrastive-masked-autoencoder": "Contrastive + masked autoencoder",
    "beat-sequence": "Beat sequence",
    "contrastive-masked-beats": "Contrastive + masked autoencoder + beat sequence",
    "vicreg": "VICReg",
    "transformation-recognition": "Transformation recognition",
}
# Axes and biases are learnt from this many training segments at most.
_MOST_FITTED = 4000


@dataclass(frozen=True)
class Representation:
    """One of the competitors: name and label are unique in a study, and the pretext task is of SSL alone."""

    name: str
    label: str
    kind: Literal["ssl", "baseline"]
    objective: AnyObjective | None = None


@dataclass(frozen=True)
class Described:
    """A representation of one fold, ready for use.

    ``parts`` are columns of its features that are assessed alone; ``own_part`` is the one that the study's arms take.
    """

    represent: Represent
    parts: dict[str, slice]
    own_part: str


def representations(study: Study) -> list[Representation]:
    """The objectives in the order of the study, then the baselines."""
    objectives = study.probe.objectives or [study.pretraining.objective]
    ssl: dict[str, Representation] = {}
    for objective in objectives:
        n_before = sum(other.name == objective.name for other in objectives[: objectives.index(objective)])
        name = f"{objective.name}-{n_before + 1}" if n_before else objective.name
        ssl[name] = Representation(name, _objective_label(objective, objectives), "ssl", objective)
    baselines = dict.fromkeys(study.probe.baselines)
    return [*ssl.values(), *(Representation(name, _BASELINE_LABELS[name], "baseline") for name in baselines)]


def _objective_label(objective: AnyObjective, objectives: Sequence[AnyObjective]) -> str:
    """Of several objectives with one name, with the options that are not the defaults."""
    label = _OBJECTIVE_LABELS.get(objective.name, objective.name)
    if sum(other.name == objective.name for other in objectives) < 2:
        return label
    options = objective.model_dump(mode="json", exclude={"name"}, exclude_defaults=True)
    words = ", ".join(f"{key} {value}" for key, value in options.items() if not isinstance(value, list | dict))
    return f"{label} ({words})" if words else label


def probe_job(representation: Representation, fold: Fold, data: StudyData, out: Path) -> tuple[EncoderJob, StudyData]:
    """The encoder of an SSL representation and fold, which sees all recordings but those of the test patients."""
    assert representation.objective is not None  # baselines are not pretrained
    pretraining = data.study.pretraining.model_copy(update={"objective": representation.objective})
    study = data.study.model_copy(update={"pretraining": pretraining})
    folder = out / "probe" / "encoders" / representation.name / fold.name
    return EncoderJob(representation.name, fold, folder, is_transductive=False), replace(data, study=study)


def describe(
    representation: Representation, fold: Fold, data: StudyData, out: Path, bank: SegmentBank, train: IntArray
) -> Described:
    """Load, make or fit a representation for one fold; ``train`` are the segments that may be fitted on.

    Raises LeakageError if an encoder has seen a patient whom the fold tests, and ConfigError if a baseline needs a
    package that is not installed.
    """
    if representation.kind == "baseline" and representation.name != UNTRAINED:
        represent = _baseline(representation.name, fold, data, bank, train)
        n_features = represent(bank.gather(np.zeros(1, dtype=np.int64)).cpu().numpy()).shape[1]
        return Described(represent, {WHOLE: slice(0, n_features)}, WHOLE)
    if representation.name == UNTRAINED:
        depths = Depths(initial_encoder(data, fold))
    else:
        job, _ = probe_job(representation, fold, data, out)
        check_no_leakage(map(hashed_patient, fold.test), patients_seen(job), f"the encoder {job.name}")
        depths = Depths(load_encoder(job.folder))
    return Described(depths, depths.parts, depths.own)


def _baseline(name: str, fold: Fold, data: StudyData, bank: SegmentBank, train: IntArray) -> Represent:
    if name == "pulse-wave":
        return PulseWave(data.study.inputs.fs_hz)
    seed = derive_seed(data.study.seed, name, fold.name)
    chosen = np.random.default_rng(seed).choice(train, min(_MOST_FITTED, len(train)), replace=False)
    segments = bank.gather(np.sort(chosen)).cpu().numpy()
    return fit_principal_components(segments, seed=seed) if name == "pca" else fit_random_kernels(segments, seed=seed)
