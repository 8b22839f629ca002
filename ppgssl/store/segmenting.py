"""Segments of stored recordings: indices with a decision on quality, never copies of samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ppgssl.core.config.cohort import Cohort, Segmentation
from ppgssl.core.records import FloatArray, IntArray, modality
from ppgssl.signals.quality_indices import segment_defects, sqi
from ppgssl.signals.segmentation import cut, segment_starts
from ppgssl.signals.vitals import VITALS, VitalChannel, segment_vitals
from ppgssl.store.rows import StoredChannel, StoredRecording, batches
from ppgssl.store.samples import row_median
from ppgssl.store.tables import CohortStore

# Samples of recordings that are assessed at once: enough that thousands of short recordings cost no call each.
_BLOCK_SAMPLES = 1_000_000


def segment_rows(
    recordings: Iterable[StoredRecording], cohort: Cohort, grid: Segmentation | None = None
) -> pd.DataFrame:
    """Rows of ``segments`` for recordings of one cohort: start, SQI and defect of each channel, vital signs.

    A segment is ``accepted`` when at least one channel is by :func:`is_accepted`; studies decide again by the channels
    that they use. ``grid`` is the cohort's own by default.
    """
    blocks = batches(recordings, _n_samples, _BLOCK_SAMPLES)
    return concatenate(_rows_of_block(block, cohort, grid or cohort.segments) for block in blocks)


def _n_samples(recording: StoredRecording) -> int:
    return len(next(iter(recording.channels.values())).samples)


def _rows_of_block(recordings: Sequence[StoredRecording], cohort: Cohort, grid: Segmentation) -> pd.DataFrame:
    fs_hz, channels = recordings[0].fs_hz, list(recordings[0].channels)
    spacing = {"segment_s": grid.segment_s, "step_s": grid.step_s}
    starts = [segment_starts(_n_samples(recording), fs_hz=fs_hz, **spacing) for recording in recordings]
    length = round(grid.segment_s * fs_hz)
    counts = [len(of_one) for of_one in starts]
    rows: dict[str, object] = {
        "recording_id": np.repeat(np.array([recording.recording_id for recording in recordings], dtype=object), counts),
        "patient_id": np.repeat(np.array([recording.patient_id for recording in recordings], dtype=object), counts),
        **spacing,
        "start_s": np.concatenate(starts) / fs_hz,
    }
    quality = {}
    for name in channels:
        stored = [recording.channels[name] for recording in recordings]
        quality[name] = (
            _quality(name, stored, starts, length, fs_hz) if cohort.quality else np.full(sum(counts), np.nan)
        )
        rows[f"sqi_{name}"] = quality[name].astype(np.float32)
        rows[f"defect_{name}"] = _defects(stored, starts, length)
    rows |= _device(recordings, starts, grid.segment_s, cohort)
    frame = pd.DataFrame(rows, index=range(sum(counts)))
    frame["accepted"] = is_accepted(frame, channels, grid).any(axis=1)
    return frame.assign(**_vitals(recordings, starts, length, quality, cohort))


def _quality(
    name: str, channels: Sequence[StoredChannel], starts: Sequence[IntArray], length: int, fs_hz: float
) -> NDArray[np.float64]:
    """SQI of each segment, in 0..1: 0 where a sample is lost or nothing varies."""
    pairs = zip(channels, starts, strict=True)
    segments = np.concatenate([cut(channel.samples, of_one, length) for channel, of_one in pairs])
    return np.nan_to_num(sqi(segments, fs_hz=fs_hz, modality=modality(name)), nan=0.0)


def _defects(channels: Sequence[StoredChannel], starts: Sequence[IntArray], length: int) -> NDArray[np.object_]:
    found = [
        segment_defects(channel.flags, of_one, length)
        if channel.flags.any()
        else np.full(len(of_one), "", dtype=object)
        for channel, of_one in zip(channels, starts, strict=True)
    ]
    return np.concatenate(found)


def _vitals(
    recordings: Sequence[StoredRecording],
    starts: Sequence[IntArray],
    length: int,
    quality: Mapping[str, FloatArray],
    cohort: Cohort,
) -> dict[str, FloatArray]:
    if not cohort.vitals.enabled:
        return {name: np.full(sum(map(len, starts)), np.nan, dtype=np.float32) for name in VITALS}
    ends = np.cumsum([len(of_one) for of_one in starts])
    found = []
    for recording, of_one, end in zip(recordings, starts, ends, strict=True):
        channels = {
            name: VitalChannel(
                samples=channel.samples,
                baseline=channel.baseline,
                has_baseline=cohort.signals.channels[name].has_baseline,
                # Where quality was not assessed, all channels are as good.
                quality=np.nan_to_num(quality[name][end - len(of_one) : end], nan=1.0),
            )
            for name, channel in recording.channels.items()
        }
        calibration = cohort.vitals.spo2_polynomial
        found.append(segment_vitals(channels, of_one, length, fs_hz=recording.fs_hz, spo2_calibration=calibration))
    return {name: np.concatenate([one[name] for one in found]).astype(np.float32) for name in VITALS}


def _device(
    recordings: Sequence[StoredRecording], starts: Sequence[IntArray], segment_s: float, cohort: Cohort
) -> dict[str, FloatArray]:
    """Medians of the device's trends over each segment, and the largest SQI; NaN where the device displays nothing."""
    trends = cohort.signals.trends
    if trends is None:
        return {}
    n_rows = max(round(segment_s / trends.interval_s), 1)
    first = [np.round(of_one / recordings[0].fs_hz / trends.interval_s).astype(np.int64) for of_one in starts]
    found: dict[str, FloatArray] = {}
    for name in trends.columns:
        held = [recording.trends.get(name, np.zeros(0)) for recording in recordings]
        # One after another, with so many missing values after each that no segment sees those of the next.
        room = [
            max(len(values), int(of_one.max(initial=0)) + n_rows) for values, of_one in zip(held, first, strict=True)
        ]
        offsets = np.concatenate([[0], np.cumsum(room)]).astype(np.int64)
        line = np.full(offsets[-1], np.nan)
        for values, offset in zip(held, offsets, strict=False):
            line[offset : offset + len(values)] = values
        at = np.concatenate([of_one + offset for of_one, offset in zip(first, offsets, strict=False)])
        windows = line[at[:, None] + np.arange(n_rows)]
        found[f"device_{name}"] = row_median(windows).astype(np.float32)
        if name == "sqi":
            found["device_sqi_max"] = np.fmax.reduce(windows, axis=1).astype(np.float32)
    return found


