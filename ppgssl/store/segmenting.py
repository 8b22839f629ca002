"""Segments of stored recordings: indices with a verdict, never copies of samples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from ppgssl.config import Segmentation
from ppgssl.signals.heart_rate import heart_rate
from ppgssl.signals.quality import segment_defects, sqi
from ppgssl.signals.segments import cut, segment_starts
from ppgssl.store.tables import CohortStore, StoredChannel, StoredRecording

LOW_SQI = "low_sqi"


def segment_rows(recording: StoredRecording, segmentation: Segmentation) -> pd.DataFrame:
    """Rows of ``segments`` for one recording: start, and for each channel its SQI and defect.

    A segment is ``accepted`` when at least one channel has no defect and an SQI of at least ``min_sqi``; studies judge
    again by the channels that they use. The heart rate is that of the channel with the highest SQI.
    """
    channels = recording.channels
    n_samples = max((len(channel.samples) for channel in channels.values()), default=0)
    starts = segment_starts(
        n_samples, fs_hz=recording.fs_hz, segment_s=segmentation.segment_s, step_s=segmentation.step_s
    )
    length = round(segmentation.segment_s * recording.fs_hz)
    rows: dict[str, object] = {
        "recording_id": recording.recording_id,
        "patient_id": recording.patient_id,
        "segment_s": segmentation.segment_s,
        "step_s": segmentation.step_s,
        "start_s": starts / recording.fs_hz,
    }
    verdicts = {name: _verdict(channel, starts, length, recording.fs_hz) for name, channel in channels.items()}
    for name, (quality, defect, _) in verdicts.items():
        rows |= {f"sqi_{name}": quality, f"defect_{name}": defect}
    frame = pd.DataFrame(rows, index=range(len(starts)))
    frame["accepted"] = is_accepted(frame, list(channels), segmentation.min_sqi).any(axis=1) if channels else False
    frame["heart_rate_bpm"] = _best_heart_rate(verdicts, len(starts))
    return frame


def is_accepted(segments: pd.DataFrame, channels: Sequence[str], min_sqi: float) -> pd.DataFrame:
    """Whether each channel (column) of each segment (row) has no defect and an SQI of at least ``min_sqi``."""
    return pd.DataFrame(
        {name: (segments[f"defect_{name}"] == "") & (segments[f"sqi_{name}"] >= min_sqi) for name in channels},
        index=segments.index,
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
    new = concatenate(
        segment_rows(recording, segmentation)
        for recording in store.iterate(store.channels)
        if recording.recording_id in wanted
    )
    if len(new):
        store.append_segments(new.sort_values(["recording_id", "start_s"], ignore_index=True))
    return len(new)


def concatenate(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """The rows of all frames that have any."""
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()


def _verdict(
    channel: StoredChannel, starts: np.ndarray, length: int, fs_hz: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    segments = cut(channel.samples, starts, length)
    return (
        sqi(segments, fs_hz=fs_hz).astype(np.float32),
        segment_defects(channel.flags, starts, length),
        heart_rate(segments, fs_hz=fs_hz),
    )


def _best_heart_rate(verdicts: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]], n_segments: int) -> np.ndarray:
    if not verdicts:
        return np.full(n_segments, np.nan, dtype=np.float32)
    quality = np.stack([np.nan_to_num(verdict[0], nan=-1) for verdict in verdicts.values()])
    rates = np.stack([verdict[2] for verdict in verdicts.values()])
    return np.take_along_axis(rates, quality.argmax(axis=0)[None], axis=0)[0].astype(np.float32)
