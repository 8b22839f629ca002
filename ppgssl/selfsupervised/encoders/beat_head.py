"""From an encoder's last feature map to the beats: series of what changes from beat to beat, and their summary."""

from __future__ import annotations

import math
from collections.abc import Sequence

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
FREQUENCIES_HZ = tuple(round(0.1 * number, 1) for number in range(1, 13))
"""Of the readout's spectra: from slow waves of blood pressure to the breathing of infants."""
_N_HIDDEN = 64
_KERNEL = 5
# A series has a step for about as long, whatever the stride of the encoder: two or three in a beat.
_STEP_S = 0.2
_LEAST_SD = 1e-4
_LEAST_POWER = 1e-5


class BeatHead(nn.Module):
    """Two convolutions over the last feature map, which predict level and deviation of each measure at each time.

    The levels are standardised over the training segments, the deviations divided by ``DEVIATION_SCALES``; for the
    measures see :func:`ppgssl.signals.beat_sequence.beat_sequence`.

    Parameters
    ----------
    n_features, n_channels : int
        Of the encoder: features of the last map, input channels.
    stride_s : float
        Seconds from one time of the map to the next. Where they are long, a time of the map gives several of the
        series.

    Attributes
    ----------
    names : list of str
        What :meth:`readouts` gives, in order.
    """

    def __init__(self, n_features: int, n_channels: int, *, stride_s: float) -> None:
        super().__init__()
        self.n_channels, self.factor = n_channels, max(1, round(stride_s / _STEP_S))
        self.step_s = stride_s / self.factor
        self.layers = nn.Sequential(
            convolution(n_features, _N_HIDDEN, _KERNEL),
            nn.SiLU(),
            nn.Conv1d(_N_HIDDEN, self.factor * n_channels * len(MEASURES) * 2, 1),
        )
        others = [name for name in MEASURES if name not in SERIES]
        of_series = ["log_sd", "log_rmssd", *(f"log_power_{frequency:.1f}_hz" for frequency in FREQUENCIES_HZ)]
        self.names = [
            *(f"{name}_{statistic}" for name in SERIES for statistic in of_series),
            *(f"interval_with_height_{statistic}" for statistic in ("log_power", "in_phase", "quadrature")),
            *(f"channel_{channel}_{name}_mean" for channel, name in self._predicted(MEASURES)),
            *(f"channel_{channel}_{name}_log_sd" for channel, name in self._predicted(others)),
        ]

    def _predicted(self, names: Sequence[str]) -> list[tuple[int, str]]:
        """Channels and measures; but the ratio to the first channel is none of the first one's."""
        pairs = ((channel, name) for channel in range(self.n_channels) for name in names)
        return [pair for pair in pairs if pair != (0, "ratio")]

    def forward(self, feature_map: Tensor) -> tuple[Tensor, Tensor]:
        """Levels and deviations, each float32, shape (batch, n_channels, n_measures, n_times)."""
        output = self.layers(feature_map).float()
        batch, _, time = output.shape
        split = output.view(batch, self.n_channels, len(MEASURES), 2, self.factor, time)
        series = split.transpose(-1, -2).reshape(batch, self.n_channels, len(MEASURES), 2, time * self.factor)
        return series[..., 0, :], series[..., 1, :]

    def readouts(self, feature_map: Tensor) -> Tensor:
        """Summary of the series, shape (batch, len(names)).

        Of the deviations of ``SERIES``, averaged over channels: natural logarithms of SD, of the root mean square of
        successive differences, and of the power at ``FREQUENCIES_HZ`` (Hann window). Of interval and height together,
        the power of the interval where the height varies, as it does with breathing, and how they covary, in phase and
        a quarter of a cycle apart, as a proportion of both. Of each channel and measure the mean level, and of the
        measures of shape the logarithm of the deviations' SD.
        """
        level, deviation = self(feature_map)
        numbers = [MEASURES.index(name) for name in SERIES]
        series = centred(deviation[:, :, numbers].mean(dim=1))
        step = series[..., 1:] - series[..., :-1]
        rmssd = (step.square().sum(dim=-1) / max(step.shape[-1], 1)).sqrt()
        waves = spectrum(series, self.step_s)
        power = waves.square().sum(dim=-1)
        log_power = (power + _LEAST_POWER).log()
        of_series = [log_sd(series).unsqueeze(-1), (rmssd + _LEAST_SD).log().unsqueeze(-1), log_power]
        means, sds = level.mean(dim=-1), log_sd(centred(deviation))
        parts = [torch.cat(of_series, dim=-1).flatten(1), _together(waves, power), self._chosen(means, MEASURES)]
        return torch.cat([*parts, self._chosen(sds, [name for name in MEASURES if name not in SERIES])], dim=1)

    def _chosen(self, values: Tensor, names: Sequence[str]) -> Tensor:
        """Of values of shape (batch, n_channels, n_measures) those of :meth:`_predicted`, shape (batch, n)."""
        width = len(MEASURES)
        return values.flatten(1)[
            :, [channel * width + MEASURES.index(name) for channel, name in self._predicted(names)]
        ]


def centred(series: Tensor) -> Tensor:
    return series - series.mean(dim=-1, keepdim=True)


def log_sd(series: Tensor) -> Tensor:
    """Natural logarithm of the SD of centred series, kept off that of 0."""
    return ((series.square().mean(dim=-1) + _LEAST_SD**2).sqrt() + _LEAST_SD).log()


def spectrum(series: Tensor, step_s: float) -> Tensor:
    """Fourier sums of centred series at ``FREQUENCIES_HZ``, Hann window, shape (..., n_frequencies, 2): cosine, sine.

    Products with sines, not a fast Fourier transform: the frequencies stay the same for any length, and ONNX knows it.
    """
    time = torch.ones_like(series[:1, :1]).cumsum(dim=-1).squeeze(0)  # 1, 2, ..., of any length
    window = 0.5 - 0.5 * (2 * math.pi * (time - 0.5) / time.amax(dim=-1, keepdim=True)).cos()
    frequency = torch.tensor(FREQUENCIES_HZ, device=series.device).unsqueeze(-1)
    angle = 2 * math.pi * step_s * frequency * time
    windowed = series * window
    return torch.stack([windowed @ angle.cos().T, windowed @ angle.sin().T], dim=-1)


def _together(waves: Tensor, power: Tensor) -> Tensor:
    """Log power of the interval weighed by that of the height, and the covariance of both; shape (batch, 3)."""
    interval, height = waves[:, 0], waves[:, 1]
    weight = power[:, 1] / (power[:, 1].sum(dim=-1, keepdim=True) + _LEAST_POWER)
    shared = ((power[:, 0] * weight).sum(dim=-1) + _LEAST_POWER).log()
    size = power.sum(dim=-1).prod(dim=-1).sqrt() + _LEAST_POWER
    in_phase = (interval * height).sum(dim=(1, 2)) / size
    quadrature = (interval[..., 0] * height[..., 1] - interval[..., 1] * height[..., 0]).sum(dim=1) / size
    return torch.stack([shared, in_phase, quadrature], dim=-1)
