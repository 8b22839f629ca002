"""What every encoder is: segments in, feature maps of every depth and one representation out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from ppgssl.core.config.pretraining import AnyShape

_MIN_VARIANCE = 1e-6


class EncoderNetwork(nn.Module, ABC):
    """A network over segments of ``n_channels`` input channels; a channel that a cohort lacks is all zeros.

    ``shape`` is its size, ``depth_dims`` the number of feature maps of each depth, ``n_features`` that of the last one,
    and ``embedding_dim`` the length of the representation.

    References
    ----------
    .. [1] Bordes et al., Guillotine regularization: why removing layers is needed to improve generalization in
       self-supervised learning, TMLR 2023, arXiv:2206.13378.
    """

    name: ClassVar[str]
    # Measured: products must be large for what bfloat16 saves to exceed what converting to it costs.
    bf16_pays_on_cpu: ClassVar[bool] = False

    def __init__(self, n_channels: int, shape: AnyShape, depth_dims: list[int]) -> None:
        super().__init__()
        self.n_channels, self.shape, self.depth_dims = n_channels, shape, depth_dims
        self.n_features = depth_dims[-1]
        self.representation: Literal["every-depth", "last"] = shape.representation
        self.embedding_dim = 2 * sum(depth_dims) if self.representation == "every-depth" else self.n_features

    @abstractmethod
    def feature_maps(self, x: Tensor) -> list[Tensor]:
        """Feature maps of each depth, (batch, features, time), of segments of shape (batch, n_channels, length)."""

    @abstractmethod
    def make_decoder(self) -> nn.Module:
        """An untrained decoder: called with the last feature map and a length, it gives (batch, n_channels, length)."""

    def forward(self, x: Tensor) -> Tensor:
        """Last feature map, shape (batch, n_features, time), of segments of shape (batch, n_channels, length)."""
        return self.feature_maps(x)[-1]

    def embed_depths(self, x: Tensor) -> list[Tensor]:
        """Mean and SD over time of the feature maps of each depth, each of shape (batch, 2 * features)."""
        return [torch.cat(_moments(feature_map), dim=-1) for feature_map in self.feature_maps(x)]

    def embed(self, x: Tensor) -> Tensor:
        """Representation, shape (batch, embedding_dim), of segments of shape (batch, n_channels, length).

        The last layers of a pretrained network serve its pretext task, and earlier ones often transfer better [1]_.
        Which ones cannot be known beforehand, so by default all are pooled and the classifier weighs them.
        """
        if self.representation == "last":
            return self(x).float().mean(dim=-1)
        return torch.cat(self.embed_depths(x), dim=-1)


def _moments(feature_map: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and SD over time; the variance is kept off 0, where the square root has no gradient."""
    values = feature_map.float()
    mean = values.mean(dim=-1, keepdim=True)
    variance = (values - mean).square().mean(dim=-1)  # in two passes, twice as fast as torch's one
    return mean.squeeze(-1), (variance + _MIN_VARIANCE).sqrt()


def n_parameters(module: nn.Module) -> int:
    """How many numbers a module learns."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
