"""Finding a segment's partner and filling in what is hidden, at once."""

from __future__ import annotations

import torch
from torch import Tensor

from ppgssl.core.config.pretraining import ContrastiveMaskedOptions
from ppgssl.selfsupervised.encoders.base import EncoderNetwork
from ppgssl.selfsupervised.objectives.base import Draws, draws_of
from ppgssl.selfsupervised.objectives.contrastive_patient import ContrastivePatient
from ppgssl.selfsupervised.objectives.masked_autoencoder import MaskedAutoencoder

# A hidden interval without a pulse is as good as flat: what it costs must not be divided by nothing.
_LEAST_FLAT_LOSS = 1e-6


class ContrastiveMaskedAutoencoder(ContrastivePatient):
    """One encoder, the head and loss of a contrastive objective, and the decoder and loss of a masked autoencoder.

    Either task leaves out what the other needs: partners are found by what sets patients apart, which leaves the rhythm
    of the moment coarse; gaps are filled in from rhythm and pulse shape, which need not separate patients. Joined
    losses of this kind are known from images [1]_; here they share one encoder, without a second one that lags behind,
    and the masked autoencoder sees the first segment of each pair, not augmented.

    The loss is that of :class:`ContrastivePatient` plus ``reconstruction_weight`` times that of
    :class:`MaskedAutoencoder`, divided, in each segment, by what a flat line would cost: the weight then means the same
    whatever the normalisation of the segments.

    References
    ----------
    .. [1] Huang et al., Contrastive masked autoencoders are stronger vision learners, arXiv:2207.13532, 2022.
    """

    name = "contrastive-masked-autoencoder"

    def __init__(
        self,
        encoder: EncoderNetwork,
        options: ContrastiveMaskedOptions,
        *,
        fs_hz: float,
        channel_dropout: float = 0.0,
    ) -> None:
        super().__init__(encoder, options, fs_hz=fs_hz, channel_dropout=channel_dropout)
        self.masked = MaskedAutoencoder(encoder, options, fs_hz=fs_hz, channel_dropout=channel_dropout)
        self.reconstruction_weight = options.reconstruction_weight

    def draw(self, n: int, length: int, generator: torch.Generator) -> Draws:
        """What both tasks draw; that of the masked autoencoder under names that start with ``masked.``."""
        masked = {f"masked.{key}": value for key, value in self.masked.draw(n, length, generator).items()}
        return {**super().draw(n, length, generator), **masked}

    def project(self, batch: Tensor, draws: Draws) -> Tensor:
        return super().project(batch, {name: value for name, value in draws.items() if not name.startswith("masked.")})

    def loss(self, batch: Tensor, draws: Draws) -> Tensor:
        return super().loss(batch, draws) + self.reconstruction_weight * self.proportion_missed(batch, draws).mean()

    def tally(self, batch: Tensor, draws: Draws) -> Tensor:
        """As that of a contrastive objective, with the loss of both tasks."""
        total = super().tally(batch, draws)
        total[0] += self.reconstruction_weight * self.proportion_missed(batch, draws).sum().cpu().double()
        return total

    def proportion_missed(self, batch: Tensor, draws: Draws) -> Tensor:
        """Loss of filling in, over that of a flat line, of the (first) segment of each sample, shape (n,)."""
        segments, masks = self.first_segments(batch, draws)
        counted = self.masked.counted(segments, masks)
        losses = self.masked.losses(segments, self.masked.reconstruct(segments, masks), counted)
        flat = self.masked.losses(segments, torch.zeros_like(segments), counted)
        return losses / flat.clamp(min=_LEAST_FLAT_LOSS)

    def first_segments(self, batch: Tensor, draws: Draws) -> tuple[Tensor, Draws]:
        """The segments that the masked autoencoder sees, shape (n, n_channels, length), and its draws."""
        segments = batch[:, 0] if self.segments_per_sample == 2 else batch
        return segments, draws_of(draws, "masked")
