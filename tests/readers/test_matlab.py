"""Our reader of MATLAB files agrees with SciPy's on sound files, and survives all others."""

from __future__ import annotations

import io

import numpy as np
import pytest
import scipy.io
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ppgssl.readers.matlab import MatlabError, is_version_7_3, matlab_variables

quick = settings(deadline=None, max_examples=200)
MAX_BYTES = 10_000_000


def saved(variables, **options) -> bytes:
    file = io.BytesIO()
    scipy.io.savemat(file, variables, **options)
    return file.getvalue()


def load(content: bytes) -> dict[str, np.ndarray]:
    return {name: read() for name, read in matlab_variables(content, max_bytes=MAX_BYTES).items()}


dtypes = st.sampled_from(["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
arrays = dtypes.flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=1, max_dims=3, max_side=5)))


@quick
@given(arrays, arrays, st.booleans())
def test_arrays_come_back_as_scipy_wrote_them(first, second, is_compressed):
    variables = {"ppg": first, "another_name_of_some_length": second}
    found = load(saved(variables, do_compression=is_compressed))
    assert list(found) == list(variables)
    for name, array in variables.items():
        np.testing.assert_array_equal(found[name], np.atleast_2d(array))
        assert found[name].dtype == array.dtype


@quick
@given(st.sampled_from(["f8", "f4", "i4", "i2", "u2", "u1"]), st.integers(0, 4), st.integers(1, 4))
def test_arrays_of_version_4_come_back(dtype, n_rows, n_columns):
    array = np.arange(n_rows * n_columns).reshape(n_rows, n_columns).astype(dtype)
    found = load(saved({"ppg": array, "b": [[1.0]]}, format="4"))
    np.testing.assert_array_equal(found["ppg"], array)
    np.testing.assert_array_equal(found["b"], [[1.0]])


def test_big_endian_files_are_read():
    numbers = np.arange(3, dtype=">i2").tobytes()
    matrix = b"".join(
        [
            b"\x00\x00\x00\x06\x00\x00\x00\x08\x00\x00\x00\x0a\x00\x00\x00\x00",
            b"\x00\x00\x00\x05\x00\x00\x00\x08\x00\x00\x00\x01\x00\x00\x00\x03",
            b"\x00\x03\x00\x01abc\x00",
            b"\x00\x00\x00\x03\x00\x00\x00\x06" + numbers + b"\x00\x00",
        ]
    )
    content = b"MATLAB 5.0".ljust(124) + b"\x01\x00MI" + b"\x00\x00\x00\x0e" + len(matrix).to_bytes(4) + matrix
    np.testing.assert_array_equal(load(content)["abc"], [[0, 1, 2]])


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ({"a": 1}, "struct"),
        (np.array([[1], "x"], dtype=object), "cell"),
        ("text", "char"),
        (np.array([True]), "logical"),
        (np.array([1j]), "complex"),
        (scipy.sparse.csc_array(np.eye(3)), "sparse"),
    ],
)
def test_other_classes_are_named_and_do_not_hide_the_numbers(value, word):
    variables = matlab_variables(saved({"other": value, "ppg": [1.0]}), max_bytes=MAX_BYTES)
    with pytest.raises(MatlabError, match=f"'other' has the class {word}; expected real numbers"):
        variables["other"]()
    assert variables["ppg"]() == 1.0
    if word in ("char", "complex", "sparse"):
        variables = matlab_variables(saved({"other": value, "ppg": [1.0]}, format="4"), max_bytes=MAX_BYTES)
        with pytest.raises(MatlabError, match="expected real numbers"):
            variables["other"]()


def test_a_variable_that_unpacks_to_more_than_allowed_is_refused():
    content = saved({"ppg": np.zeros(100_000)}, do_compression=True)
    with pytest.raises(MatlabError, match="cut off"):
        matlab_variables(content, max_bytes=1000)["ppg"]()


def test_version_7_3_is_recognised():
    assert is_version_7_3(b"MATLAB 7.3 MAT-file".ljust(600))
    assert is_version_7_3(bytes(512) + b"\x89HDF\r\n\x1a\n")
    assert not is_version_7_3(saved({"ppg": [1.0]}))


@quick
@given(st.binary(max_size=200), st.sampled_from([b"", b"MATLAB 5.0".ljust(124) + b"\x00\x01IM", b"\x00\x00\x00\x00"]))
def test_nothing_but_a_matlab_error_escapes_from_arbitrary_bytes(content, start):
    try:
        load(start + content)
    except MatlabError:
        return


@settings(deadline=None, max_examples=600)
@given(st.data(), st.booleans(), st.sampled_from(["4", "5"]))
def test_nothing_but_a_matlab_error_escapes_from_damaged_files(data, is_compressed, version):
    damaged = bytearray(saved({"a": np.arange(12.0), "b": "text"}, format=version, do_compression=is_compressed))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        damaged[place : place + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    try:
        load(bytes(damaged[: data.draw(st.integers(1, len(damaged)))]))
    except MatlabError:
        return
