"""Arrays of numbers: NumPy (.npy, .npz) and MATLAB (.mat, all versions). Nothing in a file is ever executed."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.lib import format as npy_format
from pydantic import BaseModel, ConfigDict, Field

from ppgssl.core.errors import ReadError
from ppgssl.core.records import Signal
from ppgssl.readers.isolated import call, guarded
from ppgssl.readers.raw_files import (
    as_samples,
    check_rate,
    check_size,
    file_size,
    position,
    read_bytes,
    read_range,
)
from ppgssl.readers.raw_recordings import Column, RawRecording, span

Index = tuple[int | slice, ...]

_MAGIC = {".npy": b"\x93NUMPY", ".npz": b"PK"}
# NumPy's own limit of a header.
_HEAD_BYTES = 12_000
# An array of MATLAB 7.3 of up to this many bytes is unpacked when the file is opened, not again for each interval.
_SHORT_BYTES = 50_000_000


class ArrayOptions(BaseModel):
    """Options of the reader ``arrays``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    samples_axis: Literal[-1, 0] = Field(
        -1,
        description="Time axis of a two-dimensional array; the other axis counts pieces, a recording each.",
    )
    missing: list[float] = Field(default_factory=list, description="Values that mark a missing sample, beside NaN.")


class StoredArray(NamedTuple):
    """An array in a file; ``take(index)`` reads the part that numbers and slices, one for each dimension, select."""

    dtype: np.dtype
    shape: tuple[int, ...]
    take: Callable[[Index], np.ndarray]


@dataclass(frozen=True)
class _Arrays:
    """The arrays in a file: their names, and how to load one, or parts of it."""

    names: list[str]
    load: Callable[[str], StoredArray]


@dataclass(frozen=True)
class _Stack:
    """Pieces of equal length; ``index`` says where samples of a piece stand in the array."""

    array: StoredArray
    n_pieces: int
    n_samples: int
    index: Callable[[int, slice], Index]


def open_arrays(
    path: Path, columns: Sequence[Column], fs_hz: float | None, options: ArrayOptions
) -> list[RawRecording]:
    """Read channels that are named arrays of one file.

    A one-dimensional array is one recording, and so is a two-dimensional one with a single row or column. Any other
    two-dimensional array is a stack of pieces, a recording each: in a file, all channels have as many and as long ones.

    Parameters
    ----------
    path : Path
        ``.npy`` (one array, named ``array``, number 0), ``.npz``, or ``.mat`` of MATLAB version 4 to 7.3.
    columns : sequence of str or int
        Names of arrays, or their 0-based numbers in the file. In MATLAB 7.3, arrays in a structure are named
        ``structure.field`` or ``structure/field``, and numbers count in alphabetical order.
    fs_hz : float
        Sampling rate.
    options : ArrayOptions

    Returns
    -------
    list of RawRecording, one for each piece
        float64 samples, NaN where missing. Long arrays of ``.npy`` and of MATLAB 7.3 are never held whole.

    Raises
    ------
    ReadError
        If the file cannot be read, holds pickled objects, or an array is not of real numbers in one or two dimensions.
    ConfigError
        If ``fs_hz`` is missing.
    """
    rate = check_rate(fs_hz)
    arrays = _open(path)
    names = {column: arrays.names[_position(path, column, arrays.names)] for column in columns}
    with _guarded(path):
        stacks = {column: _stack(path, name, arrays.load(name), options) for column, name in names.items()}
    _check_same_shape(path, {names[column]: stack for column, stack in stacks.items()})
    n_pieces = next(iter(stacks.values())).n_pieces
    return [_recording(path, stacks, piece, rate, options) for piece in range(n_pieces)]


def _position(path: Path, column: Column, names: Sequence[str]) -> int:
    if isinstance(column, str) and column not in names:
        dotted = column.strip("/").replace("/", ".")
        column = dotted if dotted in names else column
    return position(path, column, names, "array")


