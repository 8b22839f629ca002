"""Objectives around a small encoder, and batches for them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ppgssl.core.config.pretraining import Pretraining, ResNet1dShape
from ppgssl.selfsupervised.encoders import make_encoder
from ppgssl.selfsupervised.objectives import make_objective
from ppgssl.selfsupervised.objectives.base import Objective
from tests.support.synthetic import make_ppg

SHAPE = ResNet1dShape(width=8, n_stages=2)


def make_task(
    name: str, *, n_channels: int = 2, fs_hz: float = 100.0, shape=SHAPE, channel_dropout: float = 0.0, **options
) -> Objective:
    """An untrained objective, always the same one."""
    settings = Pretraining(objective={"name": name, **options}, encoder=shape, channel_dropout=channel_dropout)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = make_encoder(n_channels, settings.shape, fs_hz=40.0, seed=0)
        return make_objective(encoder, settings, fs_hz=fs_hz)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make_batch(objective: Objective, n: int = 8, length: int = 200, seed: int = 0) -> Tensor:
    """White noise of the shape that the objective wants."""
    pairs = (2,) if objective.segments_per_sample == 2 else ()
    return torch.randn(n, *pairs, objective.encoder.n_channels, length, generator=generator(seed))


def make_patients(objective: Objective, n: int = 24, length: int = 200, fs_hz: float = 50.0) -> Tensor:
    """Pulses, each patient's at a rate and with an amplitude ratio between channels of its own; a row is a patient."""
    rng = np.random.default_rng(0)
    rates, ratios = rng.uniform(60, 150, size=n), rng.uniform(0.4, 1.6, size=n)
    samples = np.empty((n, 2, objective.encoder.n_channels, length))
    for patient, part, channel in np.ndindex(samples.shape[:-1]):
        ppg = make_ppg(length / fs_hz, fs_hz, rates[patient], noise=0.05, rng=rng)
        samples[patient, part, channel] = (ppg - ppg.mean()) / ppg.std() * ratios[patient] ** channel
    pairs = torch.from_numpy(samples).float()
    return pairs if objective.segments_per_sample == 2 else pairs[:, 0]
