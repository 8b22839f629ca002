"""What every pretext task is: an encoder, its own randomness, and a loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from ppgssl.selfsupervised.encoders.base import EncoderNetwork

Draws = dict[str, Tensor]


class Objective(nn.Module, ABC):
    """A pretext task.

    All randomness of a batch is drawn beforehand (:meth:`draw`) and handed to the loss: the loop draws for the whole
    batch and gives every process, or every part of an accumulated batch, its part, so that several processes compute
    what one would.

    Parameters
    ----------
    encoder : EncoderNetwork
        What is to be learned; heads and decoders are thrown away afterwards.
    channel_dropout : float
        Chance that a channel of a segment is blanked. One channel always stays.

    Attributes
    ----------
    segments_per_sample : int
        1: the loss takes a batch of shape (n, n_channels, length); 2: two segments of one patient, of shape
        (n, 2, n_channels, length).
    score_name : str
        What :meth:`evaluation` returns with the loss, in words; empty where it returns nothing.
    """

    name: ClassVar[str]
    score_name: ClassVar[str] = ""

    def __init__(self, encoder: EncoderNetwork, *, channel_dropout: float = 0.0) -> None:
        super().__init__()
        self.encoder = encoder
        self.channel_dropout = channel_dropout if encoder.n_channels > 1 else 0.0
        self.segments_per_sample = 1

    def draw(self, n: int, length: int, generator: torch.Generator) -> Draws:  # noqa: ARG002 - subclasses need it
        """All randomness of a batch of n samples; every tensor has n as its first dimension.

        Parameters
        ----------
        n, length : int
            Samples (segments, or pairs) of the batch, and time steps of a segment.
        generator : torch.Generator
            The only source of randomness; tensors are drawn on its device.
        """
        return self.draw_keep((n,), generator)

    def draw_keep(self, shape: tuple[int, ...], generator: torch.Generator) -> Draws:
        """``keep`` for :func:`visible_channels`, where channels are dropped; nothing where they are not."""
        if self.channel_dropout == 0:
            return {}
        return {"keep": draw_channels(shape, self.encoder.n_channels, self.channel_dropout, generator)}

    @abstractmethod
    def loss(self, batch: Tensor, draws: Draws) -> Tensor:
        """The mean loss, a scalar, of a batch and the randomness drawn for it.

        Rows of a batch with the same rows of its draws are a batch, too. Where segments are not compared with each
        other, each counts alike, so that the mean loss of equal parts is the loss of the whole.
        """

    def tally(self, batch: Tensor, draws: Draws) -> Tensor:
        """Sums, float64 and on the CPU, that add up over batches to what :meth:`evaluation` needs."""
        return torch.tensor([len(batch) * float(self.loss(batch, draws).detach()), len(batch)], dtype=torch.float64)

    def evaluation(self, total: Tensor) -> tuple[float, float | None]:
        """Mean loss and, where the task has one, a score that people can read, of summed tallies."""
        return float(total[0] / total[1]), None


def draw_channels(shape: tuple[int, ...], n_channels: int, dropout: float, generator: torch.Generator) -> Tensor:
    """Which channels stay, float 0 or 1, shape (*shape, n_channels, 1): each is dropped by chance, but never all."""
    chance = torch.rand(*shape, n_channels, generator=generator, device=generator.device)
    stays = (chance >= dropout) | (chance == chance.amax(dim=-1, keepdim=True))
    return stays.float().unsqueeze(-1)


def visible_channels(batch: Tensor, draws: Draws) -> Tensor:
    """The batch without the channels that were dropped."""
    return batch * draws["keep"] if "keep" in draws else batch
