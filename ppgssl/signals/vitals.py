"""All vital signs of the segments of one recording. A segment without beats has no vitals; nothing here raises."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ppgssl.core.records import FloatArray, IntArray, modality
from ppgssl.signals.beat_times import BeatTimes, ecg_beats, ppg_beats
from ppgssl.signals.oximetry import perfusion_index, ratio_of_ratios, spo2
from ppgssl.signals.pulse_arrival import pulse_arrival_time
from ppgssl.signals.pulse_rate import beat_rate, heart_rate
from ppgssl.signals.rate_track import SegmentRates, rate_track
from ppgssl.signals.respiration import respiratory_rate
from ppgssl.signals.segment_quality import Kind, own_rates, quality_inputs, right_probability
from ppgssl.signals.segmentation import cut
from ppgssl.signals.variability import heart_rate_variability

VITALS = (
    "heart_rate_bpm",
    "sdnn_ms",
    "rmssd_ms",
    "respiratory_rate_per_min",
    "ratio_of_ratios",
    "spo2_percent",
    "perfusion_index_percent",
    "pulse_arrival_time_ms",
)
"""Names of the vitals, in the order of the store's columns."""

# An ECG is timed more sharply than a PPG: it is preferred unless its quality is lower than the PPG's by more than this.
_ECG_BONUS = 0.1
# Neighbouring segments keep to the recording's best channel unless another is better by more than this.
_HABIT_BONUS = 0.05
# The other way round for breathing, which moves the PPG more: an ECG serves where no PPG is this good.
_GOOD_PPG = 0.5
# The perfusion index is defined for infrared; other colours are second choice. Other names follow in their order.
_PERFUSION_CHANNELS = ("ppg_ir", "ppg_red", "ppg", "ppg_green")

# A segment's own rate and the track's are one if they differ by at most this, or this proportion. A track is believed
# alone from this probability on, and beats alone from this template index on.
_NEAR_BPM, _NEAR = 3.0, 0.03
_PROBABLE = 0.5
_ALIKE = 0.6


@dataclass(frozen=True)
class VitalChannel:
    """One channel of a recording, as it is stored.

    Attributes
    ----------
    samples : float array, shape (n_samples,)
        Band-passed, polarity-corrected; NaN where unusable.
    baseline : float array, shape (n_seconds,)
        Raw level once a second, in the unit of ``samples``; NaN where unknown.
    has_baseline : bool
        Whether the raw level is proportional to the light received. Without, saturation and perfusion are unknown.
    """

    samples: FloatArray
    baseline: FloatArray
    has_baseline: bool


@dataclass(frozen=True)
class SegmentedRecording:
    """One recording, the segments ``[start, start + length)`` of it, and what their quality and vital signs share.

    Attributes
    ----------
    channels : mapping of channel name to VitalChannel
        All of one length. ``ppg_red``, ``ppg_ir``, ``ppg``, ``ppg_*`` and ``ecg_*``; other names are passed over.
    starts : int array, shape (n_segments,)
        First sample of each segment, within the recording.
    length : int
        Samples in a segment.
    fs_hz : float
        Sampling rate of all channels.
    acceleration : sequence of float arrays, shape (n_samples,)
        Axes of an accelerometer worn with the sensor.
    indices : mapping of channel name to float array, shape (n_segments, 5)
        Of :func:`ppgssl.signals.quality_indices.index_table`; without, quality is not assessed.
    """

    channels: Mapping[str, VitalChannel] = field(repr=False)
    starts: IntArray = field(repr=False)
    length: int
    fs_hz: float
    acceleration: Sequence[FloatArray] = field(default=(), repr=False)
    indices: Mapping[str, FloatArray] = field(default_factory=dict, repr=False)

    @property
    def ecg(self) -> list[str]:
        return [name for name in self.channels if modality(name) == "ecg"]

    @property
    def ppg(self) -> list[str]:
        return [name for name in self.channels if modality(name) == "ppg"]

    @cached_property
    def beats(self) -> dict[str, BeatTimes]:
        """Beats of each channel, over the whole recording."""
        find = {"ecg": ecg_beats, "ppg": ppg_beats}
        return {
            name: find[modality(name)](self.channels[name].samples, fs_hz=self.fs_hz) for name in [*self.ecg, *self.ppg]
        }

    @cached_property
    def tracked(self) -> SegmentRates | None:
        """Heart rate of the segments from the track of all PPG channels; None in a recording too short for one."""
        track = rate_track(
            [self.channels[name].samples for name in self.ppg],
            [self.beats[name] for name in self.ppg],
            fs_hz=self.fs_hz,
            acceleration=self.acceleration,
        )
        return track.over(self.starts / self.fs_hz, self.length / self.fs_hz) if len(track.time_s) else None

    def own_rate(self, name: str) -> FloatArray:
        """Heart rate of the segments, from one channel's samples in them alone."""
        if name in self.ecg:
            return beat_rate(self.beats[name], self.starts, self.length, fs_hz=self.fs_hz)
        return heart_rate(self.segments(name), fs_hz=self.fs_hz)

    def rate(self, name: str) -> FloatArray:
        """Heart rate of the segments from one channel and, of a PPG, from the track."""
        own = self.own_rate(name)
        if name in self.ecg or self.tracked is None:
            return own
        of_beats = beat_rate(self.beats[name], self.starts, self.length, fs_hz=self.fs_hz)
        likeness = self.indices[name][:, 0] if name in self.indices else np.zeros(len(own))
        return joined_rate(own, self.tracked, of_beats, likeness)

    def segments(self, name: str) -> FloatArray:
        return cut(self.channels[name].samples, self.starts, self.length)


