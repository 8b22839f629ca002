"""How far a reconstruction is from the segment, over the samples that count.

Each loss takes ``output`` and ``target``, float32, and ``counted``, bool, all of shape (n, n_channels, length), and the
sampling rate in Hz; it gives the loss of each segment, shape (n,). A channel of which no sample is counted does not
count, and a segment without a counted sample has the loss 0.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

# From the shape of a pulse to several pulses, of which the rate can be seen, and a breath.
SPECTRAL_WINDOWS_S = (0.5, 1.0, 2.0, 4.0)
_WINDOWS_OVERLAP = 4  # each sample lies in so many of them
# A hundredth of a channel's typical magnitude: below lies what the band-pass filter left over.
_FLOOR = 0.01
# Of the step that separates like from unlike signs, per squared RMS of the channel.
STEEPNESS = 100.0
_TINY = 1e-12


def mse(output: Tensor, target: Tensor, counted: Tensor, fs_hz: float) -> Tensor:
    """Mean squared error over the counted samples of a segment."""
    del fs_hz
    errors = ((output - target).square() * counted).sum(dim=(-2, -1))
    return errors / counted.sum(dim=(-2, -1)).clamp(min=1)


def spectral(output: Tensor, target: Tensor, counted: Tensor, fs_hz: float) -> Tensor:
    """Distance between the magnitude spectra of short windows of several lengths [1]_, [2]_.

    For each window length, the sum of the spectral convergence, which looks at the strongest frequencies, and of the
    mean absolute difference between logarithms of magnitudes, which looks at all alike [1]_. A hundredth of the
    channel's RMS magnitude is added before the logarithm is taken. Multiplying output and target by one number does
    not change the loss.

    Samples that are not counted are taken from the target on both sides, so that they are without error, and tie a
    filled-in interval to what surrounds it; windows without a counted sample are left out. Where all samples of a
    channel are counted, its sign is free, as magnitudes do not show it.

    References
    ----------
    .. [1] Yamamoto et al., Parallel WaveGAN: a fast waveform generation model based on generative adversarial networks
       with multi-resolution spectrogram, ICASSP 2020, arXiv:1910.11480.
    .. [2] Engel et al., DDSP: differentiable digital signal processing, ICLR 2020, arXiv:2001.04643.
    """
    composite = torch.where(counted, output, target)
    lengths = {min(max(4, round(seconds * fs_hz)), target.shape[-1]) for seconds in SPECTRAL_WINDOWS_S}
    of_channels = [_spectral_distance(composite, target, counted, length) for length in sorted(lengths)]
    return _mean_over_channels(torch.stack(of_channels).mean(dim=0), counted)


def _spectral_distance(output: Tensor, target: Tensor, counted: Tensor, length: int) -> Tensor:
    """Spectral convergence and log-magnitude difference at one window length, shape (n, n_channels)."""
    window = torch.hann_window(length, device=target.device)
    found, wanted = (torch.fft.rfft(_windows(values, length) * window).abs() for values in (output, target))
    counts = _windows(counted.float(), length).amax(dim=-1, keepdim=True)  # 1 where a sample of the window is counted
    floor = _FLOOR * wanted.square().mean(dim=(-2, -1), keepdim=True).sqrt() + _TINY
    n_counted = (counts.sum(dim=(-2, -1)) * wanted.shape[-1]).clamp(min=1)
    # Of what is as good as nothing, the proportion that came back means nothing.
    size = torch.maximum(_norm(wanted * counts), floor[..., 0, 0] * n_counted.sqrt())
    convergence = _norm((found - wanted) * counts) / size
    differences = ((found + floor).log() - (wanted + floor).log()).abs() * counts
    return convergence + differences.sum(dim=(-2, -1)) / n_counted


def _windows(x: Tensor, length: int) -> Tensor:
    """Overlapping intervals, shape (n, n_channels, n_windows, length), mirrored at the ends so that these count too."""
    padded = functional.pad(x, (length // 2, length // 2), mode="reflect")
    return padded.unfold(-1, length, max(1, length // _WINDOWS_OVERLAP))


def _norm(x: Tensor) -> Tensor:
    """Root of the sum of squares of each channel; at 0, where it has no gradient, the gradient is 0."""
    return torch.linalg.vector_norm(x, dim=(-2, -1))


def sdsc(output: Tensor, target: Tensor, counted: Tensor, fs_hz: float) -> Tensor:
    """One minus the signal Dice similarity coefficient: the proportion of amplitude without overlap [1]_.

    With a and b the samples of output and target, the coefficient of a channel is

        2 * sum of H(a * b) * min(|a|, |b|)  /  sum of (|a| + |b|),

    where H, 1 for like signs and 0 for unlike ones, is smoothed to the logistic function of ``STEEPNESS * a * b`` over
    the mean square of the target's channel, so that amplitudes of any scale are treated alike. Because of that, the
    loss of a perfect reconstruction is not quite 0.

    References
    ----------
    .. [1] Lee and Kang, SDSC: a structure-aware metric for semantic signal representation learning, 2025,
       arXiv:2507.14516.
    """
    del fs_hz
    scale = target.square().mean(dim=-1, keepdim=True).clamp(min=_TINY)
    is_alike = torch.sigmoid(STEEPNESS * output * target / scale)
    overlap = (2 * is_alike * torch.minimum(output.abs(), target.abs()) * counted).sum(dim=-1)
    total = ((output.abs() + target.abs()) * counted).sum(dim=-1)
    return _mean_over_channels((total - overlap) / total.clamp(min=_TINY), counted)


def sdsc_mse(output: Tensor, target: Tensor, counted: Tensor, fs_hz: float) -> Tensor:
    """The sum of :func:`sdsc`, for shape, and :func:`mse`, for amplitude: its authors' hybrid, with equal weights.

    Both are of one size where segments have a variance of about 1.
    """
    return sdsc(output, target, counted, fs_hz) + mse(output, target, counted, fs_hz)


def _mean_over_channels(losses: Tensor, counted: Tensor) -> Tensor:
    """Mean of (n, n_channels) losses over the channels of which a sample is counted, shape (n,)."""
    counts = counted.any(dim=-1)
    return (losses * counts).sum(dim=-1) / counts.sum(dim=-1).clamp(min=1)


RECONSTRUCTION_LOSSES: dict[str, Callable[[Tensor, Tensor, Tensor, float], Tensor]] = {
    "mse": mse,
    "spectral": spectral,
    "sdsc": sdsc,
    "sdsc+mse": sdsc_mse,
}
