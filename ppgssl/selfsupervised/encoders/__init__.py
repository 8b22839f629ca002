"""Networks over segments: a file each; a new one is a new file, a shape in ``pretraining_options`` and one line here."""

from __future__ import annotations

from typing import Any

import torch

from ppgssl.pretraining_options import AnyShape
from ppgssl.selfsupervised.encoders.base import EncoderNetwork
from ppgssl.selfsupervised.encoders.resnet1d import ResNet1d

ENCODERS: dict[str, Any] = {ResNet1d.name: ResNet1d}


def make_encoder(n_channels: int, shape: AnyShape, *, seed: int) -> EncoderNetwork:
    """An untrained encoder; one seed gives the same weights always, and leaves the global generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder: EncoderNetwork = ENCODERS[shape.name](n_channels, shape)
    return encoder
