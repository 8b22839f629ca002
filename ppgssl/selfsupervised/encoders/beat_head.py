"""From an encoder's last feature map to the beats: series of what changes from beat to beat, and their summary."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ppgssl.selfsupervised.encoders.layers import convolution
from ppgssl.signals.beat_sequence import MEASURES

DEVIATION_SCALES = {
    "interval": 0.05,
    "height": 0.15,
    "rise": 0.04,
    "width": 0.04,
    "area": 0.03,
    "descent": 0.06,
    "ratio": 0.10,
}
"""What a deviation of each measure from its segment's mean is divided by: its typical size at rest."""
SERIES = ("interval", "height")
"""Measures whose variation over time is read out; of the others, the SD."""
N_FREQUENCIES = 12
"""Frequencies of the readout's spectra, evenly spaced from 0.04 to 0.48 per step of time (0.1 to 1.2 Hz by default)."""
_N_HIDDEN = 64
_KERNEL = 5
# A series has a step for about as many samples, whatever the stride of the encoder: 0.4 s at 40 Hz.
_SAMPLES_PER_STEP = 16
_LEAST_SD = 1e-4
_LEAST_POWER = 1e-5


class BeatHead(nn.Module):
    """Two convolutions over the last feature map, which tell level and deviation of each measure at each time.

    The levels are standardised over the training segments, the deviations divided by ``DEVIATION_SCALES``; for the
    measures see :func:`ppgssl.signals.beat_sequence.beat_sequence`.

    Parameters
    ----------
    n_features, n_channels : int
        Of the encoder: features of the last map, input channels.
    stride : int
        Samples of the input to a time of the map. Where they are many, a time of the map gives several of the series.

    Attributes
    ----------
    names : list of str
        What :meth:`readouts` gives, in order.
    """

    def __init__(self, n_features: int, n_channels: int, *, stride: int) -> None:
        super().__init__()
        self.n_channels, self.factor = n_channels, max(1, round(stride / _SAMPLES_PER_STEP))
        self.layers = nn.Sequential(
            convolution(n_features, _N_HIDDEN, _KERNEL),
            nn.SiLU(),
            nn.Conv1d(_N_HIDDEN, self.factor * n_channels * len(MEASURES) * 2, 1),
        )
        others = [name for name in MEASURES if name not in SERIES]
        of_series = ["log_sd", "log_rmssd", *(f"log_power_{number + 1:02d}" for number in range(N_FREQUENCIES))]
        self.names = [
            *(f"{name}_{statistic}" for name in SERIES for statistic in of_series),
            *(f"channel_{channel}_{name}_mean" for channel in range(n_channels) for name in MEASURES),
            *(f"channel_{channel}_{name}_log_sd" for channel in range(n_channels) for name in others),
        ]

    def forward(self, feature_map: Tensor) -> tuple[Tensor, Tensor]:
        """Levels and deviations, each float32, shape (batch, n_channels, n_measures, n_times)."""
        output = self.layers(feature_map).float()
        batch, _, time = output.shape
        split = output.view(batch, self.n_channels, len(MEASURES), 2, self.factor, time)
        series = split.transpose(-1, -2).reshape(batch, self.n_channels, len(MEASURES), 2, time * self.factor)
        return series[..., 0, :], series[..., 1, :]

    def readouts(self, feature_map: Tensor) -> Tensor:
        """Summary of the series, shape (batch, len(names)).

        Of the deviations of interval and height, averaged over channels: natural logarithms of SD, of the root mean
        square of successive differences, and of the power at ``N_FREQUENCIES`` frequencies (Hann window). Of each
        channel and measure the mean level, and of the measures of shape the logarithm of the deviations' SD.
        """
        level, deviation = self(feature_map)
        numbers = [MEASURES.index(name) for name in SERIES]
        series = centred(deviation[:, :, numbers].mean(dim=1))
        step = series[..., 1:] - series[..., :-1]
        rmssd = (step.square().sum(dim=-1) / max(step.shape[-1], 1)).sqrt()
        of_series = [log_sd(series).unsqueeze(-1), (rmssd + _LEAST_SD).log().unsqueeze(-1), log_spectrum(series)]
        others = [number for number in range(len(MEASURES)) if number not in numbers]
        parts = [torch.cat(of_series, dim=-1), level.mean(dim=-1), log_sd(centred(deviation[:, :, others]))]
        return torch.cat([part.flatten(1) for part in parts], dim=1)


def centred(series: Tensor) -> Tensor:
    return series - series.mean(dim=-1, keepdim=True)


def log_sd(series: Tensor) -> Tensor:
    """Natural logarithm of the SD of centred series, kept off that of 0."""
    return ((series.square().mean(dim=-1) + _LEAST_SD**2).sqrt() + _LEAST_SD).log()


def log_spectrum(series: Tensor) -> Tensor:
    """Natural logarithm of the power of centred series at ``N_FREQUENCIES`` frequencies, shape (..., N_FREQUENCIES).

    A sum over products with sines, not a fast Fourier transform: the frequencies stay the same for any length, and ONNX
    knows it.
    """
    time = torch.ones_like(series[:1, :1]).cumsum(dim=-1).squeeze(0)  # 1, 2, ..., of any length
    window = 0.5 - 0.5 * (2 * math.pi * (time - 0.5) / time[:, -1:]).cos()
    frequency = torch.arange(1, N_FREQUENCIES + 1, device=series.device).unsqueeze(-1) * (0.48 / N_FREQUENCIES)
    angle = 2 * math.pi * frequency * time
    windowed = series * window
    power = (windowed @ angle.cos().T).square() + (windowed @ angle.sin().T).square()
    return (power + _LEAST_POWER).log()
