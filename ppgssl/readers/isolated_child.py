"""A program of its own: calls the libraries that a damaged file can crash, and answers what it read.

Questions and answers are lines of JSON; an answer is followed by the bytes of its array. So nothing that comes back can
run anything. Python runs this file by its path, and it imports nothing of the package, to start quickly. It ends when
the other end of its input does.
"""

from __future__ import annotations

import json
import math
import os
import sys
import warnings
import zipfile
from collections.abc import Callable, Sequence
from typing import IO, Any

_HDF5 = b"\x89HDF\r\n\x1a\n"
_HDF5_BYTES = 512 + len(_HDF5)
Problem = tuple[str, str] | None
# The classes of MATLAB that are real numbers, and NumPy's names for them.
_REAL = {"double": "float64", "single": "float32"} | {
    name: name for name in (f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))
}


def array_variables(path: str) -> list[dict[str, Any]]:
    """Name, shape and type of each array in a file of NumPy (.npy, .npz) or MATLAB.

    ``problem`` is the reason why one is no array of real numbers, a code and a detail; of one that ``is_divisible``, a
    part can be read without the rest.
    """
    if path.lower().endswith((".npy", ".npz")):
        return _numpy_variables(path)
    if _is_hdf5(path):
        return _hdf5_variables(path)
    import scipy.io

    return [
        _variable(name, shape, _REAL.get(class_), None if class_ in _REAL else ("class", class_))
        for name, shape, class_ in scipy.io.whosmat(path, appendmat=False)
        if not name.startswith("__")
    ]


def array_samples(path: str, name: str, index: list[Any]) -> Any:
    """Part of an array: a number, or start and stop, for each dimension; all of it if it is not divisible."""
    parts = tuple(slice(*item) if isinstance(item, list) else item for item in index)
    if path.lower().endswith((".npy", ".npz")):
        import numpy as np

        found = np.load(path, mmap_mode="r", allow_pickle=False)
        return found[parts] if isinstance(found, np.ndarray) else found[name]
    if _is_hdf5(path):
        import h5py

        with h5py.File(path, "r", locking=False) as file:
            return file[name.replace(".", "/")][parts[::-1]].T
    import scipy.io

    return scipy.io.loadmat(path, appendmat=False, variable_names=[name])[name]


def _variable(name: str, shape: Sequence[int], dtype: str | None, problem: Problem, is_divisible: bool = False) -> Any:
    return {"name": name, "shape": shape, "dtype": dtype, "problem": problem, "is_divisible": is_divisible}


def _numpy_variables(path: str) -> list[dict[str, Any]]:
    if path.lower().endswith(".npy"):
        with open(path, "rb") as file:
            return [_npy_variable("array", file, is_divisible=True)]  # The file does not name it.
    variables = []
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            name = info.filename.removesuffix(".npy")
            try:
                with archive.open(info) as member:
                    variables.append(_npy_variable(name, member))
            except Exception as error:  # Another may be sound.
                variables.append(_variable(name, (), None, ("damaged", type(error).__name__)))
    return variables


def _npy_variable(name: str, file: IO[bytes], *, is_divisible: bool = False) -> dict[str, Any]:
    from numpy.lib import format as npy

    version = npy.read_magic(file)
    read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read_header(file)
    problem: Problem = None if dtype.kind in "iuf" else ("type", dtype.name)
    if dtype.hasobject:
        problem = "objects", ""
    return _variable(name, shape or (1,), dtype.str, problem, is_divisible)


def _is_hdf5(path: str) -> bool:
    with open(path, "rb") as file:
        head = file.read(_HDF5_BYTES)
    return head.startswith((_HDF5, b"MATLAB 7.3")) or head[512:] == _HDF5


def _hdf5_variables(path: str) -> list[dict[str, Any]]:
    """Arrays that lie in the file itself; those in a structure are named ``structure.field``."""
    import h5py

    variables = []

    def visit(_: str, item: Any) -> None:
        # Soft and external links are not visited; a sparse matrix is a group of arrays.
        if isinstance(item, h5py.Dataset) and "MATLAB_sparse" not in item.parent.attrs:
            name = item.name.strip("/").replace("/", ".")
            shape = (item.shape or ())[::-1]
            variables.append(_variable(name, shape, item.dtype.str, _hdf5_problem(item), is_divisible=True))

    with h5py.File(path, "r", locking=False) as file:
        for key in file:
            # MATLAB keeps what structures and cells refer to in groups such as #refs#.
            if not key.startswith("#") and isinstance(file.get(key, getlink=True), h5py.HardLink):
                visit(key, file[key])
                if isinstance(file[key], h5py.Group):
                    file[key].visititems(visit)
    return sorted(variables, key=lambda variable: variable["name"])


