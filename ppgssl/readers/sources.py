"""The recordings of one source: its channels, whichever files they lie in, and the device's trends."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ppgssl.core.config.cohort import Cohort, TrendName
from ppgssl.core.errors import ReadError
from ppgssl.core.provenance import file_sha256
from ppgssl.core.records import FloatArray, Recording
from ppgssl.core.text import Message
from ppgssl.readers import get_reader
from ppgssl.readers.files import SourceFile
from ppgssl.readers.raw_recordings import Column, RawRecording
from ppgssl.readers.trends import read_trends


@dataclass(frozen=True)
class OpenRecording:
    """One recording of a source, of which any interval can be read.

    ``channels`` are where each lies; ``trends``, arrays of shape (n_intervals,), what the device displayed every
    ``interval_s``; ``ambient``, the columns of what is subtracted from some channels, each in its channel's file.
    """

    source: SourceFile
    recording_id: str
    channels: Mapping[str, tuple[RawRecording, Column]]
    ambient: Mapping[str, Column] = field(default_factory=dict)
    trends: Mapping[TrendName, FloatArray] = field(default_factory=dict)
    interval_s: float = 1.0

    @property
    def duration_s(self) -> float:
        return max(raw.n_samples[column] / raw.fs_hz[column] for raw, column in self.channels.values())

    @property
    def n_samples(self) -> int:
        """Of all channels together."""
        return sum(raw.n_samples[column] for raw, column in self.channels.values())

    def trends_between(self, start_s: float, stop_s: float) -> dict[TrendName, FloatArray]:
        """The device's trends in an interval."""
        first, last = (round(time_s / self.interval_s) for time_s in (start_s, np.ceil(stop_s)))
        return {name: values[first:last] for name, values in self.trends.items()}

    def read(self, start_s: float = 0.0, stop_s: float | None = None) -> Recording:
        """The interval from ``start_s`` up to ``stop_s``, or to the end, of all channels."""
        stop_s = self.duration_s if stop_s is None else stop_s
        read = {id(raw): raw.read(start_s, stop_s) for raw, _ in self.channels.values()}
        signals = {name: read[id(raw)][column] for name, (raw, column) in self.channels.items()}
        for name, column in self.ambient.items():
            dark = read[id(self.channels[name][0])][column]
            signals[name] = replace(signals[name], samples=signals[name].samples - dark.samples)
        source = self.source
        return Recording(self.recording_id, source.patient_id, signals, source.relative, source.visit)


def open_source(source: SourceFile, cohort: Cohort) -> list[OpenRecording]:
    """Open all recordings; ReadError if a file is absent or unreadable, or its channels' files do not go together."""
    patterns = dict.fromkeys(channel.file or "" for channel in cohort.signals.channels.values())
    by_file = {pattern: _open_file(source, cohort, pattern) for pattern in patterns}
    counts = {pattern: len(found) for pattern, found in by_file.items()}
    if len(set(counts.values())) > 1:
        main = Message("the main file")
        listed = [Message("{n} in {file}", n=count, file=pattern or main) for pattern, count in counts.items()]
        problem = "the files of its channels hold different numbers of recordings: {listed}."
        raise ReadError(source.path, problem, listed=listed)
    n_recordings = counts[next(iter(counts))]
    described = cohort.signals.trends
    path = source.companions.get(described.file) if described else None
    trends = read_trends(path, described) if described and path else {}
    if trends and n_recordings > 1:
        problem = "holds {n} recordings, and one file of trends cannot describe all."
        raise ReadError(source.path, problem, n=n_recordings)
    return [
        OpenRecording(
            source=source,
            recording_id=source.recording_id if n_recordings == 1 else f"{source.recording_id}#{number}",
            channels={
                name: (by_file[channel.file or ""][number], channel.column)
                for name, channel in cohort.signals.channels.items()
            },
            ambient=_ambient(source, cohort, by_file, number),
            trends=trends,
            interval_s=described.interval_s if described else 1.0,
        )
        for number in range(n_recordings)
    ]


def _ambient(
    source: SourceFile, cohort: Cohort, by_file: Mapping[str, list[RawRecording]], number: int
) -> dict[str, Column]:
    """The ambient light of each channel that has one, as long and as often sampled as the channel."""
    found: dict[str, Column] = {}
    for name, channel in cohort.signals.channels.items():
        if channel.ambient is None:
            continue
        raw = by_file[channel.file or ""][number]
        lengths = [(raw.n_samples[column], raw.fs_hz[column]) for column in (channel.column, channel.ambient)]
        if lengths[0] != lengths[1]:
            problem = (
                "channel {channel} has {n} samples at {fs_hz:g} Hz, and its ambient light {column!r} {n_ambient} at "
                "{fs_ambient_hz:g} Hz: one cannot be subtracted from the other. Correct `ambient` in "
                "`signals.channels`."
            )
            (n, fs_hz), (n_ambient, fs_ambient_hz) = lengths
            raise ReadError(
                source.path,
                problem,
                channel=name,
                n=n,
                fs_hz=fs_hz,
                column=channel.ambient,
                n_ambient=n_ambient,
                fs_ambient_hz=fs_ambient_hz,
            )
        found[name] = channel.ambient
    return found


def lacks_trends(source: SourceFile, cohort: Cohort) -> bool:
    """Whether the cohort describes trends, and this source has none."""
    return cohort.signals.trends is not None and cohort.signals.trends.file not in source.companions


def source_files(source: SourceFile, cohort: Cohort) -> list[Path]:
    """All files of a source, those that a header names too; some may be absent."""
    parts = get_reader(cohort.signals.reader).files
    return [*parts(source.path), *(path for first in source.companions.values() for path in parts(first))]


def source_bytes(source: SourceFile, cohort: Cohort) -> int:
    """Size of all files of a source; an absent one counts nothing."""
    return sum(map(_n_bytes, source_files(source, cohort)))


def source_sha256(source: SourceFile, cohort: Cohort) -> str:
    """Hash of all files of a source, of those that can be read: another hash, another recording."""
    hashes = [_file_sha256(path) for path in source_files(source, cohort)]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def _file_sha256(path: Path) -> str:
    try:
        # To open a pipe would wait for someone to write into it.
        return file_sha256(path) if path.is_file() else ""
    except (OSError, ValueError):
        return ""  # It vanished or may not be read: the reader reports it.


def _n_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # The reader reports it.


def _open_file(source: SourceFile, cohort: Cohort, pattern: str) -> list[RawRecording]:
    """Recordings in the file of that pattern; "" is the source's own."""
    files = cohort.signals
    channels = {name: channel for name, channel in files.channels.items() if (channel.file or "") == pattern}
    path = source.companions.get(pattern) if pattern else source.path
    if path is None:
        problem = (
            "there is no file for {channels}: expected {pattern} with the same patient, visit and recording. Copy it, "
            "or move what cannot be completed out of the folder."
        )
        raise ReadError(source.path, problem, channels=list(channels), pattern=pattern)
    reader = get_reader(files.reader)
    named = [column for channel in channels.values() for column in (channel.column, channel.ambient)]
    columns = list(dict.fromkeys(column for column in named if column is not None))
    return reader.open(path, columns, files.fs_hz, reader.parse_options(files.options))
