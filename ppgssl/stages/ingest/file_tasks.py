"""The unit of parallel work in ingest: some raw files, or some intervals of a long one -> rows of the store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd

from ppgssl.core.config.cohort import Cohort
from ppgssl.core.errors import ReadError, SignalError
from ppgssl.core.reasons import Reason
from ppgssl.core.records import Recording, Reject
from ppgssl.readers.files import SourceFile, fill_pattern
from ppgssl.readers.privacy.redaction import error_text
from ppgssl.readers.sources import OpenRecording, lacks_trends, open_source, source_bytes, source_sha256
from ppgssl.store.processing import Chunk, check_bands, process
from ppgssl.store.rows import StoredRecording
from ppgssl.store.segmenting import segment_rows

# Longer recordings are stored in parts of this length.
PART_S = 3600.0
# A part is filtered with this much of the recording before and after it.
_PADDING_S = 10.0
# Raw samples that one task reads: with the size of a commit, what decides the memory of a process.
TASK_SAMPLES = 3_000_000
_TASK_BYTES = 8_000_000
_TASK_FILES = 32

# What one bad file may raise without stopping the others.
_BAD_FILE = (ReadError, SignalError, OSError)
SIGNAL_COLUMNS = ("recording_id", "patient_id", "source", "signal_sha256", "duration_s", "start_s")


@dataclass(frozen=True)
class Interval:
    """A row to be: all of the recording with this number in its file, or what lies between two times.

    ``kind`` is "whole"; "part" of a long recording, which is filtered with padding; or "joined": a
    recording of its own, though the file joins it to others.
    """

    recording: int
    start_s: float
    stop_s: float
    n_samples: int
    kind: Literal["whole", "part", "joined"] = "whole"

    @property
    def padding_s(self) -> float:
        return min(self.start_s, _PADDING_S) if self.kind == "part" else 0.0


@dataclass(frozen=True)
class LongSource:
    """A source with more samples than a task reads, and the intervals that it is read in."""

    source: SourceFile
    sha256: str
    intervals: tuple[Interval, ...]


@dataclass(frozen=True)
class FileTask:
    """Sources to be read whole, or intervals of one long source; ``split_s`` cuts joined recordings."""

    cohort: Cohort
    sources: tuple[SourceFile, ...] = ()
    long: LongSource | None = None
    n_of_source: int = 1
    split_s: float | None = None


@dataclass(frozen=True)
class FileRows:
    """What the store takes from one task: ``rejects`` with the hash of their source, ``long`` to be read in tasks."""

    recordings: list[StoredRecording] = field(default_factory=list)
    segments: pd.DataFrame = field(default_factory=pd.DataFrame)
    rejects: list[tuple[Reject, str]] = field(default_factory=list)
    long: list[LongSource] = field(default_factory=list)

    @property
    def n_bytes(self) -> int:
        return sum(
            channel.samples.nbytes + channel.flags.nbytes
            for recording in self.recordings
            for channel in recording.channels.values()
        )


def plan(sources: Sequence[SourceFile], cohort: Cohort, *, n_workers: int) -> list[FileTask]:
    """Tasks of some files each: enough that handing out costs little, few enough that all workers have some."""
    most = min(_TASK_FILES, max(1, len(sources) // (8 * n_workers)))
    tasks: list[FileTask] = []
    group: list[SourceFile] = []
    held = 0
    for source in sources:
        size = source_bytes(source, cohort)
        if group and (len(group) == most or held + size > _TASK_BYTES):
            tasks.append(FileTask(cohort, tuple(group)))
            group, held = [], 0
        group.append(source)
        held += size
    return [*tasks, FileTask(cohort, tuple(group))] if group else tasks


def plan_long(long: LongSource, cohort: Cohort) -> list[FileTask]:
    """Tasks for the intervals of a long source."""
    groups: list[list[Interval]] = []
    n_samples = 0
    for interval in long.intervals:
        if not groups or n_samples + interval.n_samples > TASK_SAMPLES:
            groups.append([])
            n_samples = 0
        groups[-1].append(interval)
        n_samples += interval.n_samples
    n_rows = len(long.intervals)
    return [FileTask(cohort, long=replace(long, intervals=tuple(group)), n_of_source=n_rows) for group in groups]


def do_task(task: FileTask) -> FileRows:
    """Read, filter, cut and assess. A bad file is a reject, never an exception."""
    rows = FileRows()
    chunks: list[Chunk] = []
    for source in task.sources:
        sha256 = source_sha256(source, task.cohort)
        try:
            of_source = _chunks(source, sha256, task)
        except _BAD_FILE as error:
            rows.rejects.append((file_reject(source, error, task.cohort), sha256))
            continue
        if isinstance(of_source, LongSource):
            rows.long.append(of_source)
        else:
            chunks += of_source
        rows.rejects.extend((note, sha256) for note in _notes(source, task.cohort))
    if task.long is not None:
        try:
            chunks += _intervals(task.long, task)
        except _BAD_FILE as error:
            rows.rejects.append((file_reject(task.long.source, error, task.cohort), task.long.sha256))
    stored = process(chunks, task.cohort)
    return replace(rows, recordings=stored, segments=segment_rows(stored, task.cohort))


def look(task: FileTask) -> tuple[list[dict[str, object]], list[Reject]]:
    """Rows of :data:`SIGNAL_COLUMNS`, and complaints, for the sources of a task: nothing is filtered or assessed."""
    rows: list[dict[str, object]] = []
    rejects: list[Reject] = []
    for source in task.sources:
        try:
            recordings = open_source(source, task.cohort)
            _check_rates(recordings, task.cohort)
            rows += [_look_row(recordings, interval) for interval in intervals_of(recordings)]
        except _BAD_FILE as error:
            rejects.append(file_reject(source, error, task.cohort))
            continue
        rejects += _notes(source, task.cohort)
    return rows, rejects


def file_reject(source: SourceFile, error: Exception, cohort: Cohort) -> Reject:
    """The reject of a file that raised ``error``; with `privacy`, in words that show nothing of the file."""
    fields = {"patient": source.patient_id, "visit": source.visit, "recording": source.recording}
    places = {source.path: source.relative}
    places |= {path: fill_pattern(pattern, fields) for pattern, path in source.companions.items()}
    reason = Reason.SIGNAL_UNUSABLE if isinstance(error, SignalError) else Reason.FILE_UNREADABLE
    return Reject(reason, source.relative, error_text(error, places, cohort))


def _notes(source: SourceFile, cohort: Cohort) -> list[Reject]:
    if not lacks_trends(source, cohort):
        return []
    trends = cohort.signals.trends
    detail = f"expected {trends.file if trends else ''} with the same patient, visit and recording"
    return [Reject(Reason.NO_TRENDS, source.recording_id, detail)]


# --- recordings -> chunks --------------------------------------------------------------------------------------


def _chunks(source: SourceFile, sha256: str, task: FileTask) -> list[Chunk] | LongSource:
    recordings = open_source(source, task.cohort)
    _check_rates(recordings, task.cohort)
    intervals = intervals_of(recordings) if task.split_s is None else _split(recordings, task.split_s)
    if task.split_s is None and sum(interval.n_samples for interval in intervals) > TASK_SAMPLES:
        return LongSource(source, sha256, tuple(intervals))
    return [_chunk(recordings, interval, sha256, len(intervals)) for interval in intervals]


def _intervals(long: LongSource, task: FileTask) -> list[Chunk]:
    recordings = open_source(long.source, task.cohort)
    if not set(long.intervals) <= set(intervals_of(recordings)):
        problem = "became shorter or longer while it was read. Is it still being copied? Try again when it is done."
        raise ReadError(long.source.path, problem)
    return [_chunk(recordings, interval, long.sha256, task.n_of_source) for interval in long.intervals]


def _check_rates(recordings: Iterable[OpenRecording], cohort: Cohort) -> None:
    for recording in recordings:
        check_bands({name: raw.fs_hz[column] for name, (raw, column) in recording.channels.items()}, cohort)


def intervals_of(recordings: Sequence[OpenRecording]) -> list[Interval]:
    """The rows that a source's recordings become: whole recordings, and parts of long ones."""
    return [interval for number, recording in enumerate(recordings) for interval in _parts(number, recording)]


