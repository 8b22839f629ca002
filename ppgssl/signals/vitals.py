"""All vital signs of the segments of one recording. A segment without beats has no vitals; nothing here raises."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ppgssl.core.records import FloatArray, IntArray, modality
from ppgssl.signals.beat_times import BeatTimes, ecg_beats, ppg_beats
from ppgssl.signals.oximetry import perfusion_index, ratio_of_ratios, spo2
from ppgssl.signals.pulse_arrival import pulse_arrival_time
from ppgssl.signals.pulse_rate import heart_rate
from ppgssl.signals.respiration import respiratory_rate
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


@dataclass(frozen=True)
class VitalChannel:
    """One channel of a recording, as it is stored, with the quality of its segments.

    Attributes
    ----------
    samples : float array, shape (n_samples,)
        Band-passed, upright; NaN where unusable.
    baseline : float array, shape (n_seconds,)
        Raw level once a second, in the unit of ``samples``; NaN where unknown.
    has_baseline : bool
        Whether the raw level is proportional to the light received. Without, saturation and perfusion are unknown.
    quality : float array, shape (n_segments,)
        SQI in 0..1; NaN where the segment cannot be judged.
    """

    samples: FloatArray
    baseline: FloatArray
    has_baseline: bool
    quality: FloatArray


def segment_vitals(
    channels: Mapping[str, VitalChannel],
    starts: IntArray,
    length: int,
    *,
    fs_hz: float,
    spo2_calibration: Sequence[float],
) -> dict[str, FloatArray]:
    """Vital signs of the segments ``[start, start + length)`` of one recording.

    Parameters
    ----------
    channels : mapping of channel name to VitalChannel
        All of one length. ``ppg_red``, ``ppg_ir``, ``ppg``, ``ppg_*`` and ``ecg_*``; other names are passed over.
    starts : int array, shape (n_segments,)
        First sample of each segment, within the recording.
    length : int
        Samples in a segment.
    fs_hz : float
        Sampling rate of all channels.
    spo2_calibration : sequence of float
        Polynomial in the ratio of ratios, constant first; see :func:`ppgssl.signals.oximetry.spo2`.

    Returns
    -------
    dict of name to float array, shape (n_segments,)
        One for each of ``VITALS``; NaN where unknown. Segments of low quality are not left out: whether to believe a
        value is the business of the quality index. Heart rate and its variability come from the channel with the best
        SQI of each segment, an ECG lead if its SQI is at most 0.1 lower; respiratory rate from the best PPG, or from
        the best lead where that PPG's SQI is under 0.5 and the lower; the pulse arrival time from the best lead and the
        best PPG. Of channels within 0.05, the one that is better over the recording counts.
    """
    recording = _Recording(channels, np.asarray(starts, dtype=np.int64), length, fs_hz)
    beating = recording.best([*recording.ecg, *recording.ppg], bonus=_ECG_BONUS)
    sdnn, rmssd = recording.gather(beating, recording.variability, n_values=2)
    ratio = recording.ratio_of_ratios()
    values = (
        recording.gather(beating, recording.heart_rate)[0],
        sdnn,
        rmssd,
        recording.gather(recording.breathing(), recording.respiratory_rate)[0],
        ratio,
        spo2(ratio, spo2_calibration),
        recording.perfusion_index(),
        recording.pulse_arrival_time(),
    )
    return dict(zip(VITALS, values, strict=True))


class _Recording:
    """Channels and segments of one recording, and the beats of each channel that was asked for."""

    def __init__(self, channels: Mapping[str, VitalChannel], starts: IntArray, length: int, fs_hz: float) -> None:
        self.channels, self.starts, self.length, self.fs_hz = channels, starts, length, fs_hz
        self.ecg = [name for name in channels if modality(name) == "ecg"]
        self.ppg = [name for name in channels if modality(name) == "ppg"]
        self._beats: dict[str, BeatTimes] = {}

    def beats(self, name: str) -> BeatTimes:
        if name not in self._beats:
            find = ecg_beats if modality(name) == "ecg" else ppg_beats
            self._beats[name] = find(self.channels[name].samples, fs_hz=self.fs_hz)
        return self._beats[name]

    def best(self, names: Sequence[str], *, bonus: float = 0.0) -> NDArray[np.object_]:
        """Name of each segment's channel with the highest quality (plus a bonus for an ECG), "" where none has one."""
        if not names or not len(self.starts):
            return np.full(len(self.starts), "", dtype=object)
        quality = np.stack([self.channels[name].quality + bonus * (name in self.ecg) for name in names])
        quality[np.nan_to_num(quality).mean(axis=1).argmax()] += _HABIT_BONUS
        quality = np.where(np.isfinite(quality), quality, -np.inf)
        chosen = np.array(names, dtype=object)[quality.argmax(axis=0)]
        return np.where(quality.max(axis=0) > -np.inf, chosen, "")

    def quality_of(self, chosen: NDArray[np.object_]) -> FloatArray:
        """Quality of the channel chosen for each segment, -1 where none is."""
        quality = np.full(len(chosen), -1.0)
        for name in _names(chosen):
            quality[chosen == name] = self.channels[name].quality[chosen == name]
        return quality

    def gather(
        self, chosen: NDArray[np.object_], compute: Callable[[str, IntArray], Sequence[FloatArray]], n_values: int = 1
    ) -> FloatArray:
        """``compute(name, starts)`` for the segments of each chosen channel, shape (n_values, n_segments)."""
        values = np.full((n_values, len(self.starts)), np.nan)
        for name in _names(chosen):
            values[:, chosen == name] = compute(name, self.starts[chosen == name])
        return values

    def heart_rate(self, name: str, starts: IntArray) -> Sequence[FloatArray]:
        return [heart_rate(cut(self.channels[name].samples, starts, self.length), fs_hz=self.fs_hz)]

    def variability(self, name: str, starts: IntArray) -> Sequence[FloatArray]:
        return heart_rate_variability(self.beats(name), starts, self.length, fs_hz=self.fs_hz)

    def breathing(self) -> NDArray[np.object_]:
        """The channel that tells each segment's breathing."""
        ppg, ecg = self.best(self.ppg), self.best(self.ecg)
        quality = self.quality_of(ppg)
        return np.where((quality >= _GOOD_PPG) | (quality >= self.quality_of(ecg)), ppg, ecg)

    def respiratory_rate(self, name: str, starts: IntArray) -> Sequence[FloatArray]:
        samples, beats = self.channels[name].samples, self.beats(name)
        return [respiratory_rate(samples, beats, starts, self.length, fs_hz=self.fs_hz, modality=modality(name))]

    def ratio_of_ratios(self) -> FloatArray:
        red, infrared = self.channels.get("ppg_red"), self.channels.get("ppg_ir")
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
        usable = [name for name in self.ppg if self.channels[name].has_baseline]
        if not usable:
            return np.full(len(self.starts), np.nan)
        name = next((name for name in _PERFUSION_CHANNELS if name in usable), usable[0])
        channel = self.channels[name]
        return perfusion_index(
            channel.samples, channel.baseline, self.beats(name), self.starts, self.length, fs_hz=self.fs_hz
        )

    def pulse_arrival_time(self) -> FloatArray:
        """From each segment's best lead to its best PPG."""
        leads, pulses = self.best(self.ecg), self.best(self.ppg)
        values = np.full(len(self.starts), np.nan)
        for lead in _names(leads):
            for pulse in _names(pulses):
                both = (leads == lead) & (pulses == pulse)
                values[both] = pulse_arrival_time(
                    self.beats(lead), self.beats(pulse), self.starts[both], self.length, fs_hz=self.fs_hz
                )
        return values


def _names(chosen: NDArray[np.object_]) -> list[str]:
    return sorted(set(chosen.tolist()) - {""})
