"""Plain autoencoder: all samples go in, and have to come back through fewer features than samples."""

from __future__ import annotations

import torch
from torch import Tensor

from ppgssl.core.config.pretraining import AutoencoderOptions
from ppgssl.selfsupervised.encoders.base import EncoderNetwork
from ppgssl.selfsupervised.objectives.base import Draws, visible_channels
from ppgssl.selfsupervised.objectives.reconstruction import ReconstructionObjective


class Autoencoder(ReconstructionObjective):
    """Encoder, decoder, and the loss of giving back what went in [1]_.

    References
    ----------
    .. [1] Hinton and Salakhutdinov, Reducing the dimensionality of data with neural networks, Science 313:504, 2006,
       10.1126/science.1127647.
    """

    name = "autoencoder"

    def __init__(
        self, encoder: EncoderNetwork, options: AutoencoderOptions, *, fs_hz: float, channel_dropout: float = 0.0
    ) -> None:
        super().__init__(encoder, loss=options.loss, fs_hz=fs_hz, channel_dropout=channel_dropout)

    def reconstruct(self, batch: Tensor, draws: Draws) -> Tensor:
        output: Tensor = self.decoder(self.encoder(visible_channels(batch, draws)), batch.shape[-1])
        return output.float()

    def hidden(self, batch: Tensor, draws: Draws) -> Tensor:
        del draws
        return torch.zeros_like(batch, dtype=torch.bool)
