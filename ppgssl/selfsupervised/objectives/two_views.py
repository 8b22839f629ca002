"""Objectives that compare two views: of one segment, or of two segments of one patient."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn

from ppgssl.core.config.pretraining import TwoViewsOptions
from ppgssl.selfsupervised.augmentations import augment, draw_augmentations
from ppgssl.selfsupervised.distributed import gather_samples
from ppgssl.selfsupervised.encoders.base import EncoderNetwork
from ppgssl.selfsupervised.objectives.base import Draws, Objective, visible_channels


class TwoViewsObjective(Objective):
    """Encoder, a head from the representation to what is compared, and a loss over the projections of all views of a
    batch.

    The views of a sample are two segments of a patient, or one segment twice, each put through the augmentations with
    randomness of its own. While training in several processes, the loss compares the views of all of them; to evaluate,
    each process looks at its own.
    """

    score_name = "partner is the nearest of the batch"

    def __init__(
        self, encoder: EncoderNetwork, options: TwoViewsOptions, head: nn.Module, *, channel_dropout: float = 0.0
    ) -> None:
        super().__init__(encoder, channel_dropout=channel_dropout)
        self.head = head
        self.augmentations = options.augmentations
        self.segments_per_sample = 2 if options.pairs == "patient" else 1

    @abstractmethod
    def compare(self, projections: Tensor) -> Tensor:
        """The loss, a scalar, of projections of shape (n, 2, n_dimensions)."""

    def draw(self, n: int, length: int, generator: torch.Generator) -> Draws:
        """What the augmentations need, and the channels to keep, for both views: tensors of shape (n, 2, ...)."""
        draws = draw_augmentations(self.augmentations, 2 * n, self.encoder.n_channels, length, generator)
        pairs = {key: value.unflatten(0, (n, 2)) for key, value in draws.items()}
        return {**pairs, **self.draw_keep((n, 2), generator)}

    def project(self, batch: Tensor, draws: Draws) -> Tensor:
        """Projections of both views, float32, shape (n, 2, n_dimensions)."""
        pairs = batch if self.segments_per_sample == 2 else batch.unsqueeze(1).expand(-1, 2, -1, -1)
        of_views = {key: value.flatten(0, 1) for key, value in draws.items()}
        views = visible_channels(augment(pairs.flatten(0, 1), self.augmentations, of_views), of_views)
        projections: Tensor = self.head(self.encoder.embed_moments(views)).float()
        return projections.unflatten(0, (len(batch), 2))

    def loss(self, batch: Tensor, draws: Draws) -> Tensor:
        projections = self.project(batch, draws)
        return self._compare(gather_samples(projections) if self.training else projections)

    def _compare(self, projections: Tensor) -> Tensor:
        # Products of all pairs, rounded to the few digits of bfloat16, would hardly separate neighbours.
        with torch.autocast(projections.device.type, enabled=False):
            return self.compare(projections)

    def tally(self, batch: Tensor, draws: Draws) -> Tensor:
        """Samples and their summed loss; views and how many have their partner for nearest."""
        projections = self.project(batch, draws)
        n = len(projections)
        found = partner_is_nearest(projections).sum()
        total = [n * self._compare(projections), torch.tensor(n), found, torch.tensor(2 * n)]
        return torch.stack([value.detach().cpu().double() for value in total])

    def evaluation(self, total: Tensor) -> tuple[float, float | None]:
        """Mean loss; and the proportion of views whose partner is the nearest, by chance 1 in 2 n - 1."""
        return float(total[0] / total[1]), float(total[2] / total[3])


def partner_is_nearest(projections: Tensor) -> Tensor:
    """Whether no other view is nearer than its partner, bool, shape (2 n,), of projections (n, 2, n_dimensions)."""
    views = projections.flatten(0, 1)
    number = torch.arange(len(views), device=views.device)
    # Not by way of scalar products, in which small distances between long vectors drown.
    distance = torch.cdist(views, views, compute_mode="donot_use_mm_for_euclid_dist")
    nearest = distance.masked_fill(number[:, None] == number, torch.inf).argmin(dim=-1)
    return nearest == partner(number)


def partner(number: Tensor) -> Tensor:
    """Row of the other view of a sample, where the views of a sample are rows 2 i and 2 i + 1."""
    return number ^ 1
