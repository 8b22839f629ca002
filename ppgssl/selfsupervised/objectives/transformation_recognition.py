"""Transformation recognition: what was a segment put through?"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ppgssl.core.config.pretraining import AnyAugmentation, TransformationRecognitionOptions
from ppgssl.selfsupervised.augmentations import augment, draw_augmentations
from ppgssl.selfsupervised.encoders.base import EncoderNetwork
from ppgssl.selfsupervised.objectives.base import Draws, Objective, projection_head, visible_channels

_PROPORTION = 0.5


class TransformationRecognition(Objective):
    """Encoder, a head with an output for each transformation, and the binary cross-entropy of each [1]_, [2]_.

    Each transformation is applied to half of the segments, independently of the others and in the order given, so a
    segment has been through half of them on average. In [1]_ and [2]_ a segment is put through one at a time: of the
    batch, each then needs a transformed copy, and most answers are no. Here one pass serves all, and every question is
    open. The score is chance at 0.5, and stays there for what cannot be seen, such as scaling, where segments come in
    all sizes.

    References
    ----------
    .. [1] Saeed et al., Multi-task self-supervised learning for human activity detection, Proc ACM IMWUT 3(2), 2019,
       arXiv:1907.11879.
    .. [2] Sarkar and Etemad, Self-supervised ECG representation learning for emotion recognition, IEEE Transactions
       on Affective Computing, 2020, arXiv:2002.03898.
    """

    name = "transformation-recognition"
    score_name = "balanced accuracy over transformations"

    def __init__(
        self,
        encoder: EncoderNetwork,
        options: TransformationRecognitionOptions,
        *,
        fs_hz: float,
        channel_dropout: float = 0.0,
    ) -> None:
        del fs_hz
        super().__init__(encoder, channel_dropout=channel_dropout)
        self.transformations: list[AnyAugmentation] = [
            transformation.model_copy(update={"probability": _PROPORTION}) for transformation in options.transformations
        ]
        width = encoder.moments_dim
        self.head = projection_head(width, width, len(self.transformations), n_layers=2)

    def draw(self, n: int, length: int, generator: torch.Generator) -> Draws:
        """What the transformations need, with ``<place>.applied``, and the channels to keep."""
        draws = draw_augmentations(self.transformations, n, self.encoder.n_channels, length, generator)
        return {**draws, **super().draw(n, length, generator)}

    def answers(self, batch: Tensor, draws: Draws) -> Tensor:
        """Log-odds that each transformation was applied, float32, shape (n, n_transformations)."""
        changed = visible_channels(augment(batch, self.transformations, draws), draws)
        logits: Tensor = self.head(self.encoder.embed_moments(changed))
        return logits.float()

    def truth(self, draws: Draws) -> Tensor:
        """Whether each transformation was applied, bool, shape (n, n_transformations)."""
        return torch.stack([draws[f"{place}.applied"] for place in range(len(self.transformations))], dim=1)

    def loss(self, batch: Tensor, draws: Draws) -> Tensor:
        return functional.binary_cross_entropy_with_logits(self.answers(batch, draws), self.truth(draws).float())

    def tally(self, batch: Tensor, draws: Draws) -> Tensor:
        """Samples and their summed loss; of each transformation: right and all answers, of applied and of others."""
        logits, truth = self.answers(batch, draws), self.truth(draws)
        loss = functional.binary_cross_entropy_with_logits(logits, truth.float())
        is_right = (logits > 0) == truth
        counts = torch.stack([is_right & truth, truth, is_right & ~truth, ~truth]).sum(dim=1)
        counted = torch.stack([loss * len(batch), torch.full_like(loss, len(batch))])
        return torch.cat([counted.detach().cpu().double(), counts.cpu().double().flatten()])

    def evaluation(self, total: Tensor) -> tuple[float, float | None]:
        """Mean loss; and balanced accuracy, the mean over transformations of which both answers occurred."""
        right_applied, n_applied, right_others, n_others = total[2:].reshape(4, -1)
        occurred = (n_applied > 0) & (n_others > 0)
        accuracy = (right_applied / n_applied + right_others / n_others)[occurred] / 2
        return float(total[0] / total[1]), float(accuracy.mean()) if len(accuracy) else None
