"""From the stores of a study's cohorts to what its models see: samples in one array, accepted segments as indices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ppgssl.config import InputChannel, Inputs, Segmentation
from ppgssl.errors import ConfigError, StoreError
from ppgssl.records import FloatArray
from ppgssl.signals.resampling import resample
from ppgssl.store.segmenting import LOW_SQI, concatenate, ensure_grid, is_accepted
from ppgssl.store.tables import CohortStore, StoredRecording


@dataclass(frozen=True)
class StudySegments:
    """All accepted segments of a study's cohorts, ready to be gathered by index.

    Attributes
    ----------
    samples : float32 array, shape (n_channels, n_samples)
        The recordings of all cohorts, one after another, at the study's rate; 0 where unusable, which no accepted
        segment is.
    table : DataFrame, one row a segment
        ``cohort``, ``patient`` (``cohort/patient_id``), ``recording_id``, ``start`` (first sample in ``samples``),
        ``heart_rate_bpm``.
    baseline : float32 array, shape (n_segments, n_channels)
        Raw level of each segment.
    length : int
        Samples of a segment.
    verdicts : DataFrame, one row a segment of either kind
        ``cohort``, ``recording_id``, ``patient``, ``start_s``, ``accepted``, ``defect``, ``sqi``: for the flow and the
        figures.
    acquisition : DataFrame, one row a recording and channel
        ``cohort``, ``patient``, ``channel``, ``amplitude``, ``level``: of the raw signal, to see whether patients were
        recorded differently.
    channel_of : mapping of cohort to the cohort's channels that fill the inputs, in order
    """

    samples: FloatArray = field(repr=False)
    table: pd.DataFrame = field(repr=False)
    baseline: FloatArray = field(repr=False)
    length: int
    fs_hz: float
    verdicts: pd.DataFrame = field(repr=False)
    acquisition: pd.DataFrame = field(repr=False)
    channel_of: Mapping[str, tuple[str, ...]]


def assemble(stores: Sequence[CohortStore], inputs: Inputs) -> StudySegments:
    """Gather the segments of several stores at one rate and length.

    The first store is the labelled cohort. Recordings that ingest found to be duplicates are left out, and so are those
    of later stores whose signals an earlier store holds too. Segments are cut now where a store does not hold the
    study's length and step yet.

    Raises
    ------
    ConfigError
        If a cohort has none of the channels that may fill an input.
    StoreError
        If no segment of any cohort is accepted.
    """
    shared = shared_recordings(stores)
    parts = [_assemble_one(store, inputs, shared[store.cohort.name]) for store in stores]
    sizes = [part.samples.shape[1] for part in parts]
    shifts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    table = concatenate(
        part.table.assign(start=part.table["start"] + shift) for part, shift in zip(parts, shifts, strict=True)
    )
    if table.empty:
        raise StoreError(
            f"no segment of {inputs.segment_s:g} s is accepted in any cohort: the signals are too short or too poor. "
            "Look at `inputs.segment_s` and `inputs.min_sqi` in the study, and at the segments tables of the stores."
        )
    return StudySegments(
        samples=np.concatenate([part.samples for part in parts], axis=1),
        table=table,
        baseline=np.concatenate([part.baseline for part in parts]),
        length=inputs.segment_samples,
        fs_hz=inputs.fs_hz,
        verdicts=concatenate(part.verdicts for part in parts),
        acquisition=concatenate(part.acquisition for part in parts),
        channel_of={name: channels for part in parts for name, channels in part.channel_of.items()},
    )


def choose_channels(store: CohortStore, wanted: Sequence[InputChannel]) -> tuple[str, ...]:
    """The cohort's channel for each input: the first of ``any_of`` that the cohort has.

    Raises
    ------
    ConfigError
        If it has none of them.
    """
    chosen = []
    for channel in wanted:
        found = [name for name in channel.any_of if name in store.channels]
        if not found:
            raise ConfigError(
                f"cohort {store.cohort.name!r} has no channel for the input {channel.name!r}: it has "
                f"{', '.join(store.channels)}, and `any_of` lists {', '.join(channel.any_of)}"
            )
        chosen.append(found[0])
    return tuple(chosen)


def patient_key(cohort: str, patient_id: str) -> str:
    """The name of a patient in a study: ids are unique in a cohort alone."""
    return f"{cohort}/{patient_id}"


def shared_recordings(stores: Sequence[CohortStore]) -> dict[str, set[str]]:
    """For each cohort, its recordings whose raw signals an earlier cohort holds under some patient, too."""
    seen: set[str] = set()
    shared = {}
    for store in stores:
        recordings = store.recordings(["recording_id", "signal_sha256"])
        shared[store.cohort.name] = set(recordings.loc[recordings["signal_sha256"].isin(seen), "recording_id"])
        seen |= set(recordings["signal_sha256"]) - {""}  # that of recordings in which nothing varies
    return shared


def _assemble_one(store: CohortStore, inputs: Inputs, shared: set[str]) -> StudySegments:
    cohort = store.cohort.name
    channels = choose_channels(store, inputs.channels)
    grid = store.cohort.segments.model_copy(
        update={"segment_s": inputs.segment_s, "step_s": inputs.step_s, "min_sqi": inputs.min_sqi}
    )
    ensure_grid(store, grid)
    excluded = shared | set(store.rejects().query("stage == 'duplicates'")["subject"])
    stored = [row for row in store.iterate(list(dict.fromkeys(channels))) if row.recording_id not in excluded]
    recordings = {row.recording_id: row for row in sorted(stored, key=lambda row: row.recording_id)}
    signals = {name: _signals(row, channels, inputs.fs_hz) for name, row in recordings.items()}
    segments = _fitting(store.segments(inputs.segment_s, inputs.step_s), signals, inputs)
    verdicts = _verdicts(segments, channels, grid, cohort)
    kept = verdicts["accepted"].to_numpy()
    table = verdicts.loc[kept, ["cohort", "patient", "recording_id"]].assign(
        start=segments.loc[kept, "start"], heart_rate_bpm=segments.loc[kept, "heart_rate_bpm"]
    )
    return StudySegments(
        samples=np.concatenate([np.empty((len(channels), 0), dtype=np.float32), *signals.values()], axis=1),
        table=table.reset_index(drop=True),
        baseline=_baseline(segments[kept], recordings, channels, inputs.segment_s),
        length=inputs.segment_samples,
        fs_hz=inputs.fs_hz,
        verdicts=verdicts,
        acquisition=_acquisition(list(recordings.values()), channels, cohort),
        channel_of={cohort: channels},
    )


def _signals(recording: StoredRecording, channels: Sequence[str], fs_hz: float) -> FloatArray:
    # Unusable stretches become 0, the mean of a band-passed signal: the nearest that resampling can do.
    samples = np.nan_to_num(np.stack([recording.channels[name].samples for name in channels]))
    if recording.fs_hz != fs_hz:
        samples = resample(samples, fs_in_hz=recording.fs_hz, fs_out_hz=fs_hz)
    return np.ascontiguousarray(samples, dtype=np.float32)


def _fitting(segments: pd.DataFrame, signals: Mapping[str, FloatArray], inputs: Inputs) -> pd.DataFrame:
    """Segments of these signals that fit whole at the study's rate, with ``start``: the first sample of each."""
    segments = segments[segments["recording_id"].isin(signals)]
    within = np.round(segments["start_s"].to_numpy() * inputs.fs_hz).astype(np.int64)
    sizes = np.array([array.shape[1] for array in signals.values()], dtype=np.int64)
    recording = pd.Index(list(signals)).get_indexer(pd.Index(segments["recording_id"]))
    start = (np.cumsum(sizes) - sizes)[recording] + within
    # At a lower rate, the end of a recording may round to a sample less than that of its last segment.
    fits = within + inputs.segment_samples <= sizes[recording]
    return segments.assign(start=start)[fits].reset_index(drop=True)


