"""Predicting, at every time of a segment, the interval, height and shape of the beat it lies in."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ppgssl.core.config.pretraining import BeatOptions
from ppgssl.selfsupervised.augmentations import augment, draw_augmentations
from ppgssl.selfsupervised.encoders.base import EncoderNetwork
from ppgssl.selfsupervised.encoders.beat_head import DEVIATION_SCALES, BeatHead
from ppgssl.selfsupervised.objectives.base import Draws, Objective, visible_channels
from ppgssl.signals.beat_sequence import MEASURES, beat_sequence

# Deviations beyond this many scales are of a beat that was not found well.
_LARGEST_DEVIATION = 6.0
_LEAST_LEVEL_SD = 1e-3
_INTERVAL = MEASURES.index("interval")


class BeatSequence(Objective):
    """Encoder and a head of two convolutions that predicts what changes from beat to beat.

    The targets are made of the segment itself: of each channel the measures of
    :func:`ppgssl.signals.beat_sequence.beat_sequence` at every time of the head, as deviations from the segment's mean
    (divided by typical ones) and that mean (standardised over training segments). The loss is smooth L1 over the times
    at which a beat is known; each segment counts alike, and each measure has its weight. Dense
    targets force every beat into the feature maps; summary numbers of the segment, and losses that compare whole
    segments, do not. The input may be augmented by what keeps time; the targets are those of the unaugmented segment.

    Targets that an algorithm computes from the signal are known as weak supervision; those for every frame, from speech
    [1]_.

    References
    ----------
    .. [1] Hsu et al., HuBERT: self-supervised speech representation learning by masked prediction of hidden units,
       IEEE/ACM Trans Audio Speech Lang Process 29:3451, 2021, 10.1109/TASLP.2021.3122291.
    """

    name = "beat-sequence"
    score_name = "variance explained of deviations of the inter-beat interval"

    level_mean: Tensor
    level_sd: Tensor
    weights: Tensor

    def __init__(
        self, encoder: EncoderNetwork, options: BeatOptions, *, fs_hz: float, channel_dropout: float = 0.0
    ) -> None:
        super().__init__(encoder, channel_dropout=channel_dropout)
        # Part of the encoder where the representation has readouts, and else of the objective alone.
        self.head: BeatHead = encoder.beat_head or encoder.make_beat_head(fs_hz=fs_hz)
        self.fs_hz, self.augmentations = fs_hz, options.beat_augmentations
        shape = (encoder.n_channels, len(MEASURES), 1)
        self.register_buffer("level_mean", torch.zeros(shape))
        self.register_buffer("level_sd", torch.ones(shape))
        weights = [options.measure_weights[name] for name in MEASURES]
        self.register_buffer("weights", torch.tensor(weights)[:, None], persistent=False)

    @torch.no_grad()
    def prepare(self, segments: Tensor) -> None:
        """Mean and SD of the levels over these training segments; where a measure is unknown, 0 and 1."""
        n_times = self.head(self.encoder(segments[:1]))[0].shape[-1]
        found = beat_sequence(segments.cpu().numpy(), fs_hz=self.fs_hz, n_times=n_times).level
        is_known = np.isfinite(found)
        n = np.maximum(is_known.sum(axis=0), 1)
        mean = np.where(is_known, found, 0).sum(axis=0) / n
        sd = np.sqrt(np.where(is_known, (found - mean) ** 2, 0).sum(axis=0) / n)
        sd = np.where(is_known.any(axis=0), np.maximum(sd, _LEAST_LEVEL_SD), 1.0)
        for buffer, values in ((self.level_mean, mean), (self.level_sd, sd)):
            buffer.copy_(torch.from_numpy(values).unsqueeze(-1))

    def draw(self, n: int, length: int, generator: torch.Generator) -> Draws:
        """What the augmentations need, and the channels to keep."""
        draws = draw_augmentations(self.augmentations, n, self.encoder.n_channels, length, generator)
        return {**draws, **super().draw(n, length, generator)}

    def predict(self, batch: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """Predicted levels and deviations, each of shape (n, n_channels, n_measures, n_times)."""
        seen = visible_channels(augment(batch, self.augmentations, draws), draws)
        level, deviation = self.head(self.encoder(seen))
        return level, deviation

    def targets(self, batch: Tensor, n_times: int) -> tuple[Tensor, Tensor]:
        """Levels, shape (n, n_channels, n_measures, 1), and deviations, the targets; NaN if unknown."""
        found = beat_sequence(batch.detach().cpu().numpy(), fs_hz=self.fs_hz, n_times=n_times)
        level, deviation = (torch.from_numpy(values).to(batch.device, torch.float32) for values in found)
        scale = torch.tensor([DEVIATION_SCALES[name] for name in MEASURES], device=batch.device)[:, None]
        return (
            (level.unsqueeze(-1) - self.level_mean) / self.level_sd,
            (deviation / scale).clamp(-_LARGEST_DEVIATION, _LARGEST_DEVIATION),
        )

    def losses(self, batch: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
        """The loss of each segment, shape (n,); and its known intervals: their sum of squares, and of squared errors.

        Each measure's loss is a mean over channels and times; 0 where nothing of it is known.
        """
        level, deviation = self.predict(batch, draws)
        target_level, target_deviation = self.targets(batch, level.shape[-1])
        total = torch.zeros(len(batch), device=batch.device)
        for predicted, target in ((level, target_level.expand_as(level)), (deviation, target_deviation)):
            is_known = torch.isfinite(target)
            error = functional.smooth_l1_loss(
                predicted, torch.where(is_known, target, predicted.detach()), reduction="none"
            )
            n_known = is_known.sum(dim=(1, 3))
            of_measure = error.sum(dim=(1, 3)) / n_known.clamp(min=1)
            total = total + of_measure @ self.weights[:, 0]
        target = target_deviation[:, :, _INTERVAL]
        is_known = torch.isfinite(target)
        squares = torch.where(is_known, target, 0).square().sum(dim=(1, 2))
        errors = torch.where(is_known, target - deviation[:, :, _INTERVAL].detach(), 0).square().sum(dim=(1, 2))
        return total, torch.stack([squares, errors])

    def loss(self, batch: Tensor, draws: Draws) -> Tensor:
        return self.losses(batch, draws)[0].mean()

    def tally(self, batch: Tensor, draws: Draws) -> Tensor:
        """Summed loss and segments; sums of squares and of squared errors of the deviations of known intervals."""
        losses, of_intervals = self.losses(batch, draws)
        sums = [losses.sum(), torch.tensor(float(len(losses))), *of_intervals.sum(dim=1)]
        return torch.stack([value.detach().cpu().double() for value in sums])

    def evaluation(self, total: Tensor) -> tuple[float, float | None]:
        """Mean loss; and 1 - squared error / squared deviations, None where no interval is known."""
        return float(total[0] / total[1]), float(1 - total[3] / total[2]) if total[2] > 0 else None