def _parts(number: int, recording: OpenRecording) -> list[Interval]:
    duration_s, n_samples = recording.duration_s, recording.n_samples
    # Shorter where an hour has more samples than a task may read.
    part_s = min(PART_S, max(60.0, TASK_SAMPLES * duration_s / max(n_samples, 1) // 60 * 60))
    if duration_s <= part_s:
        return [Interval(number, 0.0, duration_s, n_samples)]
    return _between(number, recording, [*np.arange(0.0, duration_s, part_s).tolist(), duration_s], "part")


def _split(recordings: Sequence[OpenRecording], split_s: float) -> list[Interval]:
    intervals = []
    for number, recording in enumerate(recordings):
        edges_s = [part * split_s for part in range(round(recording.duration_s / split_s) + 1)]
        intervals += _between(number, recording, edges_s, "joined")
    return intervals


def _between(
    number: int, recording: OpenRecording, edges_s: Sequence[float], kind: Literal["part", "joined"]
) -> list[Interval]:
    return [
        Interval(number, start_s, stop_s, round(recording.n_samples * (stop_s - start_s) / recording.duration_s), kind)
        for start_s, stop_s in pairwise(edges_s)
    ]


def _read(recording: OpenRecording, interval: Interval) -> Recording:
    """An interval, with its padding if it is a part, under its own id."""
    if interval.kind == "whole":
        return recording.read()
    follow_s = _PADDING_S if interval.kind == "part" else 0.0
    stop_s = min(interval.stop_s + follow_s, recording.duration_s)
    part = recording.read(interval.start_s - interval.padding_s, stop_s)
    length_s = interval.stop_s - interval.start_s
    suffix = f"@{interval.start_s:g}" if interval.kind == "part" else f"#{round(interval.start_s / length_s)}"
    return replace(part, recording_id=f"{recording.recording_id}{suffix}")


def _chunk(recordings: Sequence[OpenRecording], interval: Interval, sha256: str, n_of_source: int) -> Chunk:
    recording = recordings[interval.recording]
    return Chunk(
        _read(recording, interval),
        sha256,
        trends=recording.trends_between(interval.start_s, interval.stop_s),
        padding_s=interval.padding_s,
        duration_s=interval.stop_s - interval.start_s if interval.kind == "part" else None,
        start_s=interval.start_s if interval.kind == "part" else 0.0,
        n_of_source=n_of_source,
    )


def _look_row(recordings: Sequence[OpenRecording], interval: Interval) -> dict[str, object]:
    recording = _read(recordings[interval.recording], interval)
    return {
        "recording_id": recording.recording_id,
        "patient_id": recording.patient_id,
        "source": recording.source,
        "signal_sha256": recording.sha256(),
        "duration_s": interval.stop_s - interval.start_s,
        "start_s": interval.start_s,
    }
