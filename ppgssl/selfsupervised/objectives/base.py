"""What every pretext task is: an encoder, its own randomness, and a loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from ppgssl.selfsupervised.encoders.base import EncoderNetwork

Draws = dict[str, Tensor]


class Objective(nn.Module, ABC):
    """A pretext task.

    All randomness of a batch is drawn beforehand (:meth:`draw`) and handed to the loss: the loop draws for the whole
    batch and gives every process, or every part of an accumulated batch, its part, so that several processes compute
    what one would. ``OBJECTIVES[name](encoder, options, fs_hz=..., channel_dropout=...)`` makes each; ``fs_hz`` is the
    sampling rate of the segments, which tasks with nothing in seconds leave aside.

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

    def prepare(self, segments: Tensor) -> None:
        """Fit what the task needs to know of its data, once and before the first step.

        ``segments``, shape (n, n_channels, length), are of training patients. Most tasks need nothing.
        """

    def draw(self, n: int, length: int, generator: torch.Generator) -> Draws:  # noqa: ARG002 - subclasses need it
        """All randomness of a batch of n samples (segments, or pairs) of so many time steps.

        Every tensor has n as its first dimension, and is drawn by the generator alone, on its device.
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


def draws_of(draws: Draws, task: str) -> Draws:
    """Of the draws of several tasks, those under names that start with ``task.``, without that start."""
    start = f"{task}."
    return {name.removeprefix(start): value for name, value in draws.items() if name.startswith(start)}


def visible_channels(batch: Tensor, draws: Draws) -> Tensor:
    """The batch without the channels that were dropped."""
    return batch * draws["keep"] if "keep" in draws else batch


def projection_head(n_in: int, n_hidden: int, n_out: int, *, n_layers: int) -> nn.Sequential:
    """Layers from a representation of shape (n, n_in) to what a loss compares, shape (n, n_out).

    A loss makes the layer that it sees forget what does not serve it, and a head takes that upon itself [1]_.

    Representation and hidden layers are normalised over the dimensions of each segment alone [2]_. The published heads
    normalise over the batch instead; then a segment's projection depends on the other segments, which differ between
    processes and parts of a batch, and in which a network can find the partner without looking at the segment [1]_.
    The last layer has no offset: the losses here do not see one, or have no use for it.

    ``n_layers`` are linear, all but the last followed by normalisation and activation.

    References
    ----------
    .. [1] Chen et al., A simple framework for contrastive learning of visual representations, ICML 2020,
       arXiv:2002.05709.
    .. [2] Ba et al., Layer normalization, 2016, arXiv:1607.06450.
    """
    widths = [n_in, *[n_hidden] * (n_layers - 1)]
    layers: list[nn.Module] = [nn.LayerNorm(n_in)]
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.LayerNorm(after), nn.SiLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], n_out, bias=False))