def segment_quality(recording: SegmentedRecording) -> dict[str, FloatArray]:
    """Probability that each segment's heart rate and beats are right, by channel; each of shape (n_segments,).

    Segments with a missing sample, or without any variation, have the probability 0.
    """
    return {name: _quality_of(recording, name) for name in [*recording.ecg, *recording.ppg]}


def _quality_of(recording: SegmentedRecording, name: str) -> FloatArray:
    segments = recording.segments(name)
    is_whole = np.isfinite(segments).all(axis=1) & (np.ptp(segments, axis=1) > 0)
    return np.where(is_whole, right_probability(*inputs_of(recording, name)), 0.0)


def inputs_of(recording: SegmentedRecording, name: str) -> tuple[FloatArray, Kind]:
    """Inputs of the probability for one channel's segments, shape (n_segments, 15), and which coefficients apply."""
    is_ecg = name in recording.ecg
    alike = recording.ecg if is_ecg else recording.ppg
    rates = None if is_ecg else recording.tracked
    kind: Kind = "ecg" if is_ecg else "short_ppg" if rates is None else "ppg"
    if rates is None:
        rates = own_rates(recording.own_rate(name))
    inputs = quality_inputs(
        recording.indices[name],
        rates,
        recording.beats[name],
        [recording.beats[other] for other in alike if other != name],
        np.nan_to_num(recording.segments(name).std(axis=1, dtype=np.float64)),
        recording.starts,
        recording.length,
        fs_hz=recording.fs_hz,
    )
    return inputs, kind


def joined_rate(own: FloatArray, tracked: SegmentRates, of_beats: FloatArray, likeness: FloatArray) -> FloatArray:
    """Heart rate of the segments of a PPG.

    A segment's own rate is the finest: it counts where the track confirms it, within 3 per minute or 3 %. Else the
    track's rate counts where it is probable; and where it is not, as in atrial fibrillation, the rate of the segment's
    beats if they are alike. Otherwise the rate is not known.

    Parameters
    ----------
    own, of_beats, likeness : float arrays, shape (n_segments,)
        :func:`~ppgssl.signals.pulse_rate.heart_rate` and :func:`~ppgssl.signals.pulse_rate.beat_rate` of the segments,
        and their template index.
    tracked : SegmentRates
    """
    confirmed = np.abs(own - tracked.heart_rate_bpm) <= np.maximum(_NEAR_BPM, _NEAR * tracked.heart_rate_bpm)
    other = np.where(
        tracked.probability >= _PROBABLE, tracked.heart_rate_bpm, np.where(likeness >= _ALIKE, of_beats, np.nan)
    )
    return np.where(confirmed, own, other)


def segment_vitals(
    recording: SegmentedRecording, quality: Mapping[str, FloatArray], *, spo2_calibration: Sequence[float]
) -> dict[str, FloatArray]:
    """Vital signs of the segments of one recording.

    Parameters
    ----------
    recording : SegmentedRecording
    quality : mapping of channel name to float array, shape (n_segments,)
        SQI in 0..1; NaN where the segment was not assessed.
    spo2_calibration : sequence of float
        Polynomial in the ratio of ratios, constant first; see :func:`ppgssl.signals.oximetry.spo2`.

    Returns
    -------
    dict of name to float array, shape (n_segments,)
        One for each of ``VITALS``; NaN where unknown. Segments of low quality are not left out: whether to believe a
        value is the business of the quality index. Heart rate and its variability come from the channel with the best
        SQI of each segment, an ECG lead if its SQI is at most 0.1 lower; the rate of a PPG is :func:`joined_rate`.
        Respiratory rate comes from the best PPG, or from the best lead where that PPG's SQI is under 0.5 and the
        lower; the pulse arrival time from the best lead and the best PPG. Of channels within 0.05, the one that is
        better over the recording counts.
    """
    assessed = _Assessed(recording, quality)
    beating = assessed.best([*recording.ecg, *recording.ppg], bonus=_ECG_BONUS)
    sdnn, rmssd = assessed.gather(beating, assessed.variability, n_values=2)
    ratio = assessed.ratio_of_ratios()
    values = (
        assessed.heart_rate(beating),
        sdnn,
        rmssd,
        assessed.gather(assessed.breathing(), assessed.respiratory_rate)[0],
        ratio,
        spo2(ratio, spo2_calibration),
        assessed.perfusion_index(),
        assessed.pulse_arrival_time(),
    )
    return dict(zip(VITALS, values, strict=True))


