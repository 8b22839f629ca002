"""European Data Format: EDF, and EDF+ with (EDF+D) or without (EDF+C) gaps.

The package edfio understands the headers of channels and turns records into physical units. Where the records of a
file lie is found here, because edfio believes the header: a file that was cut off is taken as it is with a warning,
gaps of EDF+D are closed, and its lazy loading maps the file into memory, where a file that becomes shorter meanwhile
ends the whole process. Format: Kemp & Olivan, European data format 'plus', Clin Neurophysiol 114:1755, 2003,
10.1016/S1388-2457(03)00123-8, and https://www.edfplus.info/specs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import edfio
import numpy as np
from pydantic import Field

from ppgssl.core.errors import ReadError
from ppgssl.core.records import FloatArray, IntArray, Signal
from ppgssl.core.schema import Schema
from ppgssl.core.text import Message
from ppgssl.readers.isolated import guarded
from ppgssl.readers.raw_files import check_size, file_size, in_words, position, read_range
from ppgssl.readers.raw_recordings import Column, RawRecording, copy_overlap, span

_AN_EDF = Message("an EDF file")
_ANNOTATIONS = "EDF Annotations"
_BDF = b"\xffBIOSEMI"
# Bytes of records that are held at once, unless one record is longer.
_BLOCK_BYTES = 8_000_000
# Gaps have no bytes in the file: these bound what a damaged one can ask for. Five weeks of records of one second.
_MAX_GAPS_S = 7 * 86_400.0
_MAX_RECORDS_WITH_ONSET = 3_000_000
_MAX_RATE_HZ = 1e6
_LARGEST = float(np.finfo(np.float32).max)
# The first entry of a record of EDF+ is when it began: a number with its sign, and no text.
_ONSET = re.compile(rb"([+-]\d+(?:\.\d*)?)\x14\x14")


class EdfOptions(Schema):
    """Options of the reader ``edf``."""

    missing: list[int] = Field(
        default_factory=list,
        description="Values that mark a missing sample, as they stand in the file before scaling, such as -32768.",
    )


@dataclass(frozen=True)
class _Header:
    """What a file states; ``places`` are those of the channels that are no annotations."""

    content: bytes
    n_records: int
    record_s: float
    labels: list[str]
    lengths: list[int]
    places: list[int]
    signals: tuple[edfio.EdfSignal, ...]

    @property
    def record_bytes(self) -> int:
        return 2 * sum(self.lengths)


@dataclass(frozen=True)
class _Channel:
    """One wanted channel: its number without annotations, and at which sample each run of records begins."""

    number: int
    fs_hz: float
    record_samples: int
    run_starts: IntArray
    n_samples: int


@dataclass(frozen=True)
class _Edf:
    """A file that holds what it states. ``run_records``: first record of each run, and the number of records."""

    path: Path
    header: _Header
    run_records: IntArray
    channels: Mapping[Column, _Channel]
    missing: Sequence[int]


def open_edf(path: Path, columns: Sequence[Column], fs_hz: float | None, options: EdfOptions) -> list[RawRecording]:
    """Read channels of the one recording in an EDF or EDF+ file.

    Time begins with the first record. Between the records of an EDF+D file there can be gaps, whose samples are NaN;
    distances up to one sample of the file's fastest channel are taken as inaccurate clocks. Patient, dates and units
    are not read, and may be wrong. A header without a number of records, as devices leave it that were switched off, is
    no error: all whole records are taken. A long file is never held whole.

    Parameters
    ----------
    path, options
        See :class:`ppgssl.readers.Reader`.
    columns
        Labels of channels, or their 0-based numbers, annotations not counted.
    fs_hz
        The file states the rate of each channel. If given, all channels must have this one.
    """
    header = _header(path)
    names = [header.labels[place] for place in header.places]
    numbers = {column: position(path, column, names, Message("channel")) for column in columns}
    for column, number in numbers.items():
        _check_channel(path, column, header.signals[number], fs_hz)
    run_records, onsets = _runs(path, header)
    channels = {column: _channel(header, number, run_records, onsets) for column, number in numbers.items()}
    file = _Edf(path, header, run_records, channels, options.missing)
    return [
        RawRecording(
            fs_hz={column: channel.fs_hz for column, channel in channels.items()},
            n_samples={column: channel.n_samples for column, channel in channels.items()},
            read=lambda start_s, stop_s: _read(file, start_s, stop_s),
        )
    ]


def _header(path: Path) -> _Header:
    n_bytes = file_size(path)
    start = read_range(path, 0, min(n_bytes, 256))
    if start.startswith(_BDF):
        raise ReadError(path, "a BDF file (24 bits a sample), which is not read. Export it as EDF+.")
    if not start.startswith(b"0       ") or len(start) < 256:
        raise ReadError(path, "does not begin as an EDF file does. Is it another format, renamed or cut off?")
    with guarded(path, _AN_EDF):
        n_channels, header_bytes = int(start[252:256]), int(start[184:192])
        if n_channels < 1 or header_bytes != 256 * (1 + n_channels) or header_bytes > n_bytes:
            problem = (
                "damaged: a header of {n_header} bytes for {n_channels} channels, in a file of {n_bytes}. Copy it "
                "again from its source."
            )
            raise ReadError(path, problem, n_header=header_bytes, n_channels=n_channels, n_bytes=n_bytes)
        content = read_range(path, 0, header_bytes)
        labels = [_text(content[256 + 16 * channel :][:16]) for channel in range(n_channels)]
        lengths = [int(content[256 + 216 * n_channels + 8 * channel :][:8]) for channel in range(n_channels)]
        record_s = float(start[244:252])
        places = [place for place, label in enumerate(labels) if label != _ANNOTATIONS]
        if not places:
            raise ReadError(path, "holds annotations only, and no signal. Leave it out of `signals.files`.")
        if not 0 < record_s < math.inf or min(lengths) < 1:
            problem = (
                "damaged header: records of {record_s:g} s with {n} samples of a channel. Copy the file again from its "
                "source."
            )
            raise ReadError(path, problem, record_s=record_s, n=min(lengths))
        n_records = _n_records(path, int(start[236:244]), n_bytes - header_bytes, 2 * sum(lengths), record_s)
        return _Header(content, n_records, record_s, labels, lengths, places, _decoded(content, b"", 0))


def _text(field: bytes) -> str:
    # ASCII by the standard; devices write letters of their language.
    try:
        return field.decode().strip(" \0")
    except UnicodeDecodeError:
        return field.decode("latin-1").strip(" \0")


def _n_records(path: Path, n_stated: int, n_bytes: int, record_bytes: int, record_s: float) -> int:
    """The number of records: that there are if the header does not state it (-1)."""
    check_size(path, record_bytes, Message("one data record"))
    n_found, n_left = divmod(n_bytes, record_bytes)
    if n_stated not in (-1, n_found) or (n_left and n_stated != -1):
        part = Message(" and {n} bytes", n=n_left) if n_left else ""
        problem = (
            "the header promises {n_stated} records of {record_s:g} s, and the file holds {n_found}{part}. Was it cut "
            "off, or is it still being copied? Copy it again from its source."
        )
        raise ReadError(path, problem, n_stated=n_stated, record_s=record_s, n_found=n_found, part=part)
    if not n_found:
        raise ReadError(path, "has no data records. Was the recording interrupted before it began?")
    return n_found


def _decoded(header: bytes, records: bytes, n_records: int) -> tuple[edfio.EdfSignal, ...]:
    """The channels of some records, by edfio, which gets them as a short file."""
    return edfio.read_edf(header[:236] + str(n_records).encode().ljust(8) + header[244:] + records).signals


def _check_channel(path: Path, column: Column, signal: edfio.EdfSignal, fs_hz: float | None) -> None:
    rate = signal.sampling_frequency
    if not 0 < rate <= _MAX_RATE_HZ:
        problem = "damaged header: channel {column!r} has {rate:g} samples a second. Copy it again."
        raise ReadError(path, problem, column=column, rate=rate)
    if fs_hz is not None and not math.isclose(rate, fs_hz, rel_tol=1e-6):
        problem = (
            "channel {column!r} has {rate:g} samples a second, and `signals.fs_hz` is {fs_hz:g}. Leave `fs_hz` out: "
            "EDF files state it."
        )
        raise ReadError(path, problem, column=column, rate=rate, fs_hz=fs_hz)
    with guarded(path, _AN_EDF):
        (low, high), (first, last) = signal.physical_range, signal.digital_range
    # Every 16-bit number must stand for a finite one within 32-bit floats, in which samples are kept.
    gain = (high - low) / (last - first) if last > first else math.nan
    if low == high or not all(abs(low + gain * (number - first)) < _LARGEST for number in (-32768, 32767)):
        problem = (
            "channel {column!r} cannot be converted to its unit: digital {first} to {last} stands for {low:g} to "
            "{high:g}. Was it connected? Have the header repaired."
        )
        raise ReadError(path, problem, column=column, first=first, last=last, low=low, high=high)


def _runs(path: Path, header: _Header) -> tuple[IntArray, FloatArray]:
    """First record of each run without a gap, and the number of records; when each run begins, in s from the first."""
    if header.content[192:197] != b"EDF+D":
        return np.array([0, header.n_records]), np.zeros(1)
    onsets = _onsets(path, header)
    extra_s = np.diff(onsets) - header.record_s
    tolerance_s = header.record_s / max(header.lengths[place] for place in header.places)
    if extra_s.size and extra_s.min() < -tolerance_s:
        problem = (
            "record {record}, counted from 0, begins before the one before it ends. The file is damaged, or its "
            "records are not in order."
        )
        raise ReadError(path, problem, record=int(np.argmin(extra_s)) + 1)
    if extra_s.sum() > _MAX_GAPS_S:
        problem = "has gaps of {days:.1f} days, and up to {most:g} can be read. Split the recording into several files."
        raise ReadError(path, problem, days=extra_s.sum() / 86400, most=_MAX_GAPS_S / 86400)
    firsts = np.concatenate([[0], np.flatnonzero(extra_s > tolerance_s) + 1])
    return np.append(firsts, header.n_records), onsets[firsts] - onsets[0]


def _onsets(path: Path, header: _Header) -> FloatArray:
    """When each record of an EDF+D file begins, in s."""
    if _ANNOTATIONS not in header.labels or header.n_records > _MAX_RECORDS_WITH_ONSET:
        problem = (
            "an EDF+D file must state when each of its records begins, in a channel {label!r}, and can have up to "
            "{most} records; this one has {n}. Export it as EDF+C."
        )
        raise ReadError(path, problem, label=_ANNOTATIONS, most=_MAX_RECORDS_WITH_ONSET, n=header.n_records)
    place = header.labels.index(_ANNOTATIONS)
    start = len(header.content) + 2 * sum(header.lengths[:place])
    onsets = np.empty(header.n_records)
    with in_words(path), path.open("rb", buffering=0) as file:
        for record in range(header.n_records):
            file.seek(start + record * header.record_bytes)
            found = _ONSET.match(file.read(min(2 * header.lengths[place], 64)))
            if found is None:
                problem = (
                    "record {record}, counted from 0, does not state when it begins, as EDF+D must. Copy it again."
                )
                raise ReadError(path, problem, record=record)
            onsets[record] = float(found[1])
    return onsets


def _channel(header: _Header, number: int, run_records: IntArray, onsets: FloatArray) -> _Channel:
    length, rate = header.lengths[header.places[number]], header.signals[number].sampling_frequency
    starts = np.rint(onsets * rate).astype(np.int64)
    run_samples = np.diff(run_records) * length
    # Rounding, and clocks that are slow, can let a run begin where the one before has not yet ended.
    before = np.concatenate([[0], np.cumsum(run_samples)[:-1]])
    starts = np.maximum.accumulate(starts - before) + before
    return _Channel(number, rate, length, starts, int(starts[-1] + run_samples[-1]))


def _read(file: _Edf, start_s: float, stop_s: float) -> dict[Column, Signal]:
    spans = {
        column: span(channel.fs_hz, channel.n_samples, start_s, stop_s) for column, channel in file.channels.items()
    }
    samples = {column: np.full(place.stop - place.start, np.nan) for column, place in spans.items()}
    for run, first, n_records in _blocks(file, spans):
        start = len(file.header.content) + first * file.header.record_bytes
        block = read_range(file.path, start, n_records * file.header.record_bytes)
        with guarded(file.path, _AN_EDF):
            signals = _decoded(file.header.content, block, n_records)
        for column, channel in file.channels.items():
            values = np.array(signals[channel.number].data)
            if file.missing:
                values[np.isin(signals[channel.number].digital, file.missing)] = np.nan
            offset = channel.run_starts[run] + (first - file.run_records[run]) * channel.record_samples
            copy_overlap(values, int(offset), samples[column], spans[column].start)
    return {column: Signal(values, file.channels[column].fs_hz) for column, values in samples.items()}


def _blocks(file: _Edf, spans: Mapping[Column, slice]) -> Iterator[tuple[int, int, int]]:
    """Run, first record and number of records of each block that holds samples of the spans."""
    wanted = [(file.channels[column], place) for column, place in spans.items() if place.stop > place.start]
    if not wanted:
        return
    first_run = min(int(np.searchsorted(channel.run_starts, place.start, "right")) - 1 for channel, place in wanted)
    last_run = max(int(np.searchsorted(channel.run_starts, place.stop, "left")) for channel, place in wanted)
    step = max(_BLOCK_BYTES // file.header.record_bytes, 1)
    for run in range(first_run, last_run):
        begin, end = (int(edge) for edge in file.run_records[run : run + 2])
        firsts = [(place.start - channel.run_starts[run]) // channel.record_samples for channel, place in wanted]
        lasts = [-((channel.run_starts[run] - place.stop) // channel.record_samples) for channel, place in wanted]
        stop = min(begin + int(max(lasts)), end)
        for first in range(begin + max(int(min(firsts)), 0), stop, step):
            yield run, first, min(step, stop - first)
