"""Signal quality of segments, from published indices; none is fitted to labels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len, rfft
from scipy.signal.windows import hann

from ppgssl.records import BoolArray, FloatArray, IntArray
from ppgssl.signals.artefacts import Defect, FlagArray
from ppgssl.signals.beats import beat_similarity, find_beats
from ppgssl.signals.segments import in_blocks

# A segment is defective if more than this share of it is interpolated.
TOLERATED_SHARE = 0.05
# Pulse waves have their power here, at any heart rate from 30 to 240 per minute.
_PULSE_HZ = (0.5, 8.0)
# Power below this (39 beats per minute) is more often baseline movement than pulse.
_SLOW_HZ = 0.65


def template_index(segments: FloatArray, fs_hz: float) -> FloatArray:
    """How alike the beats are: 0 up to a mean correlation of 0.6, which noise reaches, 1 at identical beats [1]_.

    Beats are aligned at their upstrokes, so an irregular rhythm loses nothing. NaN with fewer than two beats.

    References
    ----------
    .. [1] Orphanidou et al., Signal-quality indices for the electrocardiogram and photoplethysmogram, IEEE J Biomed
       Health Inform 19:832-838, 2015, doi 10.1109/JBHI.2014.2338351.
    """
    similarity = beat_similarity(segments, find_beats(segments, fs_hz=fs_hz))
    return np.clip((similarity - 0.6) / 0.4, 0, 1)


def structure_index(segments: FloatArray, fs_hz: float) -> FloatArray:
    """The larger of :func:`spectral_index` (a pulse wave) and :func:`skewness_index` (narrow R waves)."""
    return np.maximum(spectral_index(segments, fs_hz), skewness_index(segments, fs_hz))


def spectral_index(segments: FloatArray, fs_hz: float) -> FloatArray:
    """How far the spectrum from 0.5 to 8 Hz is from flat: 0 for white noise, 1 at 0.7 of the largest entropy."""
    power, frequency_hz = _power(segments, fs_hz)
    band = power[:, (frequency_hz >= _PULSE_HZ[0]) & (frequency_hz <= _PULSE_HZ[1])]
    share = band / np.maximum(band.sum(axis=-1, keepdims=True), np.finfo(np.float64).tiny)
    entropy = -(share * np.log(np.maximum(share, np.finfo(np.float64).tiny))).sum(axis=-1)
    return np.clip((1 - entropy / np.log(max(share.shape[-1], 2))) / 0.3, 0, 1)


def skewness_index(segments: FloatArray, fs_hz: float) -> FloatArray:  # noqa: ARG001 - one signature for all
    """How asymmetric the amplitudes are: 0 up to a skewness of 1/2 either way, 1 from 3/2 on [2]_.

    In [2]_ skewness told good PPG best. A zero-phase band-pass brings clean pulses near a skewness of 0 (and arrhythmic
    ones below), so it serves here for what stays skewed, as an ECG does whatever its polarity.

    References
    ----------
    .. [2] Elgendi, Optimal signal quality index for photoplethysmogram signals, Bioengineering 3(4):21, 2016,
       doi 10.3390/bioengineering3040021.
    """
    x = segments - segments.mean(axis=-1, keepdims=True)
    squared = x * x
    skewness = (squared * x).mean(axis=-1) / squared.mean(axis=-1) ** 1.5
    return np.clip(np.abs(skewness) - 0.5, 0, 1)


def wander_index(segments: FloatArray, fs_hz: float) -> FloatArray:
    """Share of the power that lies above 0.65 Hz: what is slower is baseline movement rather than pulse."""
    power, frequency_hz = _power(segments, fs_hz)
    return power[:, frequency_hz >= _SLOW_HZ].sum(axis=-1) / np.maximum(power.sum(axis=-1), np.finfo(np.float64).tiny)


def amplitude_index(segments: FloatArray, fs_hz: float) -> FloatArray:
    """Height of the median second over that of the highest: 1 from 0.6 on, which ectopic beats reach; 0 at a burst.

    After the relative amplitude of pulses in [3]_.

    References
    ----------
    .. [3] Sukor, Redmond and Lovell, Signal quality measures for pulse oximetry through waveform morphology analysis,
       Physiol Meas 32:369-384, 2011, doi 10.1088/0967-3334/32/3/008.
    """
    n_samples = segments.shape[-1]
    n_pieces = max(1, int(n_samples / fs_hz))
    edges = np.linspace(0, n_samples, n_pieces + 1).astype(np.int64)[:-1]
    height = np.maximum.reduceat(segments, edges, axis=-1) - np.minimum.reduceat(segments, edges, axis=-1)
    return np.clip(np.median(height, axis=-1) / height.max(axis=-1) / 0.6, 0, 1)


QUALITY: dict[str, Callable[[FloatArray, float], FloatArray]] = {
    "template": template_index,
    "structure": structure_index,
    "wander": wander_index,
    "amplitude": amplitude_index,
}
"""Name -> index: (segments (n_segments, n_samples) that are finite and vary, fs_hz) -> (n_segments,) in 0..1 or NaN."""


def sqi(segments: FloatArray, *, fs_hz: float) -> FloatArray:
    """Signal quality index: a segment is as good as its worst index in ``QUALITY``.

    Parameters
    ----------
    segments : float array, shape (n_segments, n_samples)
        Band-passed PPG or ECG, of 2 s or longer.
    fs_hz : float
        Sampling rate.

    Returns
    -------
    float array, shape (n_segments,)
        In 0..1; NaN where the segment is constant or has a NaN. An index that is not defined for a segment, such as
        the likeness of beats where there is one beat, is left out.
    """
    return in_blocks(_worst, segments, fs_hz)


def segment_defects(flags: FlagArray, starts: IntArray, length: int) -> NDArray[np.object_]:
    """The worst defect of each segment.

    Parameters
    ----------
    flags : uint8 array, shape (n_samples,)
        Bits of :class:`~ppgssl.signals.artefacts.Defect`, as ``preprocess`` gives them.
    starts, length
        See :func:`ppgssl.signals.segments.cut`.

    Returns
    -------
    str array, shape (n_segments,)
        ``""`` where the segment is clean: no sample is lost, and at most 5 % are interpolated. Otherwise the defect
        with the largest share of samples: ``"gap"``, ``"flat"``, ``"clipped"`` or ``"jump"``, the first of equals.
    """
    starts = np.asarray(starts, dtype=np.int64)
    ends = starts + length
    defects = (Defect.GAP, Defect.FLAT, Defect.CLIPPED, Defect.JUMP)
    counts = np.stack([_counts((flags & defect) > 0, starts, ends) for defect in defects])
    is_lost = _counts((flags > 0) & (flags & Defect.BRIDGED == 0), starts, ends) > 0
    is_bad = is_lost | (_counts(flags > 0, starts, ends) > TOLERATED_SHARE * length)
    names = np.array([str(defect.name).lower() for defect in defects], dtype=object)
    return np.where(is_bad, names[counts.argmax(axis=0)], "")


def _worst(segments: FloatArray, fs_hz: float) -> FloatArray:
    return np.fmin.reduce([index(segments, fs_hz) for index in QUALITY.values()])


def _power(segments: FloatArray, fs_hz: float) -> tuple[FloatArray, FloatArray]:
    n_samples = segments.shape[-1]
    n_fft = next_fast_len(2 * n_samples, real=True)
    spectrum = rfft(segments * hann(n_samples, sym=False), n_fft, axis=-1)
    return spectrum.real**2 + spectrum.imag**2, np.fft.rfftfreq(n_fft, 1 / fs_hz)


def _counts(mask: BoolArray, starts: IntArray, ends: IntArray) -> IntArray:
    total = np.concatenate([[0], np.cumsum(mask)])
    return np.asarray(total[ends] - total[starts])
