"""Pretext tasks: a file each; a new one is a new file, its options in ``pretraining_options`` and one line here."""

from __future__ import annotations

from typing import Any

from ppgssl.core.config.pretraining import Pretraining
from ppgssl.selfsupervised.encoders.base import EncoderNetwork
from ppgssl.selfsupervised.objectives.autoencoder import Autoencoder
from ppgssl.selfsupervised.objectives.base import Objective
from ppgssl.selfsupervised.objectives.beat_sequence import BeatSequence
from ppgssl.selfsupervised.objectives.contrastive_masked_autoencoder import ContrastiveMaskedAutoencoder
from ppgssl.selfsupervised.objectives.contrastive_masked_beats import ContrastiveMaskedBeats
from ppgssl.selfsupervised.objectives.contrastive_patient import ContrastivePatient
from ppgssl.selfsupervised.objectives.masked_autoencoder import MaskedAutoencoder
from ppgssl.selfsupervised.objectives.transformation_recognition import TransformationRecognition
from ppgssl.selfsupervised.objectives.vicreg import VicReg

OBJECTIVES: dict[str, Any] = {
    objective.name: objective
    for objective in (
        Autoencoder,
        MaskedAutoencoder,
        ContrastivePatient,
        ContrastiveMaskedAutoencoder,
        BeatSequence,
        ContrastiveMaskedBeats,
        VicReg,
        TransformationRecognition,
    )
}


def make_objective(encoder: EncoderNetwork, settings: Pretraining, *, fs_hz: float) -> Objective:
    """The objective that the settings name, around an encoder."""
    options = settings.objective
    objective: Objective = OBJECTIVES[options.name](
        encoder, options, fs_hz=fs_hz, channel_dropout=settings.channel_dropout
    )
    return objective
