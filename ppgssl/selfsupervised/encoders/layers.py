"""Layers that encoders and their decoders share."""

from __future__ import annotations

from torch import Tensor, nn


class SubPixelUp(nn.Module):
    """Multiplies time: a convolution makes ``factor`` times the features, which become neighbours in time [1]_.

    References
    ----------
    .. [1] Shi et al., Real-time single image and video super-resolution using an efficient sub-pixel convolutional
       neural network, CVPR 2016, arXiv:1609.05158.
    """

    def __init__(self, n_in: int, n_out: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.convolve = nn.Sequential(normalisation(n_in), nn.SiLU(), convolution(n_in, factor * n_out, 3))

    def forward(self, x: Tensor) -> Tensor:
        features = self.convolve(x)
        batch, _, time = features.shape
        # (batch, factor, n_out, time): the factor's features become neighbours in time.
        split = features.view(batch, self.factor, -1, time)
        return split.permute(0, 2, 3, 1).reshape(batch, -1, time * self.factor)


def convolution(n_in: int, n_out: int, kernel_size: int, *, stride: int = 1) -> nn.Conv1d:
    """Convolution over time that turns n samples into n / stride, rounded up."""
    return nn.Conv1d(n_in, n_out, kernel_size, stride=stride, padding=kernel_size // 2)


def normalisation(n_features: int) -> nn.GroupNorm:
    """One mean and SD for all features and times of a segment; each feature its own gain and offset."""
    return nn.GroupNorm(1, n_features)