@dataclass(frozen=True)
class _Assessed:
    """A recording with the quality of its segments."""

    recording: SegmentedRecording
    quality: Mapping[str, FloatArray]

    @property
    def starts(self) -> IntArray:
        return self.recording.starts

    @property
    def length(self) -> int:
        return self.recording.length

    @property
    def fs_hz(self) -> float:
        return self.recording.fs_hz

    def best(self, names: Sequence[str], *, bonus: float = 0.0) -> NDArray[np.object_]:
        """Name of each segment's channel with the highest quality (plus a bonus for an ECG), "" where none has one."""
        if not names or not len(self.starts):
            return np.full(len(self.starts), "", dtype=object)
        is_lead = [name in self.recording.ecg for name in names]
        quality = np.stack([self.quality[name] + bonus * lead for name, lead in zip(names, is_lead, strict=True)])
        quality[np.nan_to_num(quality).mean(axis=1).argmax()] += _HABIT_BONUS
        quality = np.where(np.isfinite(quality), quality, -np.inf)
        chosen = np.array(names, dtype=object)[quality.argmax(axis=0)]
        return np.where(quality.max(axis=0) > -np.inf, chosen, "")

    def quality_of(self, chosen: NDArray[np.object_]) -> FloatArray:
        """Quality of the channel chosen for each segment, -1 where none is."""
        quality = np.full(len(chosen), -1.0)
        for name in _names(chosen):
            quality[chosen == name] = self.quality[name][chosen == name]
        return quality

    def gather(
        self, chosen: NDArray[np.object_], compute: Callable[[str, IntArray], Sequence[FloatArray]], n_values: int = 1
    ) -> FloatArray:
        """``compute(name, starts)`` for the segments of each chosen channel, shape (n_values, n_segments)."""
        values = np.full((n_values, len(self.starts)), np.nan)
        for name in _names(chosen):
            values[:, chosen == name] = compute(name, self.starts[chosen == name])
        return values

    def heart_rate(self, chosen: NDArray[np.object_]) -> FloatArray:
        rates = np.full(len(chosen), np.nan)
        for name in _names(chosen):
            at = chosen == name
            rates[at] = self.recording.rate(name)[at]
        return rates

    def variability(self, name: str, starts: IntArray) -> Sequence[FloatArray]:
        return heart_rate_variability(self.recording.beats[name], starts, self.length, fs_hz=self.fs_hz)

    def breathing(self) -> NDArray[np.object_]:
        """The channel from which each segment's breathing is estimated."""
        ppg, ecg = self.best(self.recording.ppg), self.best(self.recording.ecg)
        quality = self.quality_of(ppg)
        return np.where((quality >= _GOOD_PPG) | (quality >= self.quality_of(ecg)), ppg, ecg)

    def respiratory_rate(self, name: str, starts: IntArray) -> Sequence[FloatArray]:
        samples, beats = self.recording.channels[name].samples, self.recording.beats[name]
        return [respiratory_rate(samples, beats, starts, self.length, fs_hz=self.fs_hz, modality=modality(name))]

    def ratio_of_ratios(self) -> FloatArray:
        red, infrared = self.recording.channels.get("ppg_red"), self.recording.channels.get("ppg_ir")
        if red is None or infrared is None or not (red.has_baseline and infrared.has_baseline):
            return np.full(len(self.starts), np.nan)
        return ratio_of_ratios(
            red.samples,
            infrared.samples,
            red.baseline,
            infrared.baseline,
            self.starts,
            self.length,
            fs_hz=self.fs_hz,
        )

    def perfusion_index(self) -> FloatArray:
        usable = [name for name in self.recording.ppg if self.recording.channels[name].has_baseline]
        if not usable:
            return np.full(len(self.starts), np.nan)
        name = next((name for name in _PERFUSION_CHANNELS if name in usable), usable[0])
        channel = self.recording.channels[name]
        return perfusion_index(
            channel.samples, channel.baseline, self.recording.beats[name], self.starts, self.length, fs_hz=self.fs_hz
        )

    def pulse_arrival_time(self) -> FloatArray:
        """From each segment's best lead to its best PPG."""
        leads, pulses = self.best(self.recording.ecg), self.best(self.recording.ppg)
        values = np.full(len(self.starts), np.nan)
        for lead in _names(leads):
            for pulse in _names(pulses):
                both = (leads == lead) & (pulses == pulse)
                values[both] = pulse_arrival_time(
                    self.recording.beats[lead],
                    self.recording.beats[pulse],
                    self.starts[both],
                    self.length,
                    fs_hz=self.fs_hz,
                )
        return values


def _names(chosen: NDArray[np.object_]) -> list[str]:
    return sorted(set(chosen.tolist()) - {""})
