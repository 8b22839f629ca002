"""Networks over segments: a file each; a new one is a new file, a shape in ``pretraining_options``, a name here."""

from __future__ import annotations

from typing import Any

import torch

from ppgssl.core.config.pretraining import AnyShape
from ppgssl.selfsupervised.encoders.base import EncoderNetwork
from ppgssl.selfsupervised.encoders.patch_transformer import PatchTransformer
from ppgssl.selfsupervised.encoders.resnet1d import ResNet1d
from ppgssl.selfsupervised.encoders.resnet50_1d import ResNet50d1

ENCODERS: dict[str, Any] = {encoder.name: encoder for encoder in (ResNet1d, ResNet50d1, PatchTransformer)}


def make_encoder(n_channels: int, shape: AnyShape, *, fs_hz: float, seed: int) -> EncoderNetwork:
    """An untrained encoder; one seed gives the same weights always, and leaves the global generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_encoder(n_channels, shape, fs_hz=fs_hz)


def build_encoder(n_channels: int, shape: AnyShape, *, fs_hz: float) -> EncoderNetwork:
    """An encoder of this shape, with a beat head where its representation has readouts.

    ``fs_hz``: sampling rate of the segments that it is for, which decides the frequencies of the readouts alone.
    """
    encoder: EncoderNetwork = ENCODERS[shape.name](n_channels, shape)
    if shape.representation == "moments+readouts":
        # Last: an encoder without it starts from the same weights.
        encoder.beat_head = encoder.make_beat_head(fs_hz=fs_hz)
    encoder.fs_hz = fs_hz
    return encoder
