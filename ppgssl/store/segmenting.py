"""Segments of stored recordings: indices with a verdict, never copies of samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ppgssl.config import Segmentation
from ppgssl.records import FloatArray, IntArray
from ppgssl.signals.heart_rate import heart_rate
from ppgssl.signals.quality import segment_defects, sqi
from ppgssl.signals.segments import cut, segment_starts
from ppgssl.store.tables import CohortStore, StoredChannel, StoredRecording

LOW_SQI = "low_sqi"


# Samples of recordings that are judged in one go: enough that thousands of short recordings cost no call each.
_BLOCK_SAMPLES = 2_000_000


def segment_rows(recordings: Iterable[StoredRecording], segmentation: Segmentation) -> pd.DataFrame:
    """Rows of ``segments`` for recordings of one cohort: start, and for each channel its SQI and defect.

    A segment is ``accepted`` when at least one channel has no defect and an SQI of at least ``min_sqi``; studies judge
    again by the channels that they use. The heart rate is that of the channel with the highest SQI.
    """
    return concatenate(_rows_of_block(block, segmentation) for block in _blocks(recordings))


def _blocks(recordings: Iterable[StoredRecording]) -> Iterator[list[StoredRecording]]:
    block: list[StoredRecording] = []
    n_samples = 0
    for recording in recordings:
        block.append(recording)
        n_samples += _n_samples(recording)
        if n_samples >= _BLOCK_SAMPLES:
            yield block
            block, n_samples = [], 0
    if block:
        yield block


def _n_samples(recording: StoredRecording) -> int:
    return len(next(iter(recording.channels.values())).samples)


def _rows_of_block(recordings: Sequence[StoredRecording], segmentation: Segmentation) -> pd.DataFrame:
    fs_hz, channels = recordings[0].fs_hz, list(recordings[0].channels)
    grid = {"segment_s": segmentation.segment_s, "step_s": segmentation.step_s}
    starts = [segment_starts(_n_samples(recording), fs_hz=fs_hz, **grid) for recording in recordings]
    length = round(segmentation.segment_s * fs_hz)
    counts = [len(of_one) for of_one in starts]
    rows: dict[str, object] = {
        "recording_id": np.repeat(np.array([recording.recording_id for recording in recordings], dtype=object), counts),
        "patient_id": np.repeat(np.array([recording.patient_id for recording in recordings], dtype=object), counts),
        **grid,
        "start_s": np.concatenate(starts) / fs_hz,
    }
    verdicts = {
        name: _verdict([recording.channels[name] for recording in recordings], starts, length, fs_hz)
        for name in channels
    }
    for name, (quality, defect, _) in verdicts.items():
        rows |= {f"sqi_{name}": quality, f"defect_{name}": defect}
    frame = pd.DataFrame(rows, index=range(sum(counts)))
    frame["accepted"] = is_accepted(frame, channels, segmentation.min_sqi).any(axis=1)
    frame["heart_rate_bpm"] = _best_heart_rate(list(verdicts.values()))
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
    stored = store.iterate(store.channels)
    new = segment_rows((recording for recording in stored if recording.recording_id in wanted), segmentation)
    if len(new):
        store.append_segments(new.sort_values(["recording_id", "start_s"], ignore_index=True))
    return len(new)


def concatenate(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """The rows of all frames that have any."""
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()


class _Verdict(NamedTuple):
    """Of one channel, a value for each segment of all recordings in a block."""

    quality: FloatArray
    defect: NDArray[np.object_]
    heart_rate_bpm: FloatArray


def _verdict(channels: Sequence[StoredChannel], starts: Sequence[IntArray], length: int, fs_hz: float) -> _Verdict:
    pairs = list(zip(channels, starts, strict=True))
    segments = np.concatenate([cut(channel.samples, of_one, length) for channel, of_one in pairs])
    return _Verdict(
        sqi(segments, fs_hz=fs_hz).astype(np.float32),
        np.concatenate([segment_defects(channel.flags, of_one, length) for channel, of_one in pairs]),
        heart_rate(segments, fs_hz=fs_hz),
    )


def _best_heart_rate(verdicts: Sequence[_Verdict]) -> FloatArray:
    quality = np.stack([np.nan_to_num(verdict.quality, nan=-1) for verdict in verdicts])
    rates = np.stack([verdict.heart_rate_bpm for verdict in verdicts])
    return np.take_along_axis(rates, quality.argmax(axis=0)[None], axis=0)[0].astype(np.float32)
