"""What every encoder is: segments in, feature maps of every depth and one representation out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from ppgssl.core.config.pretraining import AnyShape
from ppgssl.selfsupervised.encoders.beat_head import BeatHead

_MIN_VARIANCE = 1e-6


class EncoderNetwork(nn.Module, ABC):
    """A network over segments of ``n_channels`` input channels; a channel that a cohort lacks is all zeros.

    ``shape`` is its size, ``depth_dims`` the number of feature maps of each depth, ``n_features`` that of the last one,
    ``stride`` how many samples a time of the last map stands for, ``fs_hz`` the sampling rate of its segments.
    ``beat_head`` is None where the representation has no readouts. ``moments_dim`` is the length of the representation
    without readouts, ``embedding_dim`` with them.

    References
    ----------
    .. [1] Bordes et al., Guillotine regularization: why removing layers is needed to improve generalization in
       self-supervised learning, TMLR 2023, arXiv:2206.13378.
    """

    name: ClassVar[str]
    fs_hz: float
    # Measured: products must be large for what bfloat16 saves to exceed what converting to it costs.
    bf16_pays_on_cpu: ClassVar[bool] = False

    def __init__(self, n_channels: int, shape: AnyShape, depth_dims: list[int], *, stride: int) -> None:
        super().__init__()
        self.n_channels, self.shape, self.depth_dims, self.stride = n_channels, shape, depth_dims, stride
        self.n_features = depth_dims[-1]
        self.representation = shape.representation or "moments"
        self.moments_dim = self.n_features if self.representation == "last" else 2 * sum(depth_dims)
        self.beat_head: BeatHead | None = None

    def make_beat_head(self, *, fs_hz: float) -> BeatHead:
        """An untrained beat head for segments of this sampling rate."""
        return BeatHead(self.n_features, self.n_channels, stride_s=self.stride / fs_hz)

    @property
    def readout_names(self) -> list[str]:
        """Names of the representation's last dimensions, those of the beat head."""
        return self.beat_head.names if self.beat_head is not None else []

    @property
    def embedding_dim(self) -> int:
        return self.moments_dim + len(self.readout_names)

    @abstractmethod
    def feature_maps(self, x: Tensor) -> list[Tensor]:
        """Feature maps of each depth, (batch, features, time), of segments of shape (batch, n_channels, length)."""

    @abstractmethod
    def make_decoder(self) -> nn.Module:
        """An untrained decoder: called with the last feature map and a length, it gives (batch, n_channels, length)."""

    def forward(self, x: Tensor) -> Tensor:
        """Last feature map, shape (batch, n_features, time), of segments of shape (batch, n_channels, length)."""
        return self.feature_maps(x)[-1]

    def embed(self, x: Tensor) -> Tensor:
        """Representation, shape (batch, embedding_dim), of segments of shape (batch, n_channels, length).

        The last layers of a pretrained network serve its pretext task, and earlier ones often transfer better [1]_.
        Which ones cannot be known beforehand, so by default all are pooled and the classifier weighs them. What varies
        from beat to beat is lost in such a mean; the readouts hold it.
        """
        maps = self.feature_maps(x)
        moments = self._pooled(maps)
        return moments if self.beat_head is None else torch.cat([moments, self.beat_head.readouts(maps[-1])], dim=-1)

    def embed_moments(self, x: Tensor) -> Tensor:
        """The representation without its readouts, shape (batch, moments_dim): what pretext tasks compare."""
        return self._pooled(self.feature_maps(x))

    def embed_parts(self, x: Tensor) -> list[Tensor]:
        """Moments of each depth, each of shape (batch, 2 * features); then the readouts, where there are any."""
        maps = self.feature_maps(x)
        readouts = [self.beat_head.readouts(maps[-1])] if self.beat_head is not None else []
        return [*(moments(feature_map) for feature_map in maps), *readouts]

    def _pooled(self, maps: list[Tensor]) -> Tensor:
        if self.representation == "last":
            return maps[-1].float().mean(dim=-1)
        return torch.cat([moments(feature_map) for feature_map in maps], dim=-1)


def moments(feature_map: Tensor) -> Tensor:
    """Mean and SD over time, shape (batch, 2 * features), of a map of shape (batch, features, time).

    The variance is kept off 0, where the square root has no gradient.
    """
    values = feature_map.float()
    mean = values.mean(dim=-1, keepdim=True)
    variance = (values - mean).square().mean(dim=-1)  # in two passes, twice as fast as torch's one
    return torch.cat([mean.squeeze(-1), (variance + _MIN_VARIANCE).sqrt()], dim=-1)


def n_parameters(module: nn.Module) -> int:
    """How many numbers a module learns."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
