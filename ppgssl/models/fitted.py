"""A fitted arm, ready to predict: the card, the model with its refits, and what makes the arm's table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from ppgssl.classifiers.factory import AnyRiskModel
from ppgssl.classifiers.network import NetworkRiskModel
from ppgssl.core.config.arms import Arm, parse_arm
from ppgssl.core.config.cohort import Variable
from ppgssl.core.config.study import Study
from ppgssl.core.errors import StoreError
from ppgssl.core.provenance import versions
from ppgssl.core.records import FloatArray
from ppgssl.features.embeddings import embed
from ppgssl.features.patient_table import ArmTable, NormalisedSegments, PatientFeatures, SegmentFeatures
from ppgssl.features.pulse_wave import PulseWave
from ppgssl.features.random_kernels import RandomKernels
from ppgssl.features.recordings import RECORDING_FEATURES, RecordingFeatures
from ppgssl.features.segment_table import SegmentTable
from ppgssl.features.spo2_curve import Curve
from ppgssl.models.card import ModelCard
from ppgssl.models.refits import Refits
from ppgssl.selfsupervised.bank import SegmentBank
from ppgssl.selfsupervised.encoder_io import load_encoder
from ppgssl.selfsupervised.encoders.base import EncoderNetwork
from ppgssl.selfsupervised.input_description import InputDescription

ENCODER_FOLDER = "encoder"
# Packages whose version may change numbers.
DECISIVE_PACKAGES = ("ppgssl", "numpy", "scipy", "torch", "neurokit2")
# Embeddings by other versions and processors differ by rounding; by more, they are another encoder's.
_SAME = 1e-3


@dataclass(frozen=True)
class FittedModel:
    """A fitted arm, ready to predict.

    Attributes
    ----------
    refits : LinearRefits, WholeRefits or None; to bootstrap samples of the training patients
    kernels : of MiniRocket, for arms that take its features
    precision : float array or None
        Inverse covariance of the standardised features, see :func:`ppgssl.models.reference.fit_domain`.
    folder : where it was read
    fingerprint : SHA-256 of ``SHA256SUMS``: of all files. Compare it with what the maker of the model published:
        checksums show damage, and a stranger could have written others.
    warnings : such as another version of the software
    """

    card: ModelCard
    model: AnyRiskModel = field(repr=False)
    refits: Refits | None = field(default=None, repr=False)
    kernels: RandomKernels | None = field(default=None, repr=False)
    precision: FloatArray | None = field(default=None, repr=False)
    folder: Path | None = None
    fingerprint: str = ""
    warnings: tuple[str, ...] = ()

    def table(self) -> ArmTable:
        """The arm's table, made of any patients as it was of the training patients.

        Raises StoreError if the encoder does not compute what it computed where it was made.
        """
        card, arm = self.card, parse_arm(self.card.arm)
        encoder = self.encoder if arm.encoder else None
        return final_arm_table(
            arm, card.study_model(), card.variables(), card.input, encoder, self.kernels, card.spo2_curve
        )

    def risks(self, X: pd.DataFrame | SegmentTable) -> FloatArray:
        """Risks of patients, shape (1 + n, n_patients).

        Row 0 is the model's risk. The others, of which an interval is made, are by the draws from its posterior or by
        its refits; there are none of a network, nor of a stack of posteriors. Raises EvaluationError if a column is
        absent, or a number is infinite.
        """
        risks = [self.model.predict_proba(X)[None, :, 1]]
        if isinstance(X, pd.DataFrame) and not isinstance(self.model, NetworkRiskModel):
            drawn = self.model.drawn_risks(X)
            risks += [] if drawn is None else [drawn]
            risks += [] if self.refits is None else [self.refits.risks(self.model, X)]
        return np.concatenate(risks)

    @cached_property
    def encoder(self) -> EncoderNetwork:
        """Its encoder, in evaluation mode; of networks, that of the first.

        Raises StoreError if it does not compute what it computed where it was made.
        """
        if isinstance(self.model, NetworkRiskModel):
            network = self.model.members_[0].model.encoder
        else:
            assert self.folder is not None  # a model without an encoder has no use for one
            network = load_encoder(self.folder / ENCODER_FOLDER)
        here, expected = np.array(check_embedding(network, self.card.input)), np.array(self.card.check)
        if here.shape != expected.shape or np.abs(here - expected).max() > _SAME * max(np.abs(expected).max(), 1.0):
            raise StoreError(
                f"{self.folder}: the encoder does not compute here what it computed where it was made "
                f"({listed_versions(self.card.versions)}; here {listed_versions(versions())}): install those versions, "
                "or fit it again"
            )
        return network


def final_arm_table(
    arm: Arm,
    study: Study,
    variables: Mapping[str, Variable],
    description: InputDescription,
    encoder: EncoderNetwork | None,
    kernels: RandomKernels | None,
    spo2_curve: Curve | None = None,
    known: Mapping[str, PatientFeatures] | None = None,
) -> ArmTable:
    """The table of an arm whose features are fitted: of an encoder, hand-crafted, or of MiniRocket's kernels.

    ``known``: features that were computed before, by name.
    """
    segments = NormalisedSegments(description)
    features = dict(known or {})
    for name in (name for name in arm.feature_sets if name not in features):
        if name in RECORDING_FEATURES:
            features[name] = RecordingFeatures(RECORDING_FEATURES[name](study.inputs))
            continue
        if name == "pulse-wave":
            pulse_wave = PulseWave(description.fs_hz)
            names = pulse_wave.names(description.channel_names)
            features[name] = SegmentFeatures(pulse_wave, segments, names)
            continue
        represent = kernels if name == "minirocket" else encoder
        assert represent is not None  # all other features are embeddings
        features[name] = SegmentFeatures(represent, segments)
    return ArmTable(arm, study, variables, features, segments, spo2_curve)


def check_embedding(encoder: EncoderNetwork, description: InputDescription) -> list[float]:
    """Embedding of a synthetic segment that is the same everywhere."""
    length = description.segment_samples
    phase = 2 * np.pi * np.arange(length) / description.fs_hz
    channels = [np.sin((1.5 + 0.25 * number) * phase) for number in range(len(description.channels))]
    unit = np.ones((1, len(channels)), dtype=np.float32)
    samples = np.stack(channels).astype(np.float32)
    bank = SegmentBank(samples, np.zeros(1, dtype=np.int64), length, np.zeros_like(unit), unit)
    return [float(value) for value in embed(encoder, bank, [0])[0]]


def listed_versions(installed: Mapping[str, str]) -> str:
    """Versions of the packages that may change numbers, in words."""
    return ", ".join(f"{name} {installed[name]}" for name in DECISIVE_PACKAGES if name in installed)
