"""Compact, strided residual network over time, and the decoder that mirrors it."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from ppgssl.core.config.pretraining import ResNet1dShape
from ppgssl.selfsupervised.encoders.base import EncoderNetwork
from ppgssl.selfsupervised.encoders.layers import SubPixelUp, convolution, normalisation

# The first convolution takes four samples to one. The pulse lies below 8 Hz and is sampled far above that, and there
# are more feature maps than samples taken together, so nothing is lost, and all that follows is four times as cheap.
STEM_STRIDE = 4
_STAGE_STRIDE = 2


class ResNet1d(EncoderNetwork):
    """Compact residual encoder with pre-activation blocks [1]_.

    A stem divides time by four, each stage halves it and, from the second on, doubles the feature maps. Normalisation
    is by group, over all features and times of one segment [2]_: hidden and whole segments, of which batch statistics
    would be two different ones, and the other segments of a batch do not enter a segment's representation. The
    residual path itself is not normalised, so the amplitude of a segment stays in it.

    References
    ----------
    .. [1] He et al., Identity mappings in deep residual networks, ECCV 2016, arXiv:1603.05027.
    .. [2] Wu and He, Group normalization, ECCV 2018, arXiv:1803.08494.
    """

    name = "resnet1d"

    def __init__(self, n_channels: int, shape: ResNet1dShape) -> None:
        widths = [shape.width * 2**stage for stage in range(shape.n_stages)]
        before = [shape.width, *widths[:-1]]
        stride = STEM_STRIDE * _STAGE_STRIDE**shape.n_stages
        super().__init__(n_channels, shape, [shape.width, *widths], stride=stride)
        self.widths = widths
        self.stem = convolution(n_channels, shape.width, shape.kernel_size, stride=STEM_STRIDE)
        self.stages = nn.ModuleList(_stage(n_in, width, shape) for n_in, width in zip(before, widths, strict=True))

    def feature_maps(self, x: Tensor) -> list[Tensor]:
        """Feature maps of the stem and of each stage, each of shape (batch, features, time)."""
        signal = self.stem(x)
        maps = [functional.silu(signal)]
        for stage in self.stages:
            signal = stage(signal)
            # Blocks activate their input, so what leaves a stage is not activated yet.
            maps.append(functional.silu(signal))
        return maps

    def make_decoder(self) -> ResNet1dDecoder:
        return ResNet1dDecoder(self)


class ResNet1dDecoder(nn.Module):
    """The encoder's strides in reverse: feature map -> samples.

    It is light on purpose: a pretext decoder need not be strong for the encoder to learn [1]_, and is thrown away
    afterwards.

    References
    ----------
    .. [1] Xie et al., SimMIM: a simple framework for masked image modeling, CVPR 2022, arXiv:2111.09886.
    """

    def __init__(self, encoder: ResNet1d) -> None:
        super().__init__()
        ups: list[nn.Module] = []
        stem_width = encoder.depth_dims[0]
        narrower = [stem_width, *encoder.widths[:-1]]
        for n_in, n_out in zip(reversed(encoder.widths), reversed(narrower), strict=True):
            ups.append(SubPixelUp(n_in, n_out, _STAGE_STRIDE))
        self.ups = nn.Sequential(*ups, SubPixelUp(stem_width, encoder.n_channels, STEM_STRIDE))

    def forward(self, feature_map: Tensor, length: int) -> Tensor:
        """Samples, shape (batch, n_channels, length), of a feature map of shape (batch, n_features, time)."""
        samples: Tensor = self.ups(feature_map)
        # The encoder rounds every division of time up, so there are at least as many samples as went in.
        return samples[..., :length]


class ResidualBlock(nn.Module):
    """Two convolutions, each after normalisation and activation, added to a (strided) copy of the input."""

    def __init__(self, n_in: int, n_out: int, kernel_size: int, *, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            normalisation(n_in),
            nn.SiLU(),
            convolution(n_in, n_out, kernel_size, stride=stride),
            normalisation(n_out),
            nn.SiLU(),
            convolution(n_out, n_out, kernel_size),
        )
        is_same = n_in == n_out and stride == 1
        self.shortcut = nn.Identity() if is_same else convolution(n_in, n_out, 1, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.shortcut(x) + self.branch(x))


def _stage(n_in: int, width: int, shape: ResNet1dShape) -> nn.Sequential:
    """Residual blocks of one width, the first of which halves time."""
    first = ResidualBlock(n_in, width, shape.kernel_size, stride=_STAGE_STRIDE)
    others = (ResidualBlock(width, width, shape.kernel_size, stride=1) for _ in range(shape.blocks_per_stage - 1))
    return nn.Sequential(first, *others)
