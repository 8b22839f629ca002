"""WFDB records (PhysioNet): a text header, the signal files it names and, of a divided record, a header per segment.

Samples are decoded by the package wfdb (4.3), which trusts headers and opens whatever it names. Here headers
are read strictly (wfdb_headers.py), and what they promise is compared with the bytes there are before the first sample
is asked for. Storage formats: signal(5) of the *WFDB Applications Guide*, https://physionet.org/physiotools/wag.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import numpy as np
import soundfile  # type: ignore[import-untyped]
from pydantic import Field

# Not public. The public functions cannot read a part of a record whose header states no length, stop at dates that do
# not exist, and fail on differing skews, on skewed FLAC and on digital samples of format 61. They all call this one.
from wfdb.io._signal import _rd_segment  # type: ignore[import-untyped]

from ppgssl.core.errors import ReadError
from ppgssl.core.records import FloatArray, Signal
from ppgssl.core.schema import Schema
from ppgssl.core.text import Message
from ppgssl.readers.isolated import guarded
from ppgssl.readers.raw_files import check_samples, position, read_range
from ppgssl.readers.raw_recordings import Column, RawRecording, Signals, copy_overlap, span
from ppgssl.readers.wfdb_headers import (
    FLAC_BITS,
    MAX_FRAME_SAMPLES,
    NOTHING,
    PACKING,
    SUFFIX,
    Header,
    SignalLine,
    absent_file,
    named_file,
    read_header,
    size_of,
)

Result = TypeVar("Result")

# A gap costs a header nothing, and whoever goes through the record time. 100 days at 231 Hz; 1000 days at lower rates.
_MAX_SAMPLES = 2_000_000_000
_MAX_S = 1000 * 86_400.0
_SAME_RATE = 1e-6
_MAX_READ_BYTES = 1_000_000_000
# Samples of a signal file that are decoded at a time.
_BLOCK_SAMPLES = 1_000_000
_DIFFERENCES = "8"
# The lowest number that these bits can hold marks a missing sample; format 8 has no such mark.
_BITS = {"16": 16, "24": 24, "32": 32, "61": 16, "80": 8, "160": 16, "212": 12, "310": 10, "311": 10, **FLAC_BITS}


class WfdbOptions(Schema):
    """Options of the reader ``wfdb``."""

    missing_segments: Literal["error", "gap"] = Field(
        "error", description="A segment of which a file is absent: refuse the record, or take its samples as missing."
    )


class _Interval(NamedTuple):
    """Consecutive frames of a record and the header that describes them, None in a gap."""

    start: int
    n_frames: int
    header: Header | None


@dataclass(frozen=True)
class _Record:
    """A record laid out in time. ``reference`` lists its signals; in a variable layout, each segment has its own."""

    path: Path
    frame_hz: float | None
    n_frames: int
    reference: Header
    intervals: tuple[_Interval, ...]
    layout: Literal["single", "fixed", "variable"] = "single"


@dataclass(frozen=True)
class _SignalFile:
    """A signal file, the frames it holds, all its signals, and for each column the place of its signal among them."""

    path: Path
    n_frames: int
    signals: tuple[SignalLine, ...]
    columns: Mapping[Column, int]


class _Part(NamedTuple):
    """Consecutive frames of a record and the files to read them from."""

    start: int
    n_frames: int
    files: Sequence[_SignalFile]


def open_wfdb(path: Path, columns: Sequence[Column], fs_hz: float | None, options: WfdbOptions) -> list[RawRecording]:
    """Open a WFDB record of one or several segments; its samples are read interval by interval.

    Parameters
    ----------
    path
        The header (``.hea``). Signal files, and headers of segments, must lie in its folder.
    columns
        Names of signals, or their 0-based numbers; where segments have different signals (variable layout), those of
        the layout header. Signals of one name are distinguished by number.
    fs_hz
        Not needed where the header states the rate: if given, it must be the rate of every signal that is read. A
        header without a rate takes it as the rate of its frames.
    options
        See :class:`ppgssl.readers.Reader`.

    Returns
    -------
    list of one RawRecording
        Samples in the header's units, (number - baseline) / gain, each signal at its own rate, a skewed signal moved to
        its true time. NaN where a sample is marked as missing, in gaps, in segments that lack the signal, and after the
        end of a skewed signal. What is damaged inside a signal file shows when its samples are read.
    """
    record = _lay_out(path, options)
    names = [signal.name for signal in record.reference.signals]
    places = {column: position(path, column, names, Message("signal")) for column in columns}
    per_frame = {column: record.reference.signals[place].per_frame for column, place in places.items()}
    rates = _rates(record, per_frame, fs_hz)
    n_samples = {column: record.n_frames * count for column, count in per_frame.items()}
    _check_length(path, n_samples, rates)
    parts = _parts(record, places, options)

    def read(start_s: float, stop_s: float) -> Signals:
        spans = {column: span(rate, n_samples[column], start_s, stop_s) for column, rate in rates.items()}
        samples = _read(path, parts, spans, per_frame)
        return {column: Signal(samples[column], rate) for column, rate in rates.items()}

    return [RawRecording(fs_hz=rates, n_samples=n_samples, read=read)]


def wfdb_files(path: Path) -> list[Path]:
    """The header and all files that it names, ``path`` first: headers of segments and signal files, existing or not.

    Files outside the header's folder, and whatever is no plain file, are left out: the reader refuses to open them.
    """
    header = _unless_refused(read_header, path)
    if header is None:
        return [path]
    segments = dict.fromkeys(name + SUFFIX for name, _ in header.segments if name != NOTHING)
    inner = [file for name in segments if (file := _unless_refused(named_file, path, name))]
    headers = [header, *(found for file in inner if (found := _unless_refused(read_header, file)))]
    names = dict.fromkeys(group.file for each in headers for group in each.groups if group.file != NOTHING)
    signal_files = [file for name in names if (file := _unless_refused(named_file, path, name))]
    return list(dict.fromkeys([path, *inner, *signal_files]))


def _unless_refused(function: Callable[..., Result], *arguments: object) -> Result | None:
    with suppress(ReadError):
        return function(*arguments)
    return None


# --- the record in time ----------------------------------------------------------------------------------------


def _lay_out(path: Path, options: WfdbOptions) -> _Record:
    if path.suffix != SUFFIX:
        problem = "the reader `wfdb` opens headers (.hea), and finds the files that they name. Correct `signals.files`."
        raise ReadError(path, problem)
    if "::" in str(path.absolute()):
        # fsspec, through which wfdb opens files, would open another one.
        raise ReadError(path, "WFDB records cannot be read from a folder with :: in its name. Rename it.")
    header = read_header(path)
    if header.segments:
        return _divided(header, options)
    n_frames = header.n_frames or 0
    first = next((group for group in header.groups if not group.is_null), None)
    if not n_frames and first:
        n_frames = _n_frames_of(path, named_file(path, first.file), first.signals)
    return _Record(path, header.frame_hz, n_frames, header, (_Interval(0, n_frames, header),))


def _divided(master: Header, options: WfdbOptions) -> _Record:
    path, segments = master.path, master.segments
    lengths = [n_frames for _, n_frames in segments]
    if master.n_frames not in (None, sum(lengths)):
        problem = "the header promises {n} frames, and its segments {n_segments}. Copy it again."
        raise ReadError(path, problem, n=master.n_frames, n_segments=sum(lengths))
    # Of a variable layout, the first segment has no samples, and lists the signals.
    layout: Literal["fixed", "variable"] = "fixed" if lengths[0] else "variable"
    needed = dict.fromkeys([segments[0][0], *(name for name, n_frames in segments if n_frames)])
    headers = {name: _segment(master, name, options) for name in needed}
    intervals = tuple(
        _Interval(start, n_frames, headers[name])
        for (name, n_frames), start in zip(segments, accumulate(lengths, initial=0), strict=False)
        if n_frames
    )
    present = (interval.header for interval in intervals if interval.header)
    reference = headers[segments[0][0]] if layout == "variable" else next(present, None)
    if reference is None:
        raise ReadError(path, "no header of a segment lists the signals. Copy the files that it names.")
    frame_hz = master.frame_hz or reference.frame_hz
    for interval in intervals:
        _check_segment(path, frame_hz, interval)
    return _Record(path, frame_hz, sum(lengths), reference, intervals, layout)


def _segment(master: Header, name: str, options: WfdbOptions) -> Header | None:
    """Header of a segment; None of a gap, and of a segment that is absent and may be."""
    if name == NOTHING:
        return None
    file = named_file(master.path, name + SUFFIX)
    if size_of(master.path, file) is None:
        if options.missing_segments == "gap":
            return None
        raise absent_file(master.path, file)
    header = read_header(file)
    if header.segments:
        problem = "a segment of {record}, and divided into segments itself. Copy both again."
        raise ReadError(file, problem, record=master.path.name)
    return header


def _check_segment(path: Path, frame_hz: float | None, interval: _Interval) -> None:
    header = interval.header
    if header is None:
        return
    if header.n_frames not in (None, interval.n_frames):
        problem = "a segment of {n} frames, and {record} promises {n_promised}. Copy both again."
        raise ReadError(header.path, problem, n=header.n_frames, record=path.name, n_promised=interval.n_frames)
    if header.frame_hz and frame_hz and not math.isclose(header.frame_hz, frame_hz, rel_tol=_SAME_RATE):
        problem = "a segment at {segment_hz:g} Hz of a record at {frame_hz:g} Hz. Correct the headers."
        raise ReadError(header.path, problem, segment_hz=header.frame_hz, frame_hz=frame_hz)


def _rates(record: _Record, per_frame: Mapping[Column, int], fs_hz: float | None) -> dict[Column, float]:
    frame_hz = record.frame_hz or fs_hz
    if frame_hz is None:
        raise ReadError(record.path, "the header states no sampling rate. Give it as `signals.fs_hz`, in Hz.")
    rates = {column: frame_hz * count for column, count in per_frame.items()}
    for column, rate in rates.items():
        if record.frame_hz and fs_hz and not math.isclose(rate, fs_hz, rel_tol=_SAME_RATE):
            problem = (
                "by its header, signal {column!r} has {rate:g} Hz, and `signals.fs_hz` is {fs_hz:g}. Remove "
                "`signals.fs_hz`, which is for files that do not state their rate, or correct the header."
            )
            raise ReadError(record.path, problem, column=column, rate=rate, fs_hz=fs_hz)
    return rates


def _check_length(path: Path, n_samples: Mapping[Column, int], rates: Mapping[Column, float]) -> None:
    for column, count in n_samples.items():
        if not count:
            problem = "signal {column!r} has no samples. Was the recording interrupted before it began?"
            raise ReadError(path, problem, column=column)
        if count > _MAX_SAMPLES or count / rates[column] > _MAX_S:
            raise ReadError(
                path,
                "the header promises {count} samples of signal {column!r} at {rate:g} Hz; up to {most} are read, and "
                "{most_days:.0f} days. Correct the header, or split the record.",
                count=count,
                column=column,
                rate=rates[column],
                most=_MAX_SAMPLES,
                most_days=_MAX_S / 86400,
            )


# --- which file holds what -------------------------------------------------------------------------------------


def _parts(record: _Record, places: Mapping[Column, int], options: WfdbOptions) -> list[_Part]:
    files: dict[tuple[Path, int], list[_SignalFile]] = {}
    parts = []
    for start, n_frames, header in record.intervals:
        if header:
            key = header.path, n_frames
            if key not in files:
                files[key] = _signal_files(record, header, n_frames, places, options)
            parts.append(_Part(start, n_frames, files[key]))
    return parts


def _signal_files(
    record: _Record, header: Header, n_frames: int, places: Mapping[Column, int], options: WfdbOptions
) -> list[_SignalFile]:
    """The files that hold the signals asked for, without those that are absent and may be."""
    own = _own_places(record, header, places)
    may_be_absent = record.layout != "single" and options.missing_segments == "gap"
    files = []
    for group in header.groups:
        columns = {c: place - group.first for c, place in own.items() if 0 <= place - group.first < len(group.signals)}
        if not columns or group.is_null:
            continue
        file = named_file(header.path, group.file)
        if may_be_absent and size_of(header.path, file) is None:
            continue
        held = _n_frames_of(header.path, file, group.signals)
        if held < n_frames:
            problem = (
                "the header promises {n_frames} frames, and {file!r} holds {held}. It was cut off, or belongs to "
                "another record: copy both again."
            )
            raise ReadError(header.path, problem, n_frames=n_frames, file=file.name, held=held)
        files.append(_SignalFile(file, held, group.signals, columns))
    return files


def _own_places(record: _Record, header: Header, places: Mapping[Column, int]) -> dict[Column, int]:
    """Where the signals stand in the header of a segment; those that it lacks are left out."""
    own = dict(places)
    if record.layout == "variable":
        known = {key: place for place, key in enumerate(_numbered(header.signals))}
        keys = _numbered(record.reference.signals)
        own = {column: known[keys[place]] for column, place in places.items() if keys[place] in known}
    elif len(header.signals) != len(record.reference.signals):
        problem = (
            "a segment of {n} signals, next to one of {n_reference}. Only after a layout header, a first segment of "
            "length 0, may segments have different signals."
        )
        raise ReadError(header.path, problem, n=len(header.signals), n_reference=len(record.reference.signals))
    for column, place in own.items():
        expected, found = record.reference.signals[places[column]].per_frame, header.signals[place].per_frame
        if expected != found:
            raise ReadError(
                header.path,
                "signal {column!r} has {found} samples per frame, and {expected} in {reference}. One record cannot "
                "have both: split it.",
                column=column,
                found=found,
                expected=expected,
                reference=record.reference.path.name,
            )
    return own


def _numbered(signals: Sequence[SignalLine]) -> list[tuple[str, int]]:
    """Names of signals, each with a number that distinguishes those of one name."""
    names = [signal.name for signal in signals]
    return [(name, names[:place].count(name)) for place, name in enumerate(names)]


def _n_frames_of(path: Path, file: Path, signals: Sequence[SignalLine]) -> int:
    """Number of whole frames in a signal file."""
    n_bytes = size_of(path, file)
    if n_bytes is None:
        raise absent_file(path, file)
    per_frame = sum(signal.per_frame for signal in signals)
    if per_frame > MAX_FRAME_SAMPLES:
        problem = "{per_frame} samples per frame of {file!r} cannot be. Correct the header."
        raise ReadError(path, problem, per_frame=per_frame, file=file.name)
    offset = max(signal.offset for signal in signals)
    if signals[0].format in FLAC_BITS:
        return max(0, _flac_length(path, file, signals) - offset) // signals[0].per_frame
    n_samples, n_packed = PACKING[signals[0].format]
    n_bytes = max(0, n_bytes - offset)
    # The second of three samples ends in the fourth byte of format 310, and in the third of format 311.
    n_bytes -= signals[0].format == "310" and n_bytes % n_packed == n_packed - 1
    return n_bytes * n_samples // n_packed // per_frame


def _flac_length(path: Path, file: Path, signals: Sequence[SignalLine]) -> int:
    with guarded(file, Message("a FLAC file")):
        if read_range(file, 0, 4) != b"fLaC":  # The library would recognise many other formats.
            raise ValueError("it does not begin as a FLAC file does")
        sound = soundfile.info(str(file))
    if sound.channels != len(signals) or len({signal.per_frame for signal in signals}) > 1:
        problem = (
            "the header promises {n} signals in {file!r}, which has {n_channels}, all of one rate. It is another "
            "record's, or the header is wrong: copy both again."
        )
        raise ReadError(path, problem, n=len(signals), file=file.name, n_channels=sound.channels)
    return int(sound.frames)


# --- samples ---------------------------------------------------------------------------------------------------


def _read(
    path: Path, parts: Sequence[_Part], spans: Mapping[Column, slice], per_frame: Mapping[Column, int]
) -> dict[Column, FloatArray]:
    lengths = {column: wanted.stop - wanted.start for column, wanted in spans.items()}
    n_bytes = 8 * sum(lengths.values())
    if n_bytes > _MAX_READ_BYTES:
        problem = "{size_gb:.1f} GB of samples are asked for at once. Read shorter intervals."
        raise ReadError(path, problem, size_gb=n_bytes / 1000000000.0)
    samples: dict[Column, FloatArray] = {column: np.full(length, np.nan) for column, length in lengths.items()}
    first = min((wanted.start // per_frame[column] for column, wanted in spans.items()), default=0)
    last = max((-(-wanted.stop // per_frame[column]) for column, wanted in spans.items()), default=0)
    for part in parts:
        if part.start < last and first < part.start + part.n_frames:
            for column, start, values in _samples_between(part, first, last):
                copy_overlap(values, start, samples[column], spans[column].start)
    return {column: check_samples(path, column, found) if len(found) else found for column, found in samples.items()}


def _samples_between(part: _Part, first: int, last: int) -> Iterator[tuple[Column, int, FloatArray]]:
    """Samples of ``part`` between two frames of the record (and some beyond), and the number of the first of them."""
    begin, end = max(first - part.start, 0), min(last - part.start, part.n_frames)
    for file in part.files:
        # A skewed signal stands so many frames further back in the file than in time.
        skews = [file.signals[place].skew for place in file.columns.values()]
        for block, digital in _blocks(file, begin + min(skews), min(end + max(skews), part.n_frames)):
            for column, place in file.columns.items():
                signal = file.signals[place]
                # The frames before those of time 0 would fall into the part before.
                n_before = max(0, signal.skew - block) * signal.per_frame
                start = (part.start + block - signal.skew) * signal.per_frame + n_before
                yield column, start, _physical(signal, digital[place][n_before:])


def _blocks(file: _SignalFile, first: int, last: int) -> Iterator[tuple[int, dict[int, np.ndarray]]]:
    """Digital samples of the wanted signals by their places, a bounded number at a time, and their first frame."""
    step = max(1, _BLOCK_SAMPLES // sum(signal.per_frame for signal in file.signals))
    initial = [signal.initial for signal in file.signals]
    is_differences = file.signals[0].format == _DIFFERENCES
    # Differences add up from the beginning of the file.
    for start in range(0 if is_differences else first, last, step):
        digital = _decoded(file, start, min(start + step, last), initial)
        if is_differences:
            initial = [int(digital[place][-1]) if place in digital else 0 for place in range(len(initial))]
        yield start, digital


def _decoded(file: _SignalFile, start: int, stop: int, initial: list[int]) -> dict[int, np.ndarray]:
    n_signals = len(file.signals)
    places = sorted(set(file.columns.values()))
    with guarded(file.path, Message("of the format that its header states")):
        decoded = _rd_segment(
            file_name=[file.path.name] * n_signals,
            dir_name=str(file.path.parent.absolute()),
            pn_dir=None,
            fmt=[file.signals[0].format] * n_signals,
            n_sig=n_signals,
            sig_len=file.n_frames,
            byte_offset=[max(signal.offset for signal in file.signals)] * n_signals,
            samps_per_frame=[signal.per_frame for signal in file.signals],
            skew=[0] * n_signals,
            init_value=initial,
            sampfrom=start,
            sampto=stop,
            channels=places,
            ignore_skew=True,
        )
    if file.signals[0].format == "311":
        # wfdb 4.3.1 takes one of two unused bits as part of the number.
        decoded = [(values.astype(np.int32) + 512) % 1024 - 512 for values in decoded]
    return dict(zip(places, decoded, strict=True))


def _physical(signal: SignalLine, digital: np.ndarray) -> FloatArray:
    with np.errstate(over="ignore"):  # Too large samples are refused later.
        samples = (digital.astype(np.float64) - signal.baseline) / signal.gain
    if signal.format in _BITS:
        samples[digital == -(2 ** (_BITS[signal.format] - 1))] = np.nan
    return samples
