"""Raw recordings -> what the store keeps of them: filtered, resampled, polarity-corrected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ppgssl.core.config.cohort import Cohort, TrendName
from ppgssl.core.config.fixed import BANDS_HZ
from ppgssl.core.records import FloatArray, Recording, Signal, modality
from ppgssl.signals.artefacts import Defect
from ppgssl.signals.filters import check_band
from ppgssl.signals.polarity import is_inverted, polarity
from ppgssl.signals.preprocessing import Processed, preprocess_all
from ppgssl.signals.resampling import check_rates
from ppgssl.store.rows import StoredChannel, StoredRecording, batches

# Raw samples that are filtered in one go: several arrays of this size in float64 are held at a time.
_BATCH_SAMPLES = 1_000_000


@dataclass(frozen=True)
class Chunk:
    """A recording to be stored, or a part of one.

    ``recording`` has ``padding_s``, whole seconds, more signal at its start than is stored, and maybe at its end, so
    that the filter meets no edge where a part begins or ends. ``trends`` begin with what is stored, of which
    ``duration_s`` is the length: all that there is by default. For the rest see
    :class:`~ppgssl.store.rows.StoredRecording`.
    """

    recording: Recording
    source_sha256: str
    trends: Mapping[TrendName, FloatArray] = field(default_factory=dict, repr=False)
    padding_s: float = 0.0
    duration_s: float | None = None
    start_s: float = 0.0
    n_of_source: int = 1

    @property
    def n_samples(self) -> int:
        return sum(len(signal.samples) for signal in self.recording.signals.values())


def process(chunks: Sequence[Chunk], cohort: Cohort) -> list[StoredRecording]:
    """Filter, resample and correct the polarity; a ``SignalError`` if a channel's rate is too low for its pass band."""
    groups = batches(chunks, lambda chunk: chunk.n_samples, _BATCH_SAMPLES)
    return [stored for batch in groups for stored in _process_batch(batch, cohort)]


def check_bands(recording_rates: Mapping[str, float], cohort: Cohort) -> None:
    """SignalError if a channel (name -> sampling rate in Hz) cannot be filtered as the cohort describes."""
    for name, fs_hz in recording_rates.items():
        low_hz, high_hz = band_hz(name, cohort)
        check_rates(fs_hz, cohort.signal.fs_hz)
        for rate in (fs_hz, cohort.signal.fs_hz):
            check_band(fs_hz=rate, low_hz=low_hz, high_hz=high_hz)


def band_hz(channel: str, cohort: Cohort) -> tuple[float, float]:
    """Pass band of a channel: the cohort's, or the default of its modality."""
    kind = modality(channel)
    return cohort.signal.band_hz.get(kind, BANDS_HZ[kind])  # type: ignore[call-overload]


def _process_batch(chunks: Sequence[Chunk], cohort: Cohort) -> list[StoredRecording]:
    processed = {
        name: _filtered(name, [chunk.recording.signals[name] for chunk in chunks], cohort)
        for name in cohort.signals.channels
    }
    return [
        _stored(chunk, {name: of_all[number] for name, of_all in processed.items()}, cohort)
        for number, chunk in enumerate(chunks)
    ]


def _filtered(channel: str, signals: Sequence[Signal], cohort: Cohort) -> list[Processed]:
    band = band_hz(channel, cohort)
    found: dict[int, Processed] = {}
    for rate in dict.fromkeys(signal.fs_hz for signal in signals):
        numbers = [number for number, signal in enumerate(signals) if signal.fs_hz == rate]
        samples = [signals[number].samples for number in numbers]
        processed = preprocess_all(
            samples, fs_hz=rate, fs_out_hz=cohort.signal.fs_hz, band_hz=band, judge=cohort.quality
        )
        found |= zip(numbers, processed, strict=True)
    return [found[number] for number in range(len(signals))]


def _stored(chunk: Chunk, processed: Mapping[str, Processed], cohort: Cohort) -> StoredRecording:
    recording = chunk.recording
    whole_s = max(signal.duration_s for signal in recording.signals.values())
    duration_s = whole_s if chunk.duration_s is None else chunk.duration_s
    kept = {name: _without_padding(item, chunk, cohort.signal.fs_hz) for name, item in processed.items()}
    n_samples = max(len(item.samples) for item in kept.values())
    n_baseline = max(len(item.baseline) for item in kept.values())
    return StoredRecording(
        recording_id=recording.recording_id,
        patient_id=recording.patient_id,
        visit=recording.visit,
        source=recording.source,
        source_sha256=chunk.source_sha256,
        signal_sha256=recording.sha256(),
        source_fs_hz=max(signal.fs_hz for signal in recording.signals.values()),
        duration_s=duration_s,
        fs_hz=cohort.signal.fs_hz,
        channels={name: _channel(name, item, n_samples, n_baseline, cohort) for name, item in kept.items()},
        trends=dict(chunk.trends),
        start_s=chunk.start_s,
        n_of_source=chunk.n_of_source,
    )


def _without_padding(item: Processed, chunk: Chunk, fs_hz: float) -> Processed:
    if chunk.duration_s is None:
        return item
    first, first_second = round(chunk.padding_s * fs_hz), round(chunk.padding_s)
    last, last_second = first + round(chunk.duration_s * fs_hz), first_second + int(np.ceil(chunk.duration_s))
    return Processed(item.samples[first:last], item.flags[first:last], item.baseline[first_second:last_second])


def _channel(name: str, item: Processed, n_samples: int, n_baseline: int, cohort: Cohort) -> StoredChannel:
    samples = _padded(item.samples, n_samples, np.nan)
    score, inverted = _polarity(name, samples, cohort)
    return StoredChannel(
        samples=-samples if inverted else samples,
        flags=_padded(item.flags, n_samples, int(Defect.GAP)),
        baseline=_padded(item.baseline, n_baseline, np.nan),
        amplitude=_amplitude(item.samples),
        polarity=score,
        inverted=inverted,
    )


def _polarity(name: str, samples: FloatArray, cohort: Cohort) -> tuple[float, bool]:
    described = cohort.signals.channels[name].inverted
    if described != "auto" or modality(name) != "ppg":
        return float("nan"), described is True
    score = polarity(samples, fs_hz=cohort.signal.fs_hz)
    return score, is_inverted(score)


def _padded(values: np.ndarray, n: int, fill: float) -> np.ndarray:
    return values if len(values) == n else np.pad(values, (0, n - len(values)), constant_values=fill)


def _amplitude(samples: np.ndarray) -> float:
    finite = samples[np.isfinite(samples)]
    if not len(finite):
        return float("nan")
    at = [round(proportion * (len(finite) - 1)) for proportion in (0.05, 0.95)]
    low, high = np.partition(finite, at)[at]
    return float(high - low)