# --- the formats -----------------------------------------------------------------------------------------------


def _open(path: Path) -> _Arrays:
    suffix = path.suffix.lower()
    n_bytes = file_size(path)
    if suffix not in _FORMATS:
        raise ReadError(
            f"{path}: the reader `arrays` reads {', '.join(_FORMATS)}, and not {suffix or 'files without a suffix'}. "
            "Name the right reader in `signals.reader`."
        )
    head = read_range(path, 0, min(n_bytes, _HEAD_BYTES))
    if not head.startswith(_MAGIC.get(suffix, b"")):
        raise ReadError(
            f"{path}: the content is not that of a {suffix} file. Was it renamed, or cut off in a transfer?"
        )
    with _guarded(path):
        return _FORMATS[suffix](path, head)


def _guarded(path: Path) -> AbstractContextManager[None]:
    return guarded(path, f"a {path.suffix} file")


def _open_npy(path: Path, head: bytes) -> _Arrays:
    # The file does not name it.
    return _Arrays(["array"], lambda _: _stored_npy(path, head))


def _stored_npy(path: Path, head: bytes) -> StoredArray:
    shape, is_fortran, dtype, start = _npy_header(path, io.BytesIO(head), file_size(path))
    # Columns side by side are rows, once all dimensions are reversed.
    stored_shape = shape[::-1] if is_fortran else shape

    def take(index: Index) -> np.ndarray:
        taken = _take_rows(path, start, dtype, stored_shape, index[::-1] if is_fortran else index)
        return taken.T if is_fortran else taken

    return StoredArray(dtype, shape, take)


def _take_rows(path: Path, start: int, dtype: np.dtype, shape: tuple[int, ...], index: Index) -> np.ndarray:
    """Part of an array whose rows lie one behind the other: only the rows that are asked for are read."""
    row_shape, rows = shape[1:], index[0]
    first, stop = (rows.start, rows.stop) if isinstance(rows, slice) else (rows, rows + 1)
    if row_shape and not isinstance(rows, slice) and isinstance(index[1], slice):
        # Of a single row, only the part.
        first, stop = first * row_shape[0] + index[1].start, first * row_shape[0] + index[1].stop
        row_shape, index = (), (slice(0, stop - first),)
    row_bytes = math.prod(row_shape) * dtype.itemsize
    numbers = np.frombuffer(read_range(path, start + first * row_bytes, (stop - first) * row_bytes), dtype)
    block = numbers.reshape(stop - first, *row_shape)
    return block[(slice(None) if isinstance(index[0], slice) else 0, *index[1:])]


def _open_npz(path: Path, _: bytes) -> _Arrays:
    archive = zipfile.ZipFile(io.BytesIO(read_bytes(path)))
    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}

    def load(name: str) -> StoredArray:
        check_size(path, members[name].file_size, f"array {name!r}")
        with archive.open(members[name]) as member:
            return _loaded(_load_npy(path, io.BytesIO(member.read()), members[name].file_size))

    return _Arrays(list(members), load)


def _load_npy(path: Path, file: io.BytesIO, n_bytes: int) -> np.ndarray:
    _npy_header(path, file, n_bytes)
    file.seek(0)
    return np.asarray(npy_format.read_array(file, allow_pickle=False))


