"""Bytes of a raw file, with every way in which a file can fail to be read put into words; checks of its samples.

Files are read and not mapped into memory: a mapped file that becomes shorter meanwhile, or whose network drive goes
away, ends the whole process.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ppgssl.core.errors import ConfigError, ReadError
from ppgssl.core.records import FloatArray
from ppgssl.core.text import Message, suggest

# What cannot be read in intervals is parsed whole, several files at a time, at several times its size in memory. A day
# of two channels at 125 Hz has 0.17 GB as float64.
MAX_BYTES = 300_000_000
# Samples are stored as 32-bit floats.
_LARGEST = float(np.finfo(np.float32).max)
_MAX_NAMES = 20
_THE_FILE = Message("the file")


def read_bytes(path: Path) -> bytes:
    """Content of a file; ReadError as :func:`file_size`, and if it has more than ``MAX_BYTES``."""
    n_bytes = file_size(path)
    check_size(path, n_bytes)
    return read_range(path, 0, n_bytes)


@contextmanager
def in_words(path: Path) -> Iterator[None]:
    """Turn every way in which the system can fail to read a file into a ReadError."""
    try:
        yield
    except FileNotFoundError:
        problem = "there is no such file (any more). Was it moved or renamed meanwhile?"
        raise ReadError(path, problem) from None
    except PermissionError:
        raise ReadError(path, "no permission to read this file. Ask its owner, or copy it.") from None
    except (OSError, ValueError) as error:
        problem = "the file cannot be read ({error}). Check the disk or the network drive."
        raise ReadError(path, problem, error=str(error)) from None


def file_size(path: Path) -> int:
    """Bytes of a plain file; ReadError if it is absent, no plain file, not allowed to be read, or empty."""
    with in_words(path):
        status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        problem = "expected a file and found a folder. Correct `signals.files` or `clinical.file`."
        raise ReadError(path, problem)
    if not stat.S_ISREG(status.st_mode):
        raise ReadError(path, "not a plain file (a pipe, socket or device). Copy its content into a file.")
    if not status.st_size:
        raise ReadError(path, "the file is empty. Copy it again from its source, or remove it.")
    return status.st_size


def read_range(path: Path, start: int, n_bytes: int) -> bytes:
    """Bytes ``start`` to ``start + n_bytes`` of a plain file; ReadError if it ends before."""
    with in_words(path), path.open("rb") as file:
        file.seek(start)
        content = file.read(n_bytes)
    if len(content) < n_bytes:
        problem = "became shorter while it was read. Is it still being copied? Try again when it is done."
        raise ReadError(path, problem)
    return content


def check_size(path: Path, n_bytes: int, what: Message = _THE_FILE) -> None:
    """ReadError if ``what`` has more than ``MAX_BYTES``."""
    if n_bytes > MAX_BYTES:
        problem = (
            "{what} has {size_gb:.1f} GB; of this format, up to {most_gb:.1g} GB can be read. Split the recording into "
            "several files."
        )
        raise ReadError(path, problem, what=what, size_gb=n_bytes / 1e9, most_gb=MAX_BYTES / 1e9)


def check_rate(fs_hz: float | None) -> float:
    """The sampling rate of files that do not state it; ConfigError if the description does not state it either."""
    if fs_hz is None:
        raise ConfigError("files of this format do not state their sampling rate: give it as `signals.fs_hz`, in Hz")
    return fs_hz


def check_samples(path: Path, name: str | int, samples: FloatArray) -> FloatArray:
    """The samples; ReadError if there are none, or some are infinite or too large for a 32-bit float."""
    if not samples.size:
        problem = "channel {name!r} has no samples. Was the recording interrupted before it began?"
        raise ReadError(path, problem, name=name)
    is_infinite = np.abs(samples) > _LARGEST
    if is_infinite.any():
        problem = (
            "channel {name!r} has {n} infinite or too large values (beyond 32-bit floats), the first at sample "
            "{first}, counted from 0. If they mark missing samples, list them in the reader's option `missing`."
        )
        raise ReadError(path, problem, name=name, n=int(is_infinite.sum()), first=int(np.argmax(is_infinite.ravel())))
    return samples


def position(path: Path, column: str | int, names: Sequence[str], noun: Message) -> int:
    """Where ``column``, a name or a 0-based number, stands in ``names``; ReadError if it is absent, or occurs twice."""
    if isinstance(column, int):
        if not 0 <= column < len(names):
            problem = (
                "there is no {noun} number {column}, counted from 0: {found}. Correct `column` in `signals.channels`; "
                "a name made of digits needs quotes: column: '{column}'."
            )
            raise ReadError(path, problem, noun=noun, column=column, found=_found_names(names, noun))
        return column
    places = [place for place, name in enumerate(names) if name == column]
    if len(places) == 1:
        return places[0]
    if places:
        problem = "{n} {noun}s are named {column!r}. Give the {noun}'s 0-based number instead."
        raise ReadError(path, problem, n=len(places), noun=noun, column=column)
    near, found = suggest(column, names), _found_names(names, noun)
    raise ReadError(
        path, "no {noun} is named {column!r}{near}: {found}.", noun=noun, column=column, near=near, found=found
    )


def _found_names(names: Sequence[str], noun: Message) -> Message:
    listed = [name[:60] or "(no name)" for name in names[:_MAX_NAMES]] or Message("none")
    more = Message(" and {n} more", n=len(names) - _MAX_NAMES) if len(names) > _MAX_NAMES else ""
    nouns = noun if len(names) == 1 else Message("{noun}s", noun=noun)
    return Message("the file has {n} {nouns}: {names}{more}", n=len(names), nouns=nouns, names=listed, more=more)


def as_samples(
    path: Path, column: str | int, numbers: np.ndarray, missing: list[float], *, first: int = 0
) -> FloatArray:
    """An interval of numbers as they stand in a file -> float64, NaN where one is a mark of a missing sample.

    A mark is compared as a number of the file's type: -999.9 marks the 32-bit float next to it. ``first`` is the
    place of the interval in its recording, which messages name. ReadError as :func:`check_samples`.
    """
    # Casts warn of NaN of the signalling kind, and of numbers too large for a float, which are refused below.
    with np.errstate(over="ignore", invalid="ignore"):
        samples = numbers.astype(np.float64, order="C")
        if missing:
            marks = np.array(missing)
            samples[np.isin(samples, marks.astype(numbers.dtype) if numbers.dtype.kind == "f" else marks)] = np.nan
    name = Message("{column}, from sample {first}", column=column, first=first) if first else column
    return check_samples(path, name, samples) if samples.size else samples
