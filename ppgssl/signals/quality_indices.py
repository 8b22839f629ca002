"""Signal quality of segments, from published indices; none is fitted to labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len, rfft
from scipy.signal.windows import hann

from ppgssl.core.config.fixed import TOLERATED_PROPORTION
from ppgssl.core.records import BoolArray, FloatArray, IntArray
from ppgssl.signals.artefacts import Defect, FlagArray
from ppgssl.signals.segment_beats import Beats, beat_similarity, find_beats
from ppgssl.signals.segmentation import in_blocks

# A segment is defective if more than this share of it is interpolated.
# Pulse waves have their power here, at any heart rate from 30 to 240 per minute.
_PULSE_HZ = (0.5, 8.0)
# Power below this (39 beats per minute) is more often baseline movement than pulse.
_SLOW_HZ = 0.65
# A pause between beats costs nothing up to the first (30 beats per minute) and everything from the second on. Half way
# lies the limit of Orphanidou et al., 3 s.
_PAUSE_S = (2.0, 4.0)
# What rises less steeply than this share of a typical pulse is none.
_WEAK_SHARE = 0.3


@dataclass(frozen=True)
class Block:
    """Segments to be judged, and what several indices need of them.

    Attributes
    ----------
    segments : float array, shape (n_segments, n_samples)
        Band-passed, finite, none constant.
    fs_hz : float
    """

    segments: FloatArray
    fs_hz: float

    @cached_property
    def beats(self) -> Beats:
        return find_beats(self.segments, fs_hz=self.fs_hz)

    @cached_property
    def power(self) -> FloatArray:
        """Hann-windowed periodogram, shape (n_segments, len(frequency_hz))."""
        n_samples = self.segments.shape[-1]
        spectrum = rfft(self.segments * hann(n_samples, sym=False), self._n_fft, axis=-1)
        return np.asarray(spectrum.real**2 + spectrum.imag**2)

    @property
    def frequency_hz(self) -> FloatArray:
        return np.fft.rfftfreq(self._n_fft, 1 / self.fs_hz)

    @property
    def _n_fft(self) -> int:
        return int(next_fast_len(2 * self.segments.shape[-1], real=True))


def template_index(block: Block) -> FloatArray:
    """How alike the beats are: 0 up to a mean correlation of 0.6, which noise reaches, 1 at identical beats [1]_.

    Beats are aligned at their upstrokes, so an irregular rhythm loses nothing. NaN with fewer than two beats.

    References
    ----------
    .. [1] Orphanidou et al., Signal-quality indices for the electrocardiogram and photoplethysmogram, IEEE J Biomed
       Health Inform 19:832-838, 2015, doi 10.1109/JBHI.2014.2338351.
    """
    similarity = beat_similarity(block.segments, block.beats)
    return np.clip((similarity - 0.6) / 0.4, 0, 1)


def structure_index(block: Block) -> FloatArray:
    """The larger of :func:`spectral_index` (a pulse wave) and :func:`skewness_index` (a pulse with long pauses)."""
    return np.maximum(spectral_index(block), skewness_index(block))


def ecg_structure_index(block: Block) -> FloatArray:
    """The largest of :func:`spectral_index`, :func:`skewness_index` and :func:`kurtosis_index`.

    A fast or wide-complex rhythm has a spectrum far from flat; narrow complexes, as high as deep, have kurtosis only.
    """
    return np.maximum(structure_index(block), kurtosis_index(block))


def spectral_index(block: Block) -> FloatArray:
    """How concentrated the spectrum from 0.5 to 8 Hz is: 0 for white noise, 1 at 0.7 of the largest entropy.

    Spectral entropy stands for the relative power and the entropy of [2]_: it needs no band in which the heart rate
    would have to lie.
    """
    is_pulse = (block.frequency_hz >= _PULSE_HZ[0]) & (block.frequency_hz <= _PULSE_HZ[1])
    band = block.power[:, is_pulse]
    share = band / np.maximum(band.sum(axis=-1, keepdims=True), np.finfo(np.float64).tiny)
    entropy = -(share * np.log(np.maximum(share, np.finfo(np.float64).tiny))).sum(axis=-1)
    return np.clip((1 - entropy / np.log(max(share.shape[-1], 2))) / 0.3, 0, 1)


def skewness_index(block: Block) -> FloatArray:
    """How asymmetric the amplitudes are: 0 up to a skewness of 1/2 either way, 1 from 3/2 on [2]_.

    In [2]_ skewness told good PPG best. A zero-phase band-pass brings clean pulses near a skewness of 0 (and arrhythmic
    ones below), so it serves here for what stays skewed, as an ECG does whatever its polarity.

    References
    ----------
    .. [2] Elgendi, Optimal signal quality index for photoplethysmogram signals, Bioengineering 3(4):21, 2016,
       doi 10.3390/bioengineering3040021.
    """
    x = block.segments - block.segments.mean(axis=-1, keepdims=True)
    squared = x * x
    skewness = (squared * x).mean(axis=-1) / squared.mean(axis=-1) ** 1.5
    return np.clip(np.abs(skewness) - 0.5, 0, 1)


def kurtosis_index(block: Block) -> FloatArray:
    """How rare and high the peaks are (kSQI): 0 up to a kurtosis of 3, that of Gaussian noise, 1 from 5 on [4]_ [5]_.

    References
    ----------
    .. [4] Clifford, Behar, Li and Rezek, Signal quality indices and data fusion for determining clinical acceptability
       of electrocardiograms, Physiol Meas 33:1419-1433, 2012, doi 10.1088/0967-3334/33/9/1419.
    .. [5] Zhao and Zhang, SQI quality evaluation mechanism of single-lead ECG signal based on simple heuristic fusion
       and fuzzy comprehensive evaluation, Front Physiol 9:727, 2018, doi 10.3389/fphys.2018.00727.
    """
    squared = (block.segments - block.segments.mean(axis=-1, keepdims=True)) ** 2
    kurtosis = (squared**2).mean(axis=-1) / squared.mean(axis=-1) ** 2
    return np.clip((kurtosis - 3) / 2, 0, 1)


def wander_index(block: Block) -> FloatArray:
    """Share of the power that lies above 0.65 Hz, as basSQI in [5]_: what is slower is baseline rather than pulse."""
    total = np.maximum(block.power.sum(axis=-1), np.finfo(np.float64).tiny)
    return np.asarray(block.power[:, block.frequency_hz >= _SLOW_HZ].sum(axis=-1) / total)


def amplitude_index(block: Block) -> FloatArray:
    """Height of the median second over that of the highest: 1 from 0.6 on, which ectopic beats reach; 0 at a burst.

    After the relative amplitude of pulses in [3]_.

    References
    ----------
    .. [3] Sukor, Redmond and Lovell, Signal quality measures for pulse oximetry through waveform morphology analysis,
       Physiol Meas 32:369-384, 2011, doi 10.1088/0967-3334/32/3/008.
    """
    segments, n_samples = block.segments, block.segments.shape[-1]
    n_pieces = max(1, int(n_samples / block.fs_hz))
    edges = np.linspace(0, n_samples, n_pieces + 1).astype(np.int64)[:-1]
    height = np.maximum.reduceat(segments, edges, axis=-1) - np.minimum.reduceat(segments, edges, axis=-1)
    return np.clip(np.median(height, axis=-1) / height.max(axis=-1) / 0.6, 0, 1)


def pause_index(block: Block) -> FloatArray:
    """Longest stretch without a pulse: 1 up to 2 s, 0 from 4 s on, so that 1/2 is the limit of 3 s in [6]_.

    A pulse is a rise of at least 0.3 of a typical one's steepness: the small pulses of a ventricular tachycardia count.
    A true pause of the heart is judged like a lost signal: the one cannot be told from the other in a single channel.

    References
    ----------
    .. [6] Orphanidou et al., Signal-quality indices for the electrocardiogram and photoplethysmogram, IEEE J Biomed
       Health Inform 19:832-838, 2015, doi 10.1109/JBHI.2014.2338351.
    """
    slope = np.diff(block.segments, axis=-1)
    n_pieces = max(1, int(slope.shape[-1] / (_PAUSE_S[0] * block.fs_hz)))
    edges = np.linspace(0, slope.shape[-1], n_pieces + 1).astype(np.int64)[:-1]
    typical = np.median(np.maximum.reduceat(slope, edges, axis=-1), axis=-1, keepdims=True)
    is_rise = (slope >= _WEAK_SHARE * typical) & (slope > 0)
    row, sample = np.nonzero(np.pad(is_rise, ((0, 0), (1, 1)), constant_values=True))
    # The step from the end of one segment to the start of the next is negative, and the first is 0.
    longest = np.maximum.reduceat(np.diff(sample, prepend=0), np.flatnonzero(np.diff(row, prepend=-1)))
    return np.clip((_PAUSE_S[1] - longest / block.fs_hz) / (_PAUSE_S[1] - _PAUSE_S[0]), 0, 1)


Index = Callable[[Block], FloatArray]
"""Of each segment of a block, a number in 0..1, or NaN where the index is not defined; shape (n_segments,)."""

QUALITY: dict[str, Index] = {
    "template": template_index,
    "structure": structure_index,
    "wander": wander_index,
    "amplitude": amplitude_index,
    "pauses": pause_index,
}
"""Name -> index of a PPG."""

ECG_QUALITY: dict[str, Index] = {**QUALITY, "structure": ecg_structure_index}
"""Name -> index of an ECG lead."""

_QUALITY_OF = {"ppg": QUALITY, "ecg": ECG_QUALITY}


def sqi(segments: FloatArray, *, fs_hz: float, modality: str = "ppg") -> FloatArray:
    """Signal quality index: a segment is as good as its worst index in ``QUALITY`` (PPG) or ``ECG_QUALITY``.

    Parameters
    ----------
    segments : float array, shape (n_segments, n_samples)
        Band-passed PPG or ECG, of 2 s or longer.
    fs_hz : float
        Sampling rate.
    modality : "ppg" or "ecg"
        See :func:`ppgssl.core.records.modality`.

    Returns
    -------
    float array, shape (n_segments,)
        In 0..1; NaN where the segment is constant or has a NaN. An index that is not defined for a segment, such as
        the likeness of beats where there is one beat, is left out.
    """

    def worst(x: FloatArray, fs_hz: float) -> FloatArray:
        block = Block(x, fs_hz)
        return np.asarray(np.fmin.reduce([index(block) for index in _QUALITY_OF[modality].values()]))

    return in_blocks(worst, segments, fs_hz)


def segment_defects(flags: FlagArray, starts: IntArray, length: int) -> NDArray[np.object_]:
    """The worst defect of each segment.

    Parameters
    ----------
    flags : uint8 array, shape (n_samples,)
        Bits of :class:`~ppgssl.signals.artefacts.Defect`, as ``preprocess`` gives them.
    starts, length
        See :func:`ppgssl.signals.segmentation.cut`.

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
    is_bad = is_lost | (_counts(flags > 0, starts, ends) > TOLERATED_PROPORTION * length)
    names = np.array([str(defect.name).lower() for defect in defects], dtype=object)
    return np.where(is_bad, names[counts.argmax(axis=0)], "")


def _counts(mask: BoolArray, starts: IntArray, ends: IntArray) -> IntArray:
    total = np.concatenate([[0], np.cumsum(mask)])
    return np.asarray(total[ends] - total[starts])
