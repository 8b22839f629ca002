"""Segments of stored recordings: indices with a decision on quality, never copies of samples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ppgssl.core.config.cohort import Cohort, Segmentation
from ppgssl.core.records import FloatArray, IntArray, modality
from ppgssl.signals.quality_indices import index_table, segment_defects, worst_index
from ppgssl.signals.segmentation import segment_starts
from ppgssl.signals.vitals import VITALS, SegmentedRecording, VitalChannel, segment_quality, segment_vitals
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
    segmented = _segmented(recordings, starts, length, cohort)
    quality = _quality(segmented, channels, cohort)
    for name in channels:
        rows[f"sqi_{name}"] = np.concatenate([of_one[name] for of_one in quality]).astype(np.float32)
        rows[f"defect_{name}"] = _defects([recording.channels[name] for recording in recordings], starts, length)
    rows |= _device(recordings, starts, grid.segment_s, cohort)
    frame = pd.DataFrame(rows, index=range(sum(counts)))
    assessed = [name for name in channels if modality(name) != "acc"]
    frame["accepted"] = is_accepted(frame, assessed, grid).any(axis=1)
    return frame.assign(**_vitals(segmented, quality, cohort))


def _segmented(
    recordings: Sequence[StoredRecording], starts: Sequence[IntArray], length: int, cohort: Cohort
) -> list[SegmentedRecording]:
    described = cohort.signals.channels
    cut = [
        SegmentedRecording(
            {
                name: VitalChannel(channel.samples, channel.baseline, described[name].has_baseline)
                for name, channel in recording.channels.items()
            },
            of_one,
            length,
            recording.fs_hz,
            [channel.samples for name, channel in recording.channels.items() if modality(name) == "acc"],
        )
        for recording, of_one in zip(recordings, starts, strict=True)
    ]
    if not cohort.quality.enabled:
        return cut
    return [replace(one, indices=of_one) for one, of_one in zip(cut, _indices(cut), strict=True)]


def _indices(recordings: Sequence[SegmentedRecording]) -> list[dict[str, FloatArray]]:
    """Indices of each recording's segments by channel, computed for all recordings at once."""
    edges = np.cumsum([len(one.starts) for one in recordings])[:-1]
    found: list[dict[str, FloatArray]] = [{} for _ in recordings]
    for name in [*recordings[0].ecg, *recordings[0].ppg]:
        segments = np.concatenate([one.segments(name) for one in recordings])
        table = index_table(segments, fs_hz=recordings[0].fs_hz, modality=modality(name))
        for of_one, part in zip(found, np.split(table, edges), strict=True):
            of_one[name] = part
    return found


def _quality(
    recordings: Sequence[SegmentedRecording], channels: Sequence[str], cohort: Cohort
) -> list[dict[str, FloatArray]]:
    """SQI of each recording's segments by channel, in 0..1: 0 where a sample is lost or nothing varies; NaN without."""
    unknown = [dict.fromkeys(channels, np.full(len(one.starts), np.nan)) for one in recordings]
    if not cohort.quality.enabled:
        return unknown
    if cohort.quality.method == "rules":
        worst = [{name: np.nan_to_num(worst_index(table)) for name, table in one.indices.items()} for one in recordings]
        return [without | found for without, found in zip(unknown, worst, strict=True)]
    return [without | segment_quality(one) for without, one in zip(unknown, recordings, strict=True)]


def _defects(channels: Sequence[StoredChannel], starts: Sequence[IntArray], length: int) -> NDArray[np.object_]:
    found = [
        segment_defects(channel.flags, of_one, length)
        if channel.flags.any()
        else np.full(len(of_one), "", dtype=object)
        for channel, of_one in zip(channels, starts, strict=True)
    ]
    return np.concatenate(found)


def _vitals(
    recordings: Sequence[SegmentedRecording], quality: Sequence[dict[str, FloatArray]], cohort: Cohort
) -> dict[str, FloatArray]:
    if not cohort.vitals.enabled:
        return {name: np.full(sum(len(one.starts) for one in recordings), np.nan, dtype=np.float32) for name in VITALS}
    calibration = cohort.vitals.spo2_polynomial
    found = [
        # Where quality was not assessed, all channels are as good.
        segment_vitals(
            one, {name: np.nan_to_num(values, nan=1.0) for name, values in of_one.items()}, spo2_calibration=calibration
        )
        for one, of_one in zip(recordings, quality, strict=True)
    ]
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
    """Whether each channel (column) of each segment (row) has no defect and is good enough by ``rule``.

    The quality of an accelerometer is not assessed.
    """
    if rule.accept == "sqi":
        good = {name: (segments[f"sqi_{name}"] >= rule.min_sqi) | (modality(name) == "acc") for name in channels}
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
