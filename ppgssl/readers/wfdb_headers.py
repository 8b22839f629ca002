"""Headers of WFDB records, parsed strictly, and the files that they name, looked for in its folder only.

Format: header(5) of the *WFDB Applications Guide*, https://physionet.org/physiotools/wag; Moody, Mark and Goldberger,
PhysioNet, IEEE Eng Med Biol Mag 20(3), 2001.
"""

from __future__ import annotations

import math
import os
import re
import stat
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from ppgssl.core.errors import ReadError
from ppgssl.core.text import Message
from ppgssl.readers.raw_files import read_bytes

SUFFIX = ".hea"
# The name of a segment that is a gap, and of the file of a signal that has no samples.
NOTHING = "~"
MAX_FRAME_SAMPLES = 1_000_000
# Storage formats. Of each, so many samples stand in so many bytes; or bits that a compressed sample has.
PACKING = {"8": (1, 1), "16": (1, 2), "24": (1, 3), "32": (1, 4), "61": (1, 2), "80": (1, 1), "160": (1, 2)}
PACKING |= {"212": (2, 3), "310": (3, 4), "311": (3, 4)}
FLAC_BITS = {"508": 8, "516": 16, "524": 24}

# A header of a thousand segments has 30 KB.
_MAX_HEADER_BYTES = 1_000_000
_MAX_LINE = 1000
_MAX_SIGNALS = 500
_MAX_SEGMENTS = 20_000
_FS_HZ = (1e-6, 1e6)
# For headers that state none, or 0.
_DEFAULT_GAIN = 200.0
_NULL_FORMAT = "0"

_REAL = r"[-+]?(?:\d{1,20}(?:\.\d{0,30})?|\.\d{1,30})(?:[eE][-+]?\d{1,3})?"
_RECORD = re.compile(
    rf"[^\s/]+(?:/(?P<n_segments>\d{{1,9}}))?\s+(?P<n_signals>\d{{1,9}})"
    rf"(?:\s+(?P<frame_hz>{_REAL})(?:[/(]\S*)?(?:\s+(?P<n_frames>\d{{1,15}})(?:\s.*)?)?)?",
    re.ASCII,
)
_SIGNAL = re.compile(
    r"(?P<file>\S+)\s+(?P<format>\d{1,9})(?:x(?P<per_frame>\d{1,9}))?(?::(?P<skew>\d{1,15}))?(?:\+(?P<offset>\d{1,15}))?"
    rf"(?:\s+(?=[-+.\d(/])(?P<gain>{_REAL})?(?:\((?P<baseline>-?\d{{1,15}})\))?(?:/\S*)?"
    r"(?:\s+\d{1,9})?(?:\s+(?P<zero>-?\d{1,15}))?(?:\s+(?P<initial>-?\d{1,10}))?(?:\s+-?\d{1,15})?(?:\s+\d{1,9})?"
    r"(?:\s+(?P<name>.*))?)?",
    re.ASCII,
)
_SEGMENT = re.compile(r"(?P<name>\S+)\s+(?P<n_frames>\d{1,15})", re.ASCII)
_FILE_NAME = re.compile(r"(?!\.)[^/\\:\x00-\x1f\x7f]{1,200}")


class SignalLine(NamedTuple):
    """One signal as a header describes it; ``per_frame`` samples of it stand in each frame of the record."""

    file: str
    format: str
    per_frame: int
    skew: int
    offset: int
    gain: float
    baseline: int
    initial: int
    name: str


class SignalGroup(NamedTuple):
    """Neighbouring signals of a header that share a file; ``first`` is the number of the first of them."""

    file: str
    first: int
    signals: tuple[SignalLine, ...]

    @property
    def is_uniform(self) -> bool:
        """Whether the signals have one storage format, a known one, and one offset, which some may leave out."""
        formats = {signal.format for signal in self.signals}
        offsets = {signal.offset for signal in self.signals} - {0}
        return formats <= {_NULL_FORMAT, *PACKING, *FLAC_BITS} and len(formats) == 1 and len(offsets) <= 1

    @property
    def is_null(self) -> bool:
        """Whether the signals have no samples."""
        return self.file == NOTHING or self.signals[0].format == _NULL_FORMAT


@dataclass(frozen=True)
class Header:
    """A header: of signals, or of a divided record with the names and lengths (in frames) of its segments."""

    path: Path
    frame_hz: float | None
    n_frames: int | None
    signals: tuple[SignalLine, ...] = ()
    groups: tuple[SignalGroup, ...] = ()
    segments: tuple[tuple[str, int], ...] = ()


def read_header(path: Path) -> Header:
    """Parse a header; ReadError if it cannot be read, or a line is not as WFDB writes it.

    Messages number lines and never quote them: comments, also those that lost their ``#``, are about patients.
    """
    lines = _lines(path)
    if not lines:
        raise ReadError(path, "the header holds no record line. Copy it again from its source.")
    match = _matched(path, lines[0], _RECORD, Message("a record line (name, number of signals, rate, length)"))
    frame_hz = float(match["frame_hz"]) if match["frame_hz"] else None
    if frame_hz is not None and not _FS_HZ[0] <= frame_hz <= _FS_HZ[1]:
        problem = "the header states a rate of {frame_hz:g} Hz, which cannot be. Correct it."
        raise ReadError(path, problem, frame_hz=frame_hz)
    # By the standard, a length of 0 means that none is stated.
    header = Header(path, frame_hz, int(match["n_frames"] or 0) or None)
    if match["n_segments"] is None:
        _check_count(path, Message("signals"), int(match["n_signals"]), len(lines) - 1, _MAX_SIGNALS)
        signals = tuple(_signal(path, line) for line in lines[1:])
        return replace(header, signals=signals, groups=_by_file(path, signals))
    _check_count(path, Message("segments"), max(int(match["n_segments"]), 1), len(lines) - 1, _MAX_SEGMENTS)
    segments = [_matched(path, line, _SEGMENT, Message("a segment (name, length)")) for line in lines[1:]]
    return replace(header, segments=tuple((found["name"], int(found["n_frames"])) for found in segments))


