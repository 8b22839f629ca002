"""The signal functions of a study for plain arrays: one call from raw samples to filtered ones, beats and vital signs.

Time is the last axis, and any axes may stand before it. Every function but :func:`preprocess` and :func:`spo2` takes
band-passed samples, as :func:`preprocess` returns them. What a study stores is computed by the same functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ppgssl.core.config.fixed import BANDS_HZ
from ppgssl.core.errors import SignalError
from ppgssl.core.records import FloatArray
from ppgssl.signals import oximetry, respiration
from ppgssl.signals.beat_times import BeatTimes, ecg_beats, ppg_beats
from ppgssl.signals.preprocessing import preprocess_all
from ppgssl.signals.pulse_rate import beat_rate
from ppgssl.signals.pulse_rate import heart_rate as segment_heart_rate
from ppgssl.signals.quality_indices import index_table, worst_index
from ppgssl.signals.rate_track import RateTrack, rate_track
from ppgssl.signals.segmentation import cut, segment_starts
from ppgssl.signals.variability import Variability, heart_rate_variability
from ppgssl.signals.vitals import SegmentedRecording, VitalChannel, segment_quality

Modality = Literal["ppg", "ecg"]


@dataclass(frozen=True)
class Preprocessed:
    """Filtered signals.

    Attributes
    ----------
    samples : float32 array, shape (..., n_samples)
        Band-passed, in the unit of the input; NaN where unusable.
    flags : uint8 array, shape (..., n_samples)
        Bits of :class:`ppgssl.signals.artefacts.Defect`: which defect each sample has.
    baseline : float32 array, shape (..., n_seconds)
        Median of the good raw samples of each second: the level that the band-pass removes.
    fs_hz : float
        Sampling rate of ``samples`` and ``flags``.
    """

    samples: FloatArray = field(repr=False)
    flags: np.ndarray = field(repr=False)
    baseline: FloatArray = field(repr=False)
    fs_hz: float


@dataclass(frozen=True)
class Beats:
    """Beats of one signal.

    Attributes
    ----------
    time_s : float array, shape (n_beats,)
        Seconds from the first sample: the steepest point of the upstroke (PPG), or the R peak (ECG).
    interval_ms : float array, shape (max(n_beats - 1, 0),)
        From each beat to the next; NaN where a sample between them is missing, or the pause is longer than 2 s.
    likeness : float array, shape (n_beats,)
        Correlation of each beat with the mean of those around it, -1 to 1: its confidence.
    """

    time_s: FloatArray = field(repr=False)
    interval_ms: FloatArray = field(repr=False)
    likeness: FloatArray = field(repr=False)

    def __len__(self) -> int:
        return len(self.time_s)


def preprocess(
    x: ArrayLike,
    *,
    fs_hz: float,
    fs_out_hz: float | None = None,
    band_hz: tuple[float, float] | None = None,
    modality: Modality | Literal["acc"] = "ppg",
    find_defects: bool = True,
) -> Preprocessed:
    """Find defects, band-pass each good interval on its own without delay, and resample.

    Parameters
    ----------
    x : array, shape (..., n_samples)
        Raw samples; NaN where missing.
    fs_hz : float
        Sampling rate of ``x``.
    fs_out_hz : float, optional
        Sampling rate of the result; that of ``x`` by default.
    band_hz : (low, high), optional
        Edges of the pass band, below half of both rates. By default 0.5 to 8 Hz of a PPG or acceleration, and 0.5 to
        40 Hz of an ECG.
    modality : {"ppg", "ecg", "acc"}
        Chooses the default band.
    find_defects : bool
        False looks for missing samples alone, and not for flat, clipped or jumping ones.

    Returns
    -------
    Preprocessed
        With ``round(n_samples * fs_out_hz / fs_hz)`` samples.

    Raises
    ------
    SignalError
        If a rate or the band is impossible, or ``x`` has no time axis.

    References
    ----------
    See :func:`ppgssl.signals.preprocessing.preprocess` and :func:`ppgssl.signals.filters.bandpass`.
    """
    raw = _as_samples(x)
    fs_out_hz = fs_hz if fs_out_hz is None else fs_out_hz
    rows = list(raw.reshape(-1, raw.shape[-1]))
    if modality not in BANDS_HZ:
        raise SignalError(f"`modality` is {modality!r}; known are {', '.join(BANDS_HZ)}")
    band = BANDS_HZ[modality] if band_hz is None else band_hz
    done = preprocess_all(rows, fs_hz=fs_hz, fs_out_hz=fs_out_hz, band_hz=band, look_for_defects=find_defects)
    columns = zip(*((one.samples, one.flags, one.baseline) for one in done), strict=True)
    samples, flags, baseline = (np.stack(column).reshape(*raw.shape[:-1], -1) for column in columns)
    return Preprocessed(samples, flags, baseline, fs_out_hz)


def segments(x: ArrayLike, *, fs_hz: float, segment_s: float, step_s: float | None = None) -> FloatArray:
    """Cut signals into segments of one length.

    Parameters
    ----------
    x : array, shape (..., n_samples)
    fs_hz, segment_s : float
        Sampling rate, and length of a segment.
    step_s : float, optional
        From one start to the next; ``segment_s`` by default.

    Returns
    -------
    array, shape (..., n_segments, round(segment_s * fs_hz))
        Segments that fit whole; none where the signal is shorter than one.

    Raises
    ------
    SignalError
        If a segment or a step is shorter than one sample.
    """
    samples = np.asarray(x)
    step = segment_s if step_s is None else step_s
    starts = segment_starts(samples.shape[-1], fs_hz=fs_hz, segment_s=segment_s, step_s=step)
    return cut(samples, starts, round(segment_s * fs_hz))


def beats(x: ArrayLike, *, fs_hz: float, modality: Modality = "ppg") -> Beats:
    """Beats of one signal; the longer it is, the better a typical beat is known.

    Parameters
    ----------
    x : array, shape (n_samples,)
        Band-passed, a PPG with its pulses upwards; NaN where unusable.
    fs_hz : float
    modality : {"ppg", "ecg"}

    Raises
    ------
    SignalError
        If ``x`` has more than one axis, or the modality is unknown.

    References
    ----------
    See :func:`ppgssl.signals.beat_times.ppg_beats` and :func:`ppgssl.signals.beat_times.ecg_beats`.
    """
    samples = _as_samples(x)
    if samples.ndim != 1:
        raise SignalError(f"beats are found in one signal at a time, and the array has the shape {samples.shape}")
    found = _beat_times(samples, fs_hz, modality)
    interval_ms = np.where(found.is_interval, np.diff(found.sample) * (1000 / fs_hz), np.nan)
    return Beats(found.sample / fs_hz, interval_ms, found.likeness)


def heart_rate(x: ArrayLike, *, fs_hz: float, modality: Modality = "ppg") -> FloatArray:
    """Heart rate of each signal, or segment, from the whole of its last axis.

    Parameters
    ----------
    x : array, shape (..., n_samples)
        Band-passed PPG or ECG of 2 s or longer; 10 to 30 s are typical.
    fs_hz : float
    modality : {"ppg", "ecg"}

    Returns
    -------
    float array, shape (...)
        Beats per minute, 30 to 240; NaN where no pulse is found, or a sample is missing.

    References
    ----------
    See :func:`ppgssl.signals.pulse_rate.heart_rate` and :func:`ppgssl.signals.pulse_rate.beat_rate`.
    """
    if _checked(modality) == "ppg":
        return _of_rows(x, lambda rows: segment_heart_rate(rows, fs_hz=fs_hz))
    whole = np.zeros(1, dtype=np.int64)

    def of_rows(rows: FloatArray) -> FloatArray:
        found = [beat_rate(ecg_beats(row, fs_hz=fs_hz), whole, len(row), fs_hz=fs_hz)[0] for row in rows]
        return np.array(found).reshape(len(rows))

    return _of_rows(x, of_rows)


def heart_rate_track(x: ArrayLike, *, fs_hz: float, acceleration: ArrayLike | None = None) -> RateTrack:
    """Follow the heart rate through one recording, in windows of 8 s every 2 s.

    Parameters
    ----------
    x : array, shape (n_samples,) or (n_channels, n_samples)
        Band-passed PPG, pulses upwards; NaN where unusable. Channels that see the same pulse support each other.
    fs_hz : float
    acceleration : array, shape (n_axes, n_samples), optional
        Of an accelerometer worn with the sensor, in any unit; :func:`preprocess` it with ``modality="acc"``.

    Returns
    -------
    RateTrack
        ``time_s``, ``heart_rate_bpm`` (30 to 240) and ``probability`` (that the rate is right within 5 per minute),
        float arrays of shape (n_windows,); empty for a recording under 8 s.

    Raises
    ------
    SignalError
        If ``x`` has more than two axes, or the acceleration another length.

    References
    ----------
    See :mod:`ppgssl.signals.rate_track`.
    """
    channels = np.atleast_2d(_as_samples(x))
    axes = np.empty((0, channels.shape[-1])) if acceleration is None else np.atleast_2d(_as_samples(acceleration))
    if channels.ndim != 2 or axes.ndim != 2 or axes.shape[1] != channels.shape[1]:
        raise SignalError(
            f"channels {channels.shape} and acceleration {axes.shape} must be (n_channels, n_samples), of one length"
        )
    found = [ppg_beats(channel, fs_hz=fs_hz) for channel in channels]
    return rate_track(list(channels), found, fs_hz=fs_hz, acceleration=list(axes))


def quality(
    x: ArrayLike,
    *,
    fs_hz: float,
    modality: Modality = "ppg",
    method: Literal["probability", "rules"] = "probability",
) -> FloatArray:
    """Signal quality index of each segment, from its own samples alone.

    Parameters
    ----------
    x : array, shape (..., n_samples)
        Band-passed segments of 2 s or longer.
    fs_hz : float
    modality : {"ppg", "ecg"}
    method : {"probability", "rules"}
        The probability that the segment's heart rate is within 5 per minute and its beats are right (F1 at least 0.9);
        or the worst of five published indices. In a study, the probability knows the rest of the recording and its
        other channels as well, and is the surer for it.

    Returns
    -------
    float array, shape (...)
        0 (worst) to 1 (best); NaN where the segment is constant, or a sample is missing.

    References
    ----------
    See :mod:`ppgssl.signals.segment_quality` and :mod:`ppgssl.signals.quality_indices`.
    """

    def of_rows(rows: FloatArray) -> FloatArray:
        table = index_table(rows, fs_hz=fs_hz, modality=_checked(modality))
        if method == "rules":
            return worst_index(table)
        is_defined = np.isfinite(rows).all(axis=1) & (np.ptp(rows, axis=1) > 0)
        found = [_right(row, indices, fs_hz, modality) for row, indices in zip(rows, table[:, None], strict=True)]
        return np.where(is_defined, np.array(found).reshape(len(rows)), np.nan)

    return _of_rows(x, of_rows)


def _right(row: FloatArray, indices: FloatArray, fs_hz: float, modality: Modality) -> float:
    channel = VitalChannel(row, np.zeros(0), has_baseline=False)
    whole = np.zeros(1, dtype=np.int64)
    recording = SegmentedRecording({modality: channel}, whole, len(row), fs_hz, indices={modality: indices})
    return float(segment_quality(recording)[modality][0])


def hrv(x: ArrayLike, *, fs_hz: float, modality: Modality = "ppg") -> Variability:
    """SDNN and RMSSD of the intervals between normal beats of each signal.

    Parameters
    ----------
    x : array, shape (..., n_samples)
        Band-passed, a PPG with its pulses upwards; NaN where unusable.
    fs_hz : float
    modality : {"ppg", "ecg"}
        Intervals of an ECG are the standard; those of a PPG give somewhat larger values.

    Returns
    -------
    Variability
        ``sdnn_ms`` and ``rmssd_ms``, float arrays of shape (...); NaN with fewer than five normal intervals.

    References
    ----------
    See :func:`ppgssl.signals.variability.heart_rate_variability`.
    """

    def of_rows(rows: FloatArray) -> FloatArray:
        whole = np.zeros(1, dtype=np.int64)
        found = [
            heart_rate_variability(_beat_times(row, fs_hz, modality), whole, rows.shape[-1], fs_hz=fs_hz)
            for row in rows
        ]
        return np.array([(one.sdnn_ms[0], one.rmssd_ms[0]) for one in found]).reshape(len(rows), 2)

    both = _of_rows(x, of_rows, n_values=2)
    return Variability(both[..., 0], both[..., 1])


def respiratory_rate(x: ArrayLike, *, fs_hz: float, modality: Modality = "ppg") -> FloatArray:
    """Respiratory rate of each signal, from the level, the height and the rhythm of its beats, where it is trusted.

    Parameters
    ----------
    x : array, shape (..., n_samples)
        Band-passed, of 16 s or longer; 32 s or longer are recommended.
    fs_hz : float
    modality : {"ppg", "ecg"}

    Returns
    -------
    float array, shape (...)
        Breaths per minute, 4 to 65; NaN where the probability that it is right, within 2 per minute, is under 0.6, or
        the signal is too short. :func:`ppgssl.signals.respiration.respiration` gives that probability.

    References
    ----------
    See :func:`ppgssl.signals.respiration.respiratory_rate`.
    """

    def of_row(row: FloatArray) -> FloatArray:
        found = _beat_times(row, fs_hz, modality)
        whole = np.zeros(1, dtype=np.int64)
        return respiration.respiratory_rate(row, found, whole, len(row), fs_hz=fs_hz, modality=modality)

    return _of_rows(x, lambda rows: np.array([of_row(row)[0] for row in rows]).reshape(len(rows)))


def spo2(
    red: ArrayLike,
    infrared: ArrayLike,
    *,
    fs_hz: float,
    calibration: Sequence[float] = (110.0, -25.0),
    band_hz: tuple[float, float] = BANDS_HZ["ppg"],
) -> FloatArray:
    """Oxygen saturation of each signal, from the raw light of two colours.

    Parameters
    ----------
    red, infrared : arrays, shape (..., n_samples)
        Raw samples, proportional to the light received: without their level there is no saturation.
    fs_hz : float
    calibration : sequence of float
        Polynomial in the ratio of ratios, constant first. The default is the textbooks' line, wrong by several percent
        for any given device: for trends, and not for treating patients.
    band_hz : (low, high)
        Pass band of both colours.

    Returns
    -------
    float array, shape (...)
        Percent, 50 to 100; NaN with less than 2 s where red follows infrared, or a ratio outside 0.2 to 2.4.

    Raises
    ------
    SignalError
        If the two arrays differ in shape, or a rate or the band is impossible.

    References
    ----------
    See :func:`ppgssl.signals.oximetry.ratio_of_ratios` and :func:`ppgssl.signals.oximetry.spo2`.
    """
    both = np.stack(_same_shape(_as_samples(red), _as_samples(infrared)))
    done = preprocess(both, fs_hz=fs_hz, band_hz=band_hz)
    n_samples = both.shape[-1]
    samples, levels = done.samples.reshape(2, -1, n_samples), done.baseline.reshape(2, -1, done.baseline.shape[-1])
    ratio = [
        _ratio_of_ratios(samples[:, row], levels[:, row], fs_hz=fs_hz, n_samples=n_samples)
        for row in range(samples.shape[1])
    ]
    return oximetry.spo2(np.array(ratio).reshape(both.shape[1:-1]), calibration)


def _same_shape(red: FloatArray, infrared: FloatArray) -> tuple[FloatArray, FloatArray]:
    if red.shape != infrared.shape:
        raise SignalError(f"red {red.shape} and infrared {infrared.shape} must have one shape")
    return red, infrared


def _ratio_of_ratios(samples: FloatArray, levels: FloatArray, *, fs_hz: float, n_samples: int) -> float:
    """Of one signal; ``samples`` and ``levels`` hold red and infrared."""
    (red, infrared), (red_level, infrared_level), whole = samples, levels, np.zeros(1, dtype=np.int64)
    ratio = oximetry.ratio_of_ratios(red, infrared, red_level, infrared_level, whole, n_samples, fs_hz=fs_hz)
    return float(ratio[0])


def _beat_times(samples: FloatArray, fs_hz: float, modality: Modality) -> BeatTimes:
    return (ecg_beats if _checked(modality) == "ecg" else ppg_beats)(samples, fs_hz=fs_hz)


def _of_rows(x: ArrayLike, compute: Callable[[FloatArray], FloatArray], *, n_values: int = 0) -> FloatArray:
    """``compute`` of the signals as one list of rows, its numbers given back the leading axes."""
    samples = _as_samples(x)
    found = compute(samples.reshape(-1, samples.shape[-1]))
    return found.reshape((*samples.shape[:-1], *((n_values,) if n_values else ())))


def _as_samples(x: ArrayLike) -> FloatArray:
    samples = np.asarray(x, dtype=np.float64)
    if samples.ndim == 0:
        raise SignalError("a signal needs a time axis, and was given a single number")
    return samples


def _checked(modality: Modality) -> Modality:
    if modality not in ("ppg", "ecg"):
        raise SignalError(f"`modality` is {modality!r}; known are ppg, ecg")
    return modality
