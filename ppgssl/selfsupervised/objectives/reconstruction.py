"""Objectives that give a segment back: what they share."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from ppgssl.selfsupervised.encoders.base import EncoderNetwork
from ppgssl.selfsupervised.objectives.base import Draws, Objective
from ppgssl.selfsupervised.objectives.reconstruction_losses import RECONSTRUCTION_LOSSES


class ReconstructionObjective(Objective):
    """Encoder, decoder, and one of ``RECONSTRUCTION_LOSSES`` between what went in and what came back."""

    score_name = "variance explained"

    def __init__(self, encoder: EncoderNetwork, *, loss: str, fs_hz: float, channel_dropout: float = 0.0) -> None:
        super().__init__(encoder, channel_dropout=channel_dropout)
        self.decoder = encoder.make_decoder()
        self.fs_hz = fs_hz
        self.criterion = RECONSTRUCTION_LOSSES[loss]

    @abstractmethod
    def reconstruct(self, batch: Tensor, draws: Draws) -> Tensor:
        """What comes back, float32, shape of ``batch``."""

    @abstractmethod
    def hidden(self, batch: Tensor, draws: Draws) -> Tensor:
        """True where samples were hidden from the encoder, shape of ``batch``."""

    def counted(self, batch: Tensor, draws: Draws) -> Tensor:
        """True where the loss counts a sample, shape of ``batch``: all but channels that the cohort lacks."""
        del draws
        return is_present(batch).expand_as(batch)

    def loss(self, batch: Tensor, draws: Draws) -> Tensor:
        return self.losses(batch, self.reconstruct(batch, draws), self.counted(batch, draws)).mean()

    def losses(self, batch: Tensor, reconstruction: Tensor, counted: Tensor) -> Tensor:
        """The loss of each segment, shape (n,)."""
        return self.criterion(reconstruction, batch, counted, self.fs_hz)

    def tally(self, batch: Tensor, draws: Draws) -> Tensor:
        """Samples and their summed loss; per channel: counted samples, their sum, sum of squares, squared errors."""
        reconstruction, counted = self.reconstruct(batch, draws), self.counted(batch, draws)
        losses = self.losses(batch, reconstruction, counted)
        errors = (batch - reconstruction).square()
        sums = torch.stack([torch.ones_like(batch), batch, batch.square(), errors]) * counted
        counted = torch.stack([losses, torch.ones_like(losses)]).sum(dim=-1)
        return torch.cat([counted.cpu().double(), sums.sum(dim=-1).cpu().double().sum(dim=1).flatten()])

    def evaluation(self, total: Tensor) -> tuple[float, float | None]:
        """Mean loss; and 1 - squared error / variance of the counted samples about each channel's mean.

        The second is 0 for a constant, negative if worse, None where the samples do not vary.
        """
        n, values, squares, errors = total[2:].reshape(4, -1)
        variance = float((squares - values**2 / n.clamp(min=1)).sum())
        return float(total[0] / total[1]), float(1 - errors.sum() / variance) if variance > 0 else None


def is_present(batch: Tensor) -> Tensor:
    """True for the channels of a segment that its cohort has, shape (batch, n_channels, 1): the others are all 0."""
    return (batch != 0).any(dim=-1, keepdim=True)
