"""The 50-layer residual network over time of the published study, and a decoder that mirrors it."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ppgssl.core.config.pretraining import ResNet50Shape
from ppgssl.selfsupervised.encoders.base import EncoderNetwork
from ppgssl.selfsupervised.encoders.layers import SubPixelUp

_BLOCKS = (3, 4, 6, 3)
_EXPANSION = 2
_POOL = 3
_STEM_KERNEL, _STEM_DILATION = 7, 2
_POOL_KERNEL = 7


class ResNet50d1(EncoderNetwork):
    """The encoder of the published study [1]_: a ResNet-50 [2]_ over time, 9.2 million numbers for two channels.

    A stem, then four stages of 3, 4, 6 and 3 bottlenecks, before each of which maximum pooling divides time by three.
    Instead of a stride, the first bottleneck of the second, third and fourth stage dilates its kernel by 2, 4 and 8.
    Batch normalisation follows every convolution, as published. The last 1,024 features become ``n_features`` by one
    linear map of each time step, which gives the same numbers as that of their mean over time.

    Two things differ from the publication: the stem pads by all that its kernel reaches, so that segments of any length
    work (three zeros more at either end), and the dropout and normalisation before its last linear map are left to the
    objectives.

    Segments run through two-dimensional convolutions of height one whose features are neighbours in memory (channels
    last). The sums are the same; on a processor a training step is a third faster, and tensor cores are better fed.
    (On processors, torch 2.13 writes past the end of memory for the weights of a strided convolution of kernel size 1
    with fewer than 16 inputs in that layout. There is none here, and there must be none.)

    References
    ----------
    .. [1] Mwaniki et al., Using self-supervised feature learning to improve the use of pulse oximeter signals to
       predict paediatric hospitalization, Wellcome Open Research 6:248, 2023, 10.12688/wellcomeopenres.17148.2.
    .. [2] He et al., Deep residual learning for image recognition, CVPR 2016, arXiv:1512.03385.
    """

    name = "resnet50-1d"
    bf16_pays_on_cpu = True

    def __init__(self, n_channels: int, shape: ResNet50Shape) -> None:
        widths = [shape.width * 2**stage for stage in range(len(_BLOCKS))]
        outputs = [_EXPANSION * width for width in widths]
        inputs = [shape.width, *outputs[:-1]]
        super().__init__(n_channels, shape, [*inputs, outputs[-1], shape.n_features], stride=_POOL**4)
        self.width = shape.width
        self.stem = nn.Sequential(
            _convolution(n_channels, shape.width, _STEM_KERNEL, dilation=_STEM_DILATION), nn.BatchNorm2d(shape.width)
        )
        self.stages = nn.ModuleList(
            _stage(n_in, width, n_blocks, dilation=2**stage)
            for stage, (n_in, width, n_blocks) in enumerate(zip(inputs, widths, _BLOCKS, strict=True))
        )
        self.head = nn.Conv2d(outputs[-1], shape.n_features, 1)

    def feature_maps(self, x: Tensor) -> list[Tensor]:
        """What each stage is given, what the last one gives, and its linear map: each (batch, features, time)."""
        signal = self.stem(x.unsqueeze(2).contiguous(memory_format=torch.channels_last))
        maps = [_pool(signal).relu()]  # pooled first: the same, and a third of the work
        for stage in self.stages[:-1]:
            maps.append(_pool(stage(maps[-1])))
        maps.append(self.stages[-1](maps[-1]))
        maps.append(self.head(maps[-1]))
        return [feature_map.squeeze(2) for feature_map in maps]

    def make_decoder(self) -> ResNet50d1Decoder:
        return ResNet50d1Decoder(self)


class ResNet50d1Decoder(nn.Module):
    """Feature map -> samples in four steps, each of which multiplies time by three."""

    def __init__(self, encoder: ResNet50d1) -> None:
        super().__init__()
        sizes = [encoder.n_features, 4 * encoder.width, 2 * encoder.width, encoder.width, encoder.n_channels]
        self.ups = nn.Sequential(*(SubPixelUp(n_in, n_out, _POOL) for n_in, n_out in pairwise(sizes)))

    def forward(self, feature_map: Tensor, length: int) -> Tensor:
        """Samples, shape (batch, n_channels, length), of a feature map of shape (batch, n_features, time)."""
        samples: Tensor = self.ups(feature_map)
        return samples[..., :length]  # pooling rounds up, so there are enough


class Bottleneck(nn.Module):
    """Convolutions of kernel size 1, 3 and 1 that narrow, mix and widen, added to the input."""

    def __init__(self, n_in: int, width: int, *, dilation: int) -> None:
        super().__init__()
        n_out = _EXPANSION * width
        self.branch = nn.Sequential(
            _convolution(n_in, width, 1),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            _convolution(width, width, 3, dilation=dilation),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            _convolution(width, n_out, 1),
            nn.BatchNorm2d(n_out),
        )
        is_same = n_in == n_out
        self.shortcut = nn.Identity() if is_same else nn.Sequential(_convolution(n_in, n_out, 1), nn.BatchNorm2d(n_out))

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.branch(x).add_(self.shortcut(x)).relu_())


def _stage(n_in: int, width: int, n_blocks: int, *, dilation: int) -> nn.Sequential:
    """Bottlenecks of one width, the first of which widens the features and dilates its kernel."""
    first = Bottleneck(n_in, width, dilation=dilation)
    others = (Bottleneck(_EXPANSION * width, width, dilation=1) for _ in range(n_blocks - 1))
    return nn.Sequential(first, *others)


def _convolution(n_in: int, n_out: int, kernel_size: int, *, dilation: int = 1) -> nn.Conv2d:
    """Convolution over time, which keeps its length; normalisation follows, so it has no offset."""
    padding = dilation * (kernel_size // 2)
    layer = nn.Conv2d(n_in, n_out, (1, kernel_size), padding=(0, padding), dilation=(1, dilation), bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer


def _pool(x: Tensor) -> Tensor:
    """Maxima of seven neighbours; n time steps become n / 3, rounded up."""
    return functional.max_pool2d(x, (1, _POOL_KERNEL), (1, _POOL), (0, _POOL_KERNEL // 2))
