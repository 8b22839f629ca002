"""MATLAB files of version 7.3, which are HDF5: plain arrays of real numbers, and nothing else.

Only data that lie in the file itself are read: links to other files and virtual datasets are refused, and so are
filters other than those that MATLAB uses. Format: MathWorks, *MAT-File Versions*, R2024b; its arrays are stored with
their dimensions in reverse order.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from ppgssl.readers.matlab import MatlabError

Index = tuple[int | slice, ...]

_NUMERIC_CLASSES = {"double", "single", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))}
# Deflate, shuffle and checksum: others could be plug-ins, which are programs.
_FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}
# Deflate packs at best 1032 bytes into one (RFC 1951), so a longer array is not in the file.
_MAX_RATIO = 1032
_MAX_CHUNK_BYTES = 100_000_000
_CHECKSUM_BYTES = 4
# MATLAB keeps what structures and cells refer to in groups of such names.
_HIDDEN = "#"
_MAX_NAMES = 10_000


@dataclass(frozen=True)
class StoredArray:
    """An array in a file, of which any part can be read.

    Attributes
    ----------
    dtype, shape
        Dimensions in the order of NumPy and MATLAB.
    take : callable
        ``take(index)``: the part that an index of numbers and slices, one for each dimension, selects.
    """

    dtype: np.dtype
    shape: tuple[int, ...]
    take: Callable[[Index], np.ndarray]


def hdf5_names(path: Path) -> list[str]:
    """Names of all arrays in a file, in alphabetical order; those in a structure as ``structure.field``.

    Raises
    ------
    MatlabError
        If there are more than any sensible file has.
    OSError, RuntimeError, and others
        If HDF5 finds the file damaged.
    """
    with _opened(path) as file:
        return [place.replace("/", ".") for place in _places(file)]


def hdf5_array(path: Path, name: str) -> StoredArray:
    """An array of :func:`hdf5_names`.

    Raises
    ------
    MatlabError
        If it is no array of real numbers that lies in the file.
    OSError, RuntimeError, and others
        If HDF5 finds the file damaged.
    """
    with _opened(path) as file:
        dataset = _dataset(file, name)
        _check_class(name, dataset)
        _check_storage(name, dataset)
        place = dataset.name
        return StoredArray(dataset.dtype, dataset.shape[::-1], lambda index: _take(path, place, index))


def _opened(path: Path) -> h5py.File:
    # Locks are for writers, and many network drives have none.
    return h5py.File(path, "r", locking=False)


def _places(file: h5py.File) -> list[str]:
    """Paths of the arrays that lie in the file; each group is entered once, as it can lie within itself."""
    found: list[str] = []
    entered: set[int] = set()
    to_enter: list[h5py.Group] = [file]
    while to_enter:
        group = to_enter.pop()
        address = h5py.h5o.get_info(group.id).addr
        if address in entered:
            continue
        entered.add(address)
        for key, kind in _entries(group):
            if kind is h5py.Dataset:
                found.append(f"{group.name.strip('/')}/{key}".strip("/"))
            elif kind is h5py.Group and "MATLAB_sparse" not in group[key].attrs:
                to_enter.append(group[key])
        if len(found) + len(to_enter) > _MAX_NAMES:
            raise MatlabError(f"it has more than {_MAX_NAMES} variables")
    return sorted(found)


def _entries(group: h5py.Group) -> Iterator[tuple[str, type]]:
    """Names and kinds of what lies in a group itself, and is not only linked to."""
    for key in group:
        if not key.startswith(_HIDDEN) and isinstance(group.get(key, getlink=True), h5py.HardLink):
            yield key, group.get(key, getclass=True)


def _dataset(file: h5py.File, name: str) -> h5py.Dataset:
    found = [place for place in _places(file) if place.replace("/", ".") == name]
    if len(found) != 1:
        raise MatlabError(f"{len(found)} arrays have the name {name!r}")
    return file[found[0]]


def _check_storage(name: str, dataset: h5py.Dataset) -> None:
    if dataset.is_virtual or dataset.id.get_create_plist().get_external_count():
        raise MatlabError(f"variable {name!r} lies in another file; expected the numbers themselves")
    filters = _filters(dataset)
    if not _FILTERS.issuperset(filters) or len(set(filters)) < len(filters):
        raise MatlabError(f"variable {name!r} is packed in another way than MATLAB packs numbers")
    chunk_bytes = math.prod(dataset.chunks or ()) * dataset.dtype.itemsize
    n_bytes = math.prod(dataset.shape) * dataset.dtype.itemsize
    if chunk_bytes > _MAX_CHUNK_BYTES or n_bytes > _MAX_RATIO * dataset.id.get_storage_size():
        raise MatlabError(f"variable {name!r} of shape {dataset.shape} needs more bytes than the file has")


def _filters(dataset: h5py.Dataset) -> list[int]:
    settings = dataset.id.get_create_plist()
    return [settings.get_filter(number)[0] for number in range(settings.get_nfilters())]


def _check_class(name: str, dataset: h5py.Dataset) -> None:
    label = dataset.attrs.get("MATLAB_class", b"")
    word = label.decode("latin-1") if isinstance(label, bytes) else str(label)
    if word and word not in _NUMERIC_CLASSES:
        raise MatlabError(f"variable {name!r} has the class {word[:40]}; expected real numbers")
    if dataset.dtype.names:
        raise MatlabError(f"variable {name!r} has the class complex; expected real numbers")
    if "MATLAB_empty" in dataset.attrs or not dataset.size:
        raise MatlabError(f"variable {name!r} has no samples")
    if dataset.dtype.kind not in "iuf":
        raise MatlabError(f"variable {name!r} has the type {dataset.dtype}; expected real numbers")


# --- the numbers -----------------------------------------------------------------------------------------------


def _take(path: Path, place: str, index: Index) -> np.ndarray:
    with _opened(path) as file:
        dataset = file[place]
        backwards = index[::-1]
        if not dataset.chunks:
            return np.asarray(dataset[backwards]).T
        wanted = tuple(item if isinstance(item, slice) else slice(item, item + 1) for item in backwards)
        numbers = _from_chunks(dataset, wanted)
        return numbers[tuple(slice(None) if isinstance(item, slice) else 0 for item in backwards)].T


def _from_chunks(dataset: h5py.Dataset, wanted: tuple[slice, ...]) -> np.ndarray:
    """Part of an array in chunks. They are unpacked here: HDF5 would unpack a damaged one to any size."""
    numbers = np.empty([item.stop - item.start for item in wanted], dataset.dtype)
    if not numbers.size:
        return numbers
    for part in dataset.iter_chunks(wanted):
        origin = tuple(item.start // size * size for item, size in zip(part, dataset.chunks, strict=True))
        inside = tuple(slice(item.start - start, item.stop - start) for item, start in zip(part, origin, strict=True))
        target = tuple(
            slice(item.start - all_of.start, item.stop - all_of.start)
            for item, all_of in zip(part, wanted, strict=True)
        )
        numbers[target] = _chunk(dataset, origin)[inside]
    return numbers


def _chunk(dataset: h5py.Dataset, origin: tuple[int, ...]) -> np.ndarray:
    n_bytes = math.prod(dataset.chunks) * dataset.dtype.itemsize
    info = dataset.id.get_chunk_info_by_coord(origin)
    # What cannot be packed grows, but by less than this.
    if info.byte_offset is None or not 0 < info.size <= 1000 + n_bytes + n_bytes // 100:
        raise MatlabError(f"the file is damaged: {dataset.name!r} lacks its part at {origin}")
    skipped, content = dataset.id.read_direct_chunk(origin)
    for number, code in reversed(list(enumerate(_filters(dataset)))):
        if not skipped >> number & 1:
            content = _unfiltered(content, code, dataset.dtype.itemsize, n_bytes)
    if len(content) != n_bytes:
        raise MatlabError(f"the file is damaged: {dataset.name!r} has {len(content)} of {n_bytes} bytes at {origin}")
    return np.frombuffer(content, dataset.dtype).reshape(dataset.chunks)


def _unfiltered(content: bytes, code: int, item_bytes: int, n_bytes: int) -> bytes:
    if code == h5py.h5z.FILTER_DEFLATE:
        return zlib.decompressobj().decompress(content, n_bytes + _CHECKSUM_BYTES)
    if code == h5py.h5z.FILTER_FLETCHER32:
        return content[:-_CHECKSUM_BYTES]
    # Shuffled: all first bytes of the numbers, then all second ones, and so on.
    return np.frombuffer(content, np.uint8).reshape(item_bytes, -1).T.tobytes()