def _verdicts(segments: pd.DataFrame, channels: Sequence[str], rule: Segmentation, cohort: str) -> pd.DataFrame:
    accepted = is_accepted(segments, list(dict.fromkeys(channels)), rule).all(axis=1)
    quality = segments[[f"sqi_{name}" for name in channels]].min(axis=1, skipna=False)
    defect = pd.Series("", index=segments.index, dtype=object)
    for name in channels:
        defect = defect.where(defect != "", segments[f"defect_{name}"])
    defect = defect.where((defect != "") | accepted, LOW_SQI)
    return pd.DataFrame(
        {
            "cohort": cohort,
            "recording_id": segments["recording_id"],
            "patient": [patient_key(cohort, name) for name in segments["patient_id"]],
            "start_s": segments["start_s"],
            "accepted": accepted.astype(bool),
            "defect": defect,
            "sqi": quality,
            "heart_rate_bpm": segments["heart_rate_bpm"],
        }
    )


def _baseline(
    segments: pd.DataFrame, recordings: Mapping[str, StoredRecording], channels: Sequence[str], segment_s: float
) -> FloatArray:
    rows = np.full((len(segments), len(channels)), np.nan, dtype=np.float32)
    for number, (name, start_s) in enumerate(zip(segments["recording_id"], segments["start_s"], strict=True)):
        first, last = int(start_s), max(int(np.ceil(start_s + segment_s)), int(start_s) + 1)
        for column, channel in enumerate(channels):
            rows[number, column] = _median(recordings[name].channels[channel].baseline[first:last])
    return rows


def _acquisition(recordings: Sequence[StoredRecording], channels: Sequence[str], cohort: str) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "cohort": cohort,
                "patient": patient_key(cohort, recording.patient_id),
                "channel": channel,
                "amplitude": recording.channels[channel].amplitude,
                "level": _median(recording.channels[channel].baseline),
            }
            for recording in recordings
            for channel in dict.fromkeys(channels)
        ],
        columns=["cohort", "patient", "channel", "amplitude", "level"],
    )


def _median(values: FloatArray) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else float("nan")
