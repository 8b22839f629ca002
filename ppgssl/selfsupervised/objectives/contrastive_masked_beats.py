"""Finding a segment's partner, filling in what is hidden, and predicting beat measures, at once."""

from __future__ import annotations

import torch
from torch import Tensor

from ppgssl.core.config.pretraining import ContrastiveMaskedBeatsOptions
from ppgssl.selfsupervised.encoders.base import EncoderNetwork
from ppgssl.selfsupervised.objectives.base import Draws, draws_of
from ppgssl.selfsupervised.objectives.beat_sequence import BeatSequence
from ppgssl.selfsupervised.objectives.contrastive_masked_autoencoder import ContrastiveMaskedAutoencoder


class ContrastiveMaskedBeats(ContrastiveMaskedAutoencoder):
    """The loss of :class:`ContrastiveMaskedAutoencoder`, plus ``beat_weight`` times that of :class:`BeatSequence`.

    What sets patients apart and what fills gaps leaves out how intervals and heights vary from beat to beat; the third
    loss asks for it at every time, of both segments of a pair.
    """

    name = "contrastive-masked-beats"

    def __init__(
        self,
        encoder: EncoderNetwork,
        options: ContrastiveMaskedBeatsOptions,
        *,
        fs_hz: float,
        channel_dropout: float = 0.0,
    ) -> None:
        super().__init__(encoder, options, fs_hz=fs_hz, channel_dropout=channel_dropout)
        self.beats = BeatSequence(encoder, options, fs_hz=fs_hz, channel_dropout=channel_dropout)
        self.beat_weight = options.beat_weight

    def prepare(self, segments: Tensor) -> None:
        self.beats.prepare(segments)

    def draw(self, n: int, length: int, generator: torch.Generator) -> Draws:
        """What all tasks draw; that of the beats under names that start with ``beats.``, shape (n, 1 or 2, ...)."""
        n_segments = self.segments_per_sample
        beats = {
            f"beats.{key}": value.unflatten(0, (n, n_segments))
            for key, value in self.beats.draw(n * n_segments, length, generator).items()
        }
        return {**super().draw(n, length, generator), **beats}

    def project(self, batch: Tensor, draws: Draws) -> Tensor:
        return super().project(batch, {name: value for name, value in draws.items() if not name.startswith("beats.")})

    def loss(self, batch: Tensor, draws: Draws) -> Tensor:
        return super().loss(batch, draws) + self.beat_weight * self._beat_losses(batch, draws).mean()

    def tally(self, batch: Tensor, draws: Draws) -> Tensor:
        total = super().tally(batch, draws)
        total[0] += self.beat_weight * self._beat_losses(batch, draws).mean().cpu().double() * len(batch)
        return total

    def _beat_losses(self, batch: Tensor, draws: Draws) -> Tensor:
        segments = batch.flatten(0, 1) if self.segments_per_sample == 2 else batch
        of_segments = {name: value.flatten(0, 1) for name, value in draws_of(draws, "beats").items()}
        return self.beats.losses(segments, of_segments)[0]
