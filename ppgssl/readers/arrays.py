"""Arrays of numbers: NumPy (.npy, .npz) and MATLAB up to version 7 (.mat). Nothing in a file is ever executed."""

from __future__ import annotations

import io
import math
import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.lib import format as npy_format
from pydantic import BaseModel, ConfigDict, Field

from ppgssl.errors import ReadError
from ppgssl.readers.matlab import MatlabError, is_version_7_3, matlab_variables
from ppgssl.readers.raw_files import MAX_BYTES, check_rate, check_samples, check_size, position, read_bytes
from ppgssl.readers.raw_recordings import Column, RawRecording, in_memory
from ppgssl.records import FloatArray, Signal

Result = TypeVar("Result")

_MAGIC = {".npy": b"\x93NUMPY", ".npz": b"PK"}


class ArrayOptions(BaseModel):
    """Options of the reader ``arrays``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    samples_axis: Literal[-1, 0] = Field(
        -1,
        description="Time axis of a two-dimensional array; the other axis counts pieces, a recording each.",
    )
    missing: list[float] = Field(default_factory=list, description="Values that mark a missing sample, beside NaN.")


@dataclass(frozen=True)
class _Arrays:
    """The arrays in a file: their names, and how to load one."""

    names: list[str]
    load: Callable[[str], np.ndarray]


def open_arrays(
    path: Path, columns: Sequence[Column], fs_hz: float | None, options: ArrayOptions
) -> list[RawRecording]:
    """Read channels that are named arrays of one file.

    A one-dimensional array is one recording, and so is a two-dimensional one with a single row or column. Any other
    two-dimensional array is a stack of pieces, a recording each: in a file, all channels have as many and as long ones.

    Parameters
    ----------
    path : Path
        ``.npy`` (one array, named ``array``, number 0), ``.npz``, or ``.mat`` of MATLAB version 4 to 7.
    columns : sequence of str or int
        Names of arrays, or their 0-based numbers in the file.
    fs_hz : float
        Sampling rate.
    options : ArrayOptions

    Returns
    -------
    list of RawRecording, one for each piece
        float64 samples, NaN where missing.

    Raises
    ------
    ReadError
        If the file cannot be read, holds pickled objects, or an array is not of real numbers in one or two dimensions.
    ConfigError
        If ``fs_hz`` is missing.
    """
    rate = check_rate(fs_hz)
    arrays = _open(path, read_bytes(path))
    names = {column: arrays.names[position(path, column, arrays.names, "array")] for column in columns}
    stacks = {column: _stack(path, name, arrays.load(name), options) for column, name in names.items()}
    _check_same_shape(path, {names[column]: stack for column, stack in stacks.items()})
    n_pieces = len(next(iter(stacks.values())))
    return [
        in_memory({column: Signal(stack[piece], rate) for column, stack in stacks.items()}) for piece in range(n_pieces)
    ]


# --- the formats -----------------------------------------------------------------------------------------------


def _open(path: Path, content: bytes) -> _Arrays:
    suffix = path.suffix.lower()
    if suffix not in _FORMATS:
        raise ReadError(
            f"{path}: the reader `arrays` reads {', '.join(_FORMATS)}, and not {suffix or 'files without a suffix'}. "
            "Name the right reader in `signals.reader`."
        )
    if not content.startswith(_MAGIC.get(suffix, b"")):
        raise ReadError(
            f"{path}: the content is not that of a {suffix} file. Was it renamed, or cut off in a transfer?"
        )
    return _guarded(path, lambda: _FORMATS[suffix](path, content))


def _open_npy(path: Path, content: bytes) -> _Arrays:
    # The file does not name it.
    return _Arrays(["array"], lambda _: _guarded(path, lambda: _load_npy(path, io.BytesIO(content), len(content))))


def _open_npz(path: Path, content: bytes) -> _Arrays:
    archive = zipfile.ZipFile(io.BytesIO(content))
    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}

    def load(name: str) -> np.ndarray:
        check_size(path, members[name].file_size, f"array {name!r}")
        with archive.open(members[name]) as member:
            return _load_npy(path, io.BytesIO(member.read()), members[name].file_size)

    return _Arrays(list(members), lambda name: _guarded(path, lambda: load(name)))


def _load_npy(path: Path, file: io.BytesIO, n_bytes: int) -> np.ndarray:
    # NumPy allocates what the header promises: compare that with what there is.
    version = npy_format.read_magic(file)
    read_header = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
    shape, _, dtype = read_header(file)
    _check_kind(path, dtype)
    if math.prod(shape) * dtype.itemsize > n_bytes:
        raise ReadError(
            f"{path}: cut off: an array of shape {shape} needs more bytes than the file has. Copy it again."
        )
    file.seek(0)
    return np.asarray(npy_format.read_array(file, allow_pickle=False))


def _open_mat(path: Path, content: bytes) -> _Arrays:
    if is_version_7_3(content):
        raise ReadError(
            f"{path}: a MATLAB file of version 7.3 (HDF5), which this reader does not read yet. "
            "Save it in MATLAB with save(..., '-v7')."
        )
    variables = matlab_variables(content, max_bytes=MAX_BYTES)
    return _Arrays(list(variables), lambda name: _guarded(path, variables[name]))


_FORMATS = {".npy": _open_npy, ".npz": _open_npz, ".mat": _open_mat}


def _guarded(path: Path, function: Callable[[], Result]) -> Result:
    """Result of a parser, with all that a damaged file can make it raise turned into a ReadError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Of headers that Python 2 wrote.
            return function()
    except ReadError:
        raise
    except MatlabError as error:
        raise ReadError(f"{path}: {error}. Save the samples of each channel anew, as an array of numbers.") from None
    except Exception as error:
        raise ReadError(
            f"{path}: damaged, or not a {path.suffix} file ({type(error).__name__}: {str(error)[:200]}). "
            "Copy it again from its source."
        ) from None


# --- the numbers -----------------------------------------------------------------------------------------------


def _check_kind(path: Path, dtype: np.dtype) -> None:
    if dtype.hasobject:
        raise ReadError(
            f"{path}: holds Python objects (a pickle), which could run a program when loaded and are never read. "
            "Save the samples as plain arrays of numbers."
        )
    if dtype.kind not in "iuf":
        raise ReadError(f"{path}: an array has the type {dtype.name}; expected real numbers. Save the samples as such.")


def _stack(path: Path, name: str, array: np.ndarray, options: ArrayOptions) -> FloatArray:
    """Samples as float64, shape (n_pieces, n_samples)."""
    _check_kind(path, array.dtype)
    if array.ndim > 2:
        raise ReadError(
            f"{path}: array {name!r} has shape {array.shape}; expected one dimension (samples) or two (pieces and "
            "samples). Save each channel as an array of its own."
        )
    if array.ndim < 2 or 1 in array.shape:
        array = array.reshape(1, -1)
    elif options.samples_axis == 0:
        array = array.T
    # Casts warn of extended floats that are too large, which the last line refuses, and of NaN of the signalling kind.
    with np.errstate(over="ignore", invalid="ignore"):
        samples = np.array(array, dtype=np.float64, order="C")
    samples[np.isin(samples, options.missing)] = np.nan
    return check_samples(path, name, samples)


def _check_same_shape(path: Path, stacks: dict[str, FloatArray]) -> None:
    shapes = {name: stack.shape for name, stack in stacks.items()}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name!r} {shape[0]} of {shape[1]} samples" for name, shape in shapes.items())
        raise ReadError(
            f"{path}: the channels differ in pieces or in length ({listed}), and share one sampling rate. "
            "Read those that differ as another cohort."
        )