def is_accepted(segments: pd.DataFrame, channels: Sequence[str], rule: Segmentation) -> pd.DataFrame:
    """Whether each channel (column) of each segment (row) has no defect and is good enough by ``rule``."""
    if rule.accept == "sqi":
        good = {name: segments[f"sqi_{name}"] >= rule.min_sqi for name in channels}
    else:
        column = "device_sqi" if rule.accept == "device" else "device_sqi_max"
        good = dict.fromkeys(channels, segments[column] >= rule.min_device_sqi)
    return pd.DataFrame(
        {name: (segments[f"defect_{name}"] == "") & is_good for name, is_good in good.items()}, index=segments.index
    )


def ensure_grid(store: CohortStore, segmentation: Segmentation) -> int:
    """Cut all stored recordings by this length and step, where that was not done yet; the number of new segments.

    A recording shorter than a segment has no row whatever is done, so it is looked at again each time: that is cheap.
    """
    held = store.segments(segmentation.segment_s, segmentation.step_s)
    known = set(held["recording_id"])
    lengths = store.recordings(["recording_id", "duration_s"])
    is_missing = ~lengths["recording_id"].isin(known) & (lengths["duration_s"] >= segmentation.segment_s)
    wanted = set(lengths.loc[is_missing, "recording_id"])
    if not wanted:
        return 0
    stored = store.iterate(store.channels)
    chosen = (recording for recording in stored if recording.recording_id in wanted)
    new = segment_rows(chosen, store.cohort, segmentation)
    if len(new):
        store.append_segments(new.sort_values(["recording_id", "start_s"], ignore_index=True))
    return len(new)


def concatenate(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """The rows of all frames that have any."""
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()
