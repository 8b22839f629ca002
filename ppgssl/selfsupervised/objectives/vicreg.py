"""VICReg: two views get the same embedding, whose dimensions keep their variance and share no information."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from ppgssl.core.config.pretraining import VicRegOptions
from ppgssl.selfsupervised.encoders.base import EncoderNetwork
from ppgssl.selfsupervised.objectives.base import projection_head
from ppgssl.selfsupervised.objectives.two_views import TwoViewsObjective

_MIN_SD = 1.0
_EPSILON = 1e-4


class VicReg(TwoViewsObjective):
    """Encoder, expander, and three terms: invariance, variance and covariance [1]_.

    No segments are pushed apart, so it does no harm where two pairs of a batch are of one patient.

    References
    ----------
    .. [1] Bardes et al., VICReg: variance-invariance-covariance regularization for self-supervised learning,
       ICLR 2022, arXiv:2105.04906.
    """

    name = "vicreg"

    def __init__(
        self, encoder: EncoderNetwork, options: VicRegOptions, *, fs_hz: float, channel_dropout: float = 0.0
    ) -> None:
        del fs_hz
        head = projection_head(encoder.moments_dim, options.projection_dim, options.projection_dim, n_layers=3)
        super().__init__(encoder, options, head, channel_dropout=channel_dropout)
        self.options = options

    def compare(self, projections: Tensor) -> Tensor:
        """Weighted sum of the terms; of a lone sample, which has no variance, the first one."""
        first, second = projections.unbind(1)
        loss = self.options.similarity_weight * invariance(first, second)
        if len(projections) < 2:
            return loss
        spread = variance(first) + variance(second)
        shared = covariance(first) + covariance(second)
        return loss + self.options.variance_weight * spread + self.options.covariance_weight * shared


def invariance(first: Tensor, second: Tensor) -> Tensor:
    """Mean squared difference between the views, each of shape (n, n_dimensions).

    The mean is taken over dimensions, too, as in the published algorithm, for which the published weights hold.
    """
    return functional.mse_loss(first, second)


def variance(z: Tensor) -> Tensor:
    """By how much the SD of a dimension falls short of 1, mean over dimensions; ``z`` of shape (n, n_dimensions)."""
    return functional.relu(_MIN_SD - (z.var(dim=0) + _EPSILON).sqrt()).mean()


def covariance(z: Tensor) -> Tensor:
    """Sum of the squared covariances of different dimensions, over the number of dimensions."""
    centred = z - z.mean(dim=0)
    matrix = centred.T @ centred / (len(z) - 1)
    return (matrix.square().sum() - matrix.diagonal().square().sum()) / z.shape[1]