def _lines(path: Path) -> list[tuple[int, str]]:
    """Lines that are neither empty nor comments, with their numbers counted from 1."""
    n_bytes = size_of(path, path)
    if n_bytes is not None and n_bytes > _MAX_HEADER_BYTES:
        problem = "{n_bytes} bytes are no WFDB header, which is a short text. Correct `signals.files`."
        raise ReadError(path, problem, n_bytes=n_bytes)
    content = read_bytes(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:  # Old programs wrote units such as the degree sign as one byte.
        text = content.decode("latin-1")
    # str.splitlines would also divide at characters that stand in old units and names.
    stripped = [(number, line.strip()) for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1)]
    return [(number, line) for number, line in stripped if line and not line.startswith("#")]


def _matched(path: Path, line: tuple[int, str], pattern: re.Pattern[str], what: Message) -> re.Match[str]:
    number, text = line
    match = pattern.fullmatch(text) if len(text) <= _MAX_LINE else None
    if not match:
        problem = (
            "line {number} of the header is not {what} as WFDB writes it. Is it a WFDB header, and whole? Copy it "
            "again from its source, or correct the line; comments begin with #."
        )
        raise ReadError(path, problem, number=number, what=what)
    return match


def _check_count(path: Path, what: Message, promised: int, found: int, most: int) -> None:
    if promised != found:
        problem = "the header promises {promised} {what}, and {found} lines follow. Was it cut off? Copy it again."
        raise ReadError(path, problem, promised=promised, what=what, found=found)
    if promised > most:
        problem = "the header promises {promised} {what}, and up to {most} are read. Split the record."
        raise ReadError(path, problem, promised=promised, what=what, most=most)


def _signal(path: Path, line: tuple[int, str]) -> SignalLine:
    match = _matched(path, line, _SIGNAL, Message("a signal (file, format, gain, ..., name)"))
    gain = float(match["gain"] or 0) or _DEFAULT_GAIN
    per_frame = int(match["per_frame"] or 1)
    if not math.isfinite(gain) or not 0 < per_frame <= MAX_FRAME_SAMPLES:
        problem = (
            "line {line} of the header states a gain of {gain:g} and {per_frame} samples per frame, which cannot be. "
            "Correct it."
        )
        raise ReadError(path, problem, line=line[0], gain=gain, per_frame=per_frame)
    skew, offset, initial = (int(match[key] or 0) for key in ("skew", "offset", "initial"))
    baseline = int(match["baseline"] or match["zero"] or 0)
    file, name = match["file"], match["name"] or ""
    return SignalLine(file, match["format"], per_frame, skew, offset, gain, baseline, initial, name)


def _by_file(path: Path, signals: Sequence[SignalLine]) -> tuple[SignalGroup, ...]:
    groups: list[SignalGroup] = []
    for name, items in groupby(signals, key=lambda signal: signal.file):
        groups.append(SignalGroup(name, sum(len(group.signals) for group in groups), tuple(items)))
    names = Counter(group.file for group in groups)
    for group in groups:
        if group.file != NOTHING and (names[group.file] > 1 or not group.is_uniform):
            raise ReadError(
                path,
                "the signals of file {file!r} must stand together, with one offset and one of the storage formats "
                "{formats}. Correct the header.",
                file=group.file[:60],
                formats=[int(name) for name in (*PACKING, *FLAC_BITS)],
            )
    return tuple(groups)


def named_file(path: Path, name: str) -> Path:
    """Where a file lies, or would lie, that the header ``path`` names; ReadError if not as a plain file next to it."""
    file = path.parent / name
    if not _FILE_NAME.fullmatch(name) or os.path.dirname(os.path.realpath(file)) != os.path.realpath(path.parent):
        problem = (
            "the header names a file outside its folder, or one with a name that no file should have ({name!r}), which "
            "is never opened. Copy the record's files into one folder."
        )
        raise ReadError(path, problem, name=name[:60])
    size_of(path, file)
    return file


def size_of(path: Path, file: Path) -> int | None:
    """Bytes of a plain file, None if it is absent; ReadError, which names the header ``path``, if it is none."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        problem = "{file!r} cannot be read ({error}). Check names and permissions."
        raise ReadError(path, problem, file=file.name[:60], error=str(error)) from None
    if not stat.S_ISREG(status.st_mode):
        problem = "{file!r} is a folder, a pipe or a device. Copy its content into a file."
        raise ReadError(path, problem, file=file.name[:60])
    return status.st_size


def absent_file(path: Path, file: Path) -> ReadError:
    """What to raise where a file is needed that the header ``path`` names."""
    return ReadError(
        path,
        "the record needs {file!r}, which is not there. Copy it into the folder; segments that are missing for good "
        "are read as gaps with the option `missing_segments: gap`.",
        file=file.name,
    )