def _hdf5_problem(dataset: Any) -> Problem:
    label = dataset.attrs.get("MATLAB_class", b"")
    class_ = label.decode("latin-1") if isinstance(label, bytes) else str(label)
    if dataset.is_virtual or dataset.id.get_create_plist().get_external_count():
        return "elsewhere", ""
    if class_ and class_ not in _REAL:
        return "class", class_[:40]
    if dataset.dtype.names:
        return "class", "complex"
    if dataset.dtype.kind not in "iuf":
        return "type", str(dataset.dtype)
    if "MATLAB_empty" in dataset.attrs or not dataset.size:
        return "empty", ""
    return None if _is_whole(dataset) else ("partial", str(dataset.shape[::-1]))


def _is_whole(dataset: Any) -> bool:
    """Whether all of its numbers are in the file: HDF5 gives zeros for those that are not."""
    if dataset.chunks:
        n_chunks = math.prod(-(-n // size) for n, size in zip(dataset.shape, dataset.chunks, strict=True))
        return dataset.id.get_num_chunks() == n_chunks
    return dataset.id.get_storage_size() >= dataset.nbytes


def statistical_table(path: str, reader: str) -> dict[str, Any]:
    """What a file of SAS, Stata or SPSS holds, column by column, by a function of pyreadstat."""
    import pyreadstat

    # Dates stay numbers: their formats are many more than the library knows.
    options = {"output_format": "dict", "disable_datetime_conversion": True}
    data, about = getattr(pyreadstat, reader)(path, **options)
    missing: dict[str, Any] = {}
    if reader == "read_sav":
        # Ranges of the codes of missing, which it returns only to those who want such codes as values.
        missing = pyreadstat.read_sav(path, metadataonly=True, user_missing=True)[1].missing_ranges
    if not all(isinstance(column, str) for column in data) or len(set(map(len, data.values()))) > 1:
        raise ValueError("columns without a name, or of different lengths")
    return {
        "columns": list(data),
        "cells": list(map(list, data.values())),
        "formats": [about.original_variable_types.get(column) or "" for column in data],
        "types": [about.readstat_variable_types.get(column) or "" for column in data],
        "labels": [about.column_names_to_labels.get(column) or "" for column in data],
        "levels": [
            [
                (code, label)
                for code, label in about.variable_value_labels.get(column, {}).items()
                if not _is_missing(reader, code, missing.get(column, []))
            ]
            for column in data
        ],
    }


def _is_missing(reader: str, code: Any, ranges: list[dict[str, Any]]) -> bool:
    """Whether a code with a label marks a missing value: .a to .z in Stata, those that the file lists in SPSS."""
    if reader == "read_dta":
        return isinstance(code, str)
    return any(type(code) is type(one["lo"]) and one["lo"] <= code <= one["hi"] for one in ranges)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    function.__name__: function for function in (array_variables, array_samples, statistical_table)
}


def answer(function: str, arguments: list[Any], max_bytes: int) -> tuple[bytes, bytes]:
    """A line of JSON, and the bytes of the array that was read; or the library's words in place of both."""
    try:
        _limit_memory(max_bytes)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = FUNCTIONS[function](*arguments)
        if not hasattr(result, "tobytes"):
            return json.dumps({"result": result}, default=str).encode(), b""
        content = result.tobytes()
        return json.dumps({"dtype": result.dtype.str, "shape": result.shape, "n_bytes": len(content)}).encode(), content
    except Exception as error:  # Whatever a damaged file leads to; MemoryError is one of them.
        return json.dumps({"error": f"{type(error).__name__}: {str(error)[:200]}"}).encode(), b""


def _limit_memory(max_bytes: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limit.
        return
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    soft = max_bytes if hard == resource.RLIM_INFINITY else min(max_bytes, hard)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # What a library prints is no answer.
    for line in sys.stdin.buffer:
        reply, content = answer(**json.loads(line))
        replies.write(reply + b"\n" + content)
        replies.flush()


if __name__ == "__main__":
    main()