def _npy_header(path: Path, file: io.BytesIO, n_bytes: int) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Shape, whether columns lie side by side, type, and where the numbers begin."""
    # NumPy allocates what the header promises: compare that with what there is.
    version = npy_format.read_magic(file)
    read_header = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
    shape, is_fortran, dtype = read_header(file)
    _check_kind(path, dtype)
    if min(shape, default=0) < 0 or file.tell() + math.prod(shape) * dtype.itemsize > n_bytes:
        raise ReadError(
            f"{path}: cut off: an array of shape {shape} needs more bytes than the file has. Copy it again."
        )
    return shape or (1,), is_fortran, dtype, file.tell()


def _open_mat(path: Path, _: bytes) -> _Arrays:
    variables = {variable["name"]: variable for variable in call("matlab_variables", path)}
    return _Arrays(list(variables), lambda name: _matlab_array(path, **variables[name]))


def _matlab_array(
    path: Path, *, name: str, shape: list[int], dtype: str, problem: str | None, is_divisible: bool
) -> StoredArray:
    if problem:
        raise ReadError(
            f"{path}: variable {name!r} {problem}; expected real numbers. Save the samples of each channel again, as "
            "an array of numbers."
        )

    def take(index: Index) -> np.ndarray:
        wanted = [[item.start, item.stop] if isinstance(item, slice) else item for item in index]
        return np.asarray(call("matlab_samples", path, name, wanted))

    array = StoredArray(np.dtype(dtype), tuple(shape), take)
    n_bytes = math.prod(shape) * array.dtype.itemsize
    if is_divisible and n_bytes > _SHORT_BYTES:
        return array
    check_size(path, n_bytes, f"variable {name!r}")
    return _loaded(take(tuple(slice(0, length) for length in shape)))


def _loaded(array: np.ndarray) -> StoredArray:
    array = np.atleast_1d(array)
    return StoredArray(array.dtype, array.shape, array.__getitem__)


_FORMATS = {".npy": _open_npy, ".npz": _open_npz, ".mat": _open_mat}


# --- the numbers -----------------------------------------------------------------------------------------------


def _check_kind(path: Path, dtype: np.dtype) -> None:
    if dtype.hasobject:
        raise ReadError(
            f"{path}: holds Python objects (a pickle), which could run a program when loaded and are never read. "
            "Save the samples as plain arrays of numbers."
        )
    if dtype.kind not in "iuf":
        raise ReadError(f"{path}: an array has the type {dtype.name}; expected real numbers. Save the samples as such.")


def _stack(path: Path, name: str, array: StoredArray, options: ArrayOptions) -> _Stack:
    _check_kind(path, array.dtype)
    if len(array.shape) > 2:
        raise ReadError(
            f"{path}: array {name!r} has shape {array.shape}; expected one dimension (samples) or two (pieces and "
            "samples). Save each channel as an array of its own."
        )
    if not math.prod(array.shape):
        raise ReadError(f"{path}: channel {name!r} has no samples. Was the recording interrupted before it began?")
    if len(array.shape) == 1:
        return _Stack(array, 1, array.shape[0], lambda _, samples: (samples,))
    samples_axis = options.samples_axis if 1 not in array.shape else int(np.argmax(array.shape))
    if samples_axis == 0:
        return _Stack(array, array.shape[1], array.shape[0], lambda piece, samples: (samples, piece))
    return _Stack(array, array.shape[0], array.shape[1], lambda piece, samples: (piece, samples))


def _check_same_shape(path: Path, stacks: dict[str, _Stack]) -> None:
    shapes = {name: (stack.n_pieces, stack.n_samples) for name, stack in stacks.items()}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name!r} {shape[0]} of {shape[1]} samples" for name, shape in shapes.items())
        raise ReadError(
            f"{path}: the channels differ in pieces or in length ({listed}), and share one sampling rate. "
            "Read those that differ as another cohort."
        )


def _recording(
    path: Path, stacks: dict[Column, _Stack], piece: int, rate: float, options: ArrayOptions
) -> RawRecording:
    n_samples = {column: stack.n_samples for column, stack in stacks.items()}

    def read(start_s: float, stop_s: float) -> dict[Column, Signal]:
        signals = {}
        for column, stack in stacks.items():
            place = span(rate, stack.n_samples, start_s, stop_s)
            with _guarded(path):
                numbers = stack.array.take(stack.index(piece, place))
            signals[column] = Signal(as_samples(path, column, numbers, options.missing, first=place.start), rate)
        return signals

    return RawRecording(dict.fromkeys(stacks, rate), n_samples, read)
