"""Arrays of numbers: NumPy (.npy, .npz) and MATLAB (.mat, all versions). Nothing in a file is ever executed."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import Field

from ppgssl.core.errors import ReadError
from ppgssl.core.records import FloatArray
from ppgssl.core.schema import Schema
from ppgssl.core.text import Message
from ppgssl.readers.isolated import call, guarded
from ppgssl.readers.raw_files import as_samples, check_rate, check_size, file_size, position
from ppgssl.readers.raw_recordings import Column, RawRecording, at_one_rate

Index = tuple[int | slice, ...]

_KINDS = {".npy": Message("a .npy file"), ".npz": Message("a .npz file"), ".mat": Message("a .mat file")}
# Why an array is none of real numbers, by the codes of ``isolated_child``; a detail may follow.
_PROBLEMS = {
    "class": Message("has the class"),
    "type": Message("has the type"),
    "objects": Message("holds Python objects (a pickle), which could run a program when loaded and are never read"),
    "elsewhere": Message("lies in another file"),
    "empty": Message("has no samples"),
    "partial": Message("is not wholly there: shape"),
    "damaged": Message("is no array or damaged:"),
}
# An array of up to this many bytes is read when the file is opened, not again for each interval.
_SHORT_BYTES = 50_000_000


class ArrayOptions(Schema):
    """Options of the reader ``arrays``."""

    samples_axis: Literal[-1, 0] = Field(
        -1, description="Time axis of a two-dimensional array; the other axis counts recordings."
    )
    missing: list[float] = Field([], description="Marks of a missing sample, as NaN is.")


class _Stack(NamedTuple):
    """Recordings of equal length; ``index_of`` returns where samples of one stand in the array."""

    take: Callable[[Index], np.ndarray]
    n_recordings: int
    n_samples: int
    index_of: Callable[[int, slice], Index]


def open_arrays(
    path: Path, columns: Sequence[Column], fs_hz: float | None, options: ArrayOptions
) -> list[RawRecording]:
    """Read channels that are named arrays of one file.

    A one-dimensional array is one recording, and so is a two-dimensional one with a single row or column. Any other
    two-dimensional array is a stack of recordings: in a file, all channels have as many and as long ones. Pickled
    objects are refused. Long arrays of ``.npy`` and of MATLAB 7.3 are never held whole.

    Parameters
    ----------
    path
        ``.npy`` (one array, named ``array``, number 0), ``.npz``, or ``.mat`` of MATLAB version 4 to 7.3.
    columns
        Names or numbers of arrays; ``name[1]`` is the second channel of a matrix of channels. In MATLAB 7.3, arrays in
        a structure are named ``structure.field`` or ``structure/field``, and numbers count in alphabetical order.
    fs_hz, options
        See :class:`ppgssl.readers.Reader`.
    """
    rate = check_rate(fs_hz)
    variables = _variables(path)
    rows = {column: _row(column, variables) for column in columns}
    names = {column: list(variables)[_position(path, name, list(variables))] for column, (name, _) in rows.items()}
    stacks = {
        column: _stack(path, variables[name], options)
        if rows[column][1] is None
        else _row_of(path, variables[name], int(rows[column][1] or 0))
        for column, name in names.items()
    }
    _check_same_shape(path, {str(column): stack for column, stack in stacks.items()})
    first = next(iter(stacks.values()))

    def read(number: int, place: slice) -> dict[Column, FloatArray]:
        return {
            column: as_samples(
                path, column, stack.take(stack.index_of(number, place)), options.missing, first=place.start
            )
            for column, stack in stacks.items()
        }

    return [at_one_rate(stacks, rate, first.n_samples, partial(read, number)) for number in range(first.n_recordings)]


def _position(path: Path, column: Column, names: Sequence[str]) -> int:
    if isinstance(column, str) and column not in names:
        dotted = column.strip("/").replace("/", ".")
        column = dotted if dotted in names else column
    return position(path, column, names, Message("array"))


def _row(column: Column, variables: Collection[str]) -> tuple[Column, str | None]:
    """Name of the array, and number of the row where the column is one of a matrix: ``sig[1]``."""
    found = re.fullmatch(r"(.+)\[([0-9]{1,6})\]", column) if isinstance(column, str) else None
    return (column, None) if found is None or column in variables else (found[1], found[2])


def _row_of(path: Path, variable: dict[str, Any], row: int) -> _Stack:
    """One channel of a matrix, whose longer axis is time."""
    name, shape = variable["name"], tuple(variable["shape"])
    matrix = _stack(path, variable, ArrayOptions(samples_axis=0 if len(shape) == 2 and shape[0] > shape[1] else -1))
    n_rows = matrix.n_recordings if len(shape) == 2 else 0
    if row >= n_rows:
        problem = (
            "array {name!r} has the shape ({shape}): there is no channel {row}, counted from 0 on its shorter axis."
        )
        raise ReadError(path, problem, name=name, shape=shape, row=row)
    return matrix._replace(n_recordings=1, index_of=lambda _, samples: matrix.index_of(row, samples))


def _variables(path: Path) -> dict[str, dict[str, Any]]:
    suffix = path.suffix.lower()
    file_size(path)
    if suffix not in _KINDS:
        problem = "the reader `arrays` reads .npy, .npz and .mat files. Name the right reader in `signals.reader`."
        raise ReadError(path, problem)
    with _guarded(path):
        return {variable["name"]: variable for variable in call("array_variables", path)}


def _guarded(path: Path) -> AbstractContextManager[None]:
    return guarded(path, _KINDS[path.suffix.lower()])


def _stack(path: Path, variable: dict[str, Any], options: ArrayOptions) -> _Stack:
    name, shape = variable["name"], tuple(variable["shape"])
    if variable["problem"]:
        raise _no_numbers(path, name, *variable["problem"])
    if len(shape) > 2:
        problem = (
            "array {name!r} has shape ({shape}); expected one dimension (samples) or two (recordings and samples). "
            "Save each channel as an array of its own."
        )
        raise ReadError(path, problem, name=name, shape=shape)
    if not math.prod(shape):
        problem = "channel {name!r} has no samples. Was the recording interrupted before it began?"
        raise ReadError(path, problem, name=name)
    take = _taker(path, variable)
    if len(shape) == 1:
        return _Stack(take, 1, shape[0], lambda _, samples: (samples,))
    samples_axis = options.samples_axis if 1 not in shape else int(np.argmax(shape))
    if samples_axis == 0:
        return _Stack(take, shape[1], shape[0], lambda number, samples: (samples, number))
    return _Stack(take, shape[0], shape[1], lambda number, samples: (number, samples))


def _taker(path: Path, variable: dict[str, Any]) -> Callable[[Index], np.ndarray]:
    """What reads a part of an array; a short one, and one that cannot be read in parts, is loaded here."""

    def take(index: Index) -> np.ndarray:
        wanted = [[item.start, item.stop] if isinstance(item, slice) else item for item in index]
        with _guarded(path):
            return np.asarray(call("array_samples", path, variable["name"], wanted))

    n_bytes = math.prod(variable["shape"]) * np.dtype(variable["dtype"]).itemsize
    if variable["is_divisible"] and n_bytes > _SHORT_BYTES:
        return take
    check_size(path, n_bytes, Message("array {name!r}", name=variable["name"]))
    numbers = take(tuple(slice(0, length) for length in variable["shape"]))
    if numbers.dtype.kind not in "iuf":
        raise _no_numbers(path, variable["name"], "type", numbers.dtype.name)
    return np.atleast_1d(numbers).__getitem__


def _no_numbers(path: Path, name: str, code: str, detail: str) -> ReadError:
    text = (
        "array {name!r} {what}; expected real numbers. Save the samples of each channel again, as an array of numbers."
    )
    what = Message("{what} {detail}", what=_PROBLEMS[code], detail=detail) if detail else _PROBLEMS[code]
    return ReadError(path, text, name=name, what=what)


def _check_same_shape(path: Path, stacks: dict[str, _Stack]) -> None:
    shapes = {name: (stack.n_recordings, stack.n_samples) for name, stack in stacks.items()}
    if len(set(shapes.values())) > 1:
        listed = [Message("{name!r} {n} of {m} samples", name=name, n=n, m=m) for name, (n, m) in shapes.items()]
        problem = (
            "the channels differ in the number of recordings or in length ({listed}), and share one sampling rate. "
            "Read those that differ as another cohort."
        )
        raise ReadError(path, problem, listed=listed)
