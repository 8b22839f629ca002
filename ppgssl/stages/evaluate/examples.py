"""Signal quality of each channel, and recordings to look at."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ppgssl.core.config.cohort import Segmentation
from ppgssl.core.reasons import Reason
from ppgssl.core.results.data import ChannelQuality, ExampleWaveform, SegmentMark
from ppgssl.store.rows import StoredRecording
from ppgssl.store.segmenting import is_accepted
from ppgssl.store.study_data import StudyData
from ppgssl.store.tables import CohortStore

_N_BINS = 20
_MOST_SECONDS = 20.0
_MOST_SAMPLES = 3000


def channel_quality(data: StudyData, store: CohortStore) -> list[ChannelQuality]:
    """Quality of the channels that fill the study's inputs."""
    inputs = data.study.inputs
    segments = store.segments(inputs.segment_s, inputs.step_s)
    channels = data.segments.channels_of(store.cohort.name)
    rule = store.cohort.segments.model_copy(update={"min_sqi": inputs.min_sqi})
    return [_quality(segments, store.cohort.name, name, rule) for name in channels]


def _quality(segments: pd.DataFrame, cohort: str, channel: str, rule: Segmentation) -> ChannelQuality:
    sqi = segments.loc[segments[f"defect_{channel}"] == "", f"sqi_{channel}"].to_numpy(dtype=float)
    accepted = is_accepted(segments, [channel], rule)[channel].to_numpy()
    defects = segments[f"defect_{channel}"].where(segments[f"defect_{channel}"] != "", Reason.LOW_SQI.value)
    rates = segments.loc[accepted, "heart_rate_bpm"].dropna()
    return ChannelQuality(
        cohort=cohort,
        channel=channel,
        n_segments=len(segments),
        n_accepted=int(accepted.sum()),
        sqi_histogram=np.histogram(sqi[np.isfinite(sqi)], bins=_N_BINS, range=(0, 1))[0].tolist(),
        defects={str(name): int(n) for name, n in defects[~accepted].value_counts().items()},
        heart_rate_bpm_quartiles=rates.quantile([0.25, 0.5, 0.75]).tolist() if len(rates) else None,
    )


def example_waveforms(data: StudyData, store: CohortStore) -> list[ExampleWaveform]:
    """A typical recording, one that is partly good, and one without an accepted segment; fewer if there is none."""
    decisions = data.segments.decisions.query("cohort == @store.cohort.name")
    chosen = _chosen(decisions)
    channel = data.segments.channels_of(store.cohort.name)[0]
    recordings = {row.recording_id: row for row in store.iterate([channel]) if row.recording_id in chosen}
    return [
        _example(recordings[name], store.cohort.name, channel, caption, of_recording, data.study.inputs.segment_s)
        for name, caption in chosen.items()
        for of_recording in [decisions[decisions["recording_id"] == name]]
    ]


def _chosen(decisions: pd.DataFrame) -> dict[str, str]:
    recordings = decisions.groupby("recording_id").agg(
        accepted=("accepted", "mean"), sqi=("sqi", "median"), n=("accepted", "size")
    )
    proportion = recordings["accepted"]
    good, mixed, poor = (
        recordings[is_one] for is_one in (proportion == 1, proportion.between(0, 1, "neither"), proportion == 0)
    )
    ranks = {
        "typical: every segment accepted": (good["sqi"] - good["sqi"].median()).abs(),
        "some segments accepted": (mixed["accepted"] - 0.5).abs(),
        "no segment accepted": -poor["n"],
    }
    return {str(rank.sort_index().idxmin()): caption for caption, rank in ranks.items() if len(rank)}


def _example(
    recording: StoredRecording, cohort: str, channel: str, caption: str, decisions: pd.DataFrame, segment_s: float
) -> ExampleWaveform:
    fs_hz, samples = recording.fs_hz, recording.channels[channel].samples
    first_s = _first_second(decisions, len(samples) / fs_hz)
    first = round(first_s * fs_hz)
    shown = samples[first : first + round(_MOST_SECONDS * fs_hz)]
    every = max(1, int(np.ceil(len(shown) / _MOST_SAMPLES)))
    last_s = first_s + len(shown) / fs_hz
    # Overlapping segments cannot be distinguished in a figure: show those that lie end to end.
    steps = (decisions["start_s"] - first_s) / segment_s
    is_shown = (steps >= -1e-9) & np.isclose(steps, steps.round()) & (decisions["start_s"] + segment_s <= last_s + 1e-9)
    return ExampleWaveform(
        cohort=cohort,
        recording_id=recording.recording_id,
        channel=channel,
        fs_hz=fs_hz / every,
        samples=[float(value) if np.isfinite(value) else None for value in shown[::every]],
        segments=[
            SegmentMark(
                start_s=float(row["start_s"]) - first_s,
                duration_s=segment_s,
                accepted=bool(row["accepted"]),
                sqi=float(row["sqi"]) if np.isfinite(row["sqi"]) else None,
                defect=row["defect"],
            )
            for row in decisions[is_shown].to_dict("records")
        ],
        caption=caption,
    )


def _first_second(decisions: pd.DataFrame, duration_s: float) -> float:
    """Start of the interval to show: such that the first rejected segment is inside."""
    rejected = decisions.loc[~decisions["accepted"], "start_s"]
    if rejected.empty or rejected.min() < _MOST_SECONDS / 2:
        return 0.0
    latest = max(0.0, duration_s - _MOST_SECONDS)
    wanted = min(float(rejected.min()) - _MOST_SECONDS / 2, latest)
    starts = decisions["start_s"].to_numpy()
    return float(starts[np.abs(starts - wanted).argmin()])
