"""MATLAB files of version 4 to 7: plain arrays of real numbers, and nothing else.

SciPy's reader trusts what a file says about itself, and a damaged file can end the whole process (segmentation fault
in SciPy 1.17). Here every length is checked against the bytes there are. Format: MathWorks, *MAT-File Format*, R2024b.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

Loader = Callable[[], np.ndarray]

_HDF5 = b"\x89HDF\r\n\x1a\n"
# Data types of elements that can hold numbers.
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_MATRIX, _COMPRESSED = 14, 15
_NUMERIC_CLASSES = range(6, 16)
_OPAQUE = 17
_CLASSES = {1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse", 16: "function", _OPAQUE: "object"}
_LOGICAL, _COMPLEX = 0x0200, 0x0800
# Flags, dimensions and a name of 63 letters need less.
_HEAD_BYTES = 1024
_V4_TYPES = {0: "f8", 1: "f4", 2: "i4", 3: "i2", 4: "u2", 5: "u1"}


class MatlabError(ValueError):
    """The content is no MATLAB file that can be read, or a variable in it is no array of real numbers."""


def is_version_7_3(content: bytes) -> bool:
    """Whether the content is that of a file of version 7.3, which is HDF5."""
    return content.startswith((_HDF5, b"MATLAB 7.3")) or content[512 : 512 + len(_HDF5)] == _HDF5


def matlab_variables(content: bytes, *, max_bytes: int) -> dict[str, Loader]:
    """Names of the variables, in the order of the file, and a function for each that loads its array.

    Parameters
    ----------
    content : bytes
        The whole file.
    max_bytes : int
        A compressed variable of more bytes is refused.

    Raises
    ------
    MatlabError
        If the content is damaged; the functions raise it for a variable that is no array of real numbers.
    """
    try:
        # The first four bytes are text in version 5 and later, and a small number in version 4.
        is_version_4 = 0 in content[:4]
        found = _version_4(content) if is_version_4 else _version_5(content, max_bytes)
        return dict(found)
    except (struct.error, zlib.error, UnicodeDecodeError) as error:
        raise MatlabError(f"the file is damaged ({error})") from None


def _take(content: bytes, start: int, length: int) -> bytes:
    if not 0 <= start <= start + length <= len(content):
        raise MatlabError(f"the file is cut off: {length} bytes are expected at byte {start} of {len(content)}")
    return content[start : start + length]


# --- version 5 to 7 --------------------------------------------------------------------------------------------


class _Element(NamedTuple):
    type: int
    content: bytes
    end: int


class _Head(NamedTuple):
    """What stands before the numbers of a variable; ``end`` is where they begin."""

    flags: int
    shape: tuple[int, ...]
    name: str
    end: int


def _version_5(content: bytes, max_bytes: int) -> Iterator[tuple[str, Loader]]:
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None:
        raise MatlabError("it does not begin as a MATLAB file does")
    start = 128
    while start < len(content):
        element = _element(content, start, order, is_padded=False)
        # Read as far as the name only: most variables are never asked for.
        head = _head(_matrix(element, order, _HEAD_BYTES), order)
        if head.name:
            yield head.name, partial(_load, element, order, max_bytes)
        start = element.end


def _element(content: bytes, start: int, order: str, *, is_padded: bool = True) -> _Element:
    kind, length = struct.unpack(f"{order}II", _take(content, start, 8))
    if kind >> 16:  # Up to four bytes of data stand inside the tag.
        kind, length = kind & 0xFFFF, kind >> 16
        if length > 4:
            raise MatlabError("the file is damaged: a short element is too long")
        return _Element(kind, _take(content, start + 4, length), start + 8)
    padding = -length % 8 if is_padded else 0
    return _Element(kind, _take(content, start + 8, length), start + 8 + length + padding)


def _matrix(element: _Element, order: str, max_bytes: int) -> bytes:
    """Content of the matrix in an element, unpacked if need be; of a long one, at least the first ``max_bytes``."""
    if element.type == _MATRIX:
        return element.content
    if element.type != _COMPRESSED:
        raise MatlabError(f"the file is damaged: there is no variable of type {element.type}")
    unpacked = zlib.decompressobj().decompress(element.content, max_bytes + 8)
    kind, length = struct.unpack(f"{order}II", _take(unpacked, 0, 8))
    if kind != _MATRIX:
        raise MatlabError("the file is damaged: a compressed element is no variable")
    return unpacked[8 : 8 + length]


def _head(matrix: bytes, order: str) -> _Head:
    flags = _element(matrix, 0, order)
    (word,) = struct.unpack(f"{order}I", _take(flags.content, 0, 4))
    second = _element(matrix, flags.end, order)
    if word & 0xFF == _OPAQUE:  # These have no dimensions.
        return _Head(word, (), second.content.decode(), second.end)
    shape = struct.unpack(f"{order}{len(second.content) // 4}i", second.content)
    name = _element(matrix, second.end, order)
    return _Head(word, shape, name.content.decode(), name.end)


def _load(element: _Element, order: str, max_bytes: int) -> np.ndarray:
    try:
        matrix = _matrix(element, order, max_bytes)
        head = _head(matrix, order)
        kind = head.flags & 0xFF
        if kind not in _NUMERIC_CLASSES or head.flags & (_COMPLEX | _LOGICAL):
            word = "complex" if head.flags & _COMPLEX else "logical" if head.flags & _LOGICAL else "unknown"
            raise MatlabError(f"variable {head.name!r} has the class {_CLASSES.get(kind, word)}; expected real numbers")
        numbers = _element(matrix, head.end, order)
    except (struct.error, zlib.error) as error:
        raise MatlabError(f"the file is damaged ({error})") from None
    if numbers.type not in _TYPES:
        raise MatlabError(f"variable {head.name!r} has numbers of the unknown type {numbers.type}")
    return _array(numbers.content, f"{order}{_TYPES[numbers.type]}", head.shape)


def _array(content: bytes, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    if min(shape, default=0) < 0 or math.prod(shape) * np.dtype(dtype).itemsize != len(content):
        raise MatlabError(f"the file is damaged: an array of shape {shape} does not have {len(content)} bytes")
    return np.frombuffer(content, dtype).reshape(shape, order="F")


# --- version 4 -------------------------------------------------------------------------------------------------


def _version_4(content: bytes) -> Iterator[tuple[str, Loader]]:
    start = 0
    while start < len(content):
        raw = _take(content, start, 20)
        order = "<" if struct.unpack("<i", raw[:4])[0] in range(6000) else ">"
        kind, n_rows, n_columns, is_complex, name_length = struct.unpack(f"{order}5i", raw)
        machine, number_type, matrix_type = kind // 1000, kind // 10 % 10, kind % 10
        if machine not in (0, 1) or number_type not in _V4_TYPES or min(n_rows, n_columns, name_length) < 0:
            raise MatlabError("it does not begin as a MATLAB file does")
        dtype = f"{order}{_V4_TYPES[number_type]}"
        n_bytes = n_rows * n_columns * np.dtype(dtype).itemsize
        name = _take(content, start + 20, name_length).rstrip(b"\0").decode("latin-1")
        numbers = _take(content, start + 20 + name_length, n_bytes * (2 if is_complex else 1))
        is_plain = matrix_type == 0 and not is_complex
        yield name, partial(_array, numbers, dtype, (n_rows, n_columns)) if is_plain else partial(_refuse, name)
        start += 20 + name_length + len(numbers)


def _refuse(name: str) -> np.ndarray:
    raise MatlabError(f"variable {name!r} is text, sparse or complex; expected real numbers")
