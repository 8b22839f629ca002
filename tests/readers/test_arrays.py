"""Array files: what is understood, what is refused, and with which words."""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import zipfile
from datetime import datetime
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ppgssl.core.errors import ReadError
from ppgssl.readers import arrays
from ppgssl.readers.arrays import ArrayOptions, open_arrays
from tests.readers.test_isolated_child import saved
from tests.support.damage import damaged

STACK = np.arange(12).reshape(3, 4)


def read(path, *columns, **options):
    recordings = [recording.whole() for recording in open_arrays(path, columns, 100.0, ArrayOptions(**options))]
    assert all(recording[column].fs_hz == 100.0 for recording in recordings for column in columns)
    assert all(recording[column].samples.dtype == np.float64 for recording in recordings for column in columns)
    return [[recording[column].samples.tolist() for column in columns] for recording in recordings]


@pytest.mark.parametrize("dtype", ["<i2", ">i4", "u1", "<f2", "<f4", ">f8", np.longdouble])
def test_one_dimension_is_one_recording_whatever_the_kind_of_number(tmp_path, dtype):
    np.savez(tmp_path / "a.npz", ppg=np.array([1, 2, 3], dtype=dtype))
    np.save(tmp_path / "a.npy", np.array([1, 2, 3], dtype=dtype))
    assert read(tmp_path / "a.npz", "ppg") == [[[1, 2, 3]]]
    assert read(tmp_path / "a.npy", 0) == [[[1, 2, 3]]]


def test_two_dimensions_are_a_stack_of_recordings(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", ppg=STACK, rhythm=np.zeros(3))
    assert read(tmp_path / "a.npz", "ppg") == [[row.tolist()] for row in STACK]
    assert read(tmp_path / "a.npz", "ppg", samples_axis=0) == [[column.tolist()] for column in STACK.T]
    with pytest.raises(ReadError, match=r"no array is named 'pgp' \(did you mean 'ppg'\?\).* 2 arrays: ppg, rh"):
        read(tmp_path / "a.npz", "pgp")


@pytest.mark.parametrize("shape", [(4,), (1, 4), (4, 1)])
@pytest.mark.parametrize("samples_axis", [-1, 0])
def test_a_single_row_or_column_is_one_recording(tmp_path, shape, samples_axis):
    np.save(tmp_path / "a.npy", np.arange(4.0).reshape(shape))
    assert read(tmp_path / "a.npy", 0, samples_axis=samples_axis) == [[[0, 1, 2, 3]]]


@given(
    hnp.arrays("i2", hnp.array_shapes(min_dims=1, max_dims=2, max_side=9)),
    st.booleans(),
    st.sampled_from([-1, 0]),
    st.sampled_from([".npy", ".npz", ".mat"]),
    st.lists(st.floats(0, 0.1), max_size=4),
)
def test_intervals_that_meet_are_the_whole(tmp_path, array, is_fortran, samples_axis, suffix, edges):
    path = tmp_path / f"a{suffix}"
    array = np.asfortranarray(array) if is_fortran else array
    if suffix == ".mat":
        saved(tmp_path, {"array": array})
    else:
        np.save(path, array) if suffix == ".npy" else np.savez(path, array=array)
    is_turned = samples_axis == 0 and array.ndim == 2
    expected = array.reshape(1, -1) if 1 in (array.ndim, *array.shape) else array.T if is_turned else array
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "_SHORT_BYTES", 0)
        recordings = open_arrays(path, ["array"], 100.0, ArrayOptions(samples_axis=samples_axis))
        steps = list(itertools.pairwise([0.0, *sorted(edges), 1.0]))
        found = [np.concatenate([recording.read(*step)["array"].samples for step in steps]) for recording in recordings]
    np.testing.assert_array_equal(found, expected)


def test_only_what_is_asked_for_is_read_of_a_long_npy_file(tmp_path):
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"shape": (3, 10**9), "fortran_order": False, "descr": "<f4"})
        start = file.tell()
        file.truncate(start + 12 * 10**9)  # Without occupying the disk.
        file.seek(start + 4 * (10**9 + 1000))
        file.write(np.array([1.5, 2.5], "<f4").tobytes())
    recording = open_arrays(tmp_path / "a.npy", [0], 100.0, ArrayOptions())[1]
    assert recording.n_samples == {0: 10**9}
    assert recording.read(10.0, 10.03)[0].samples.tolist() == [1.5, 2.5, 0.0]
    os.truncate(tmp_path / "a.npy", 5000)
    with pytest.raises(ReadError, match=r"damaged, or not a \.npy file"):
        recording.read(0.0, 1.0)


def test_channels_are_arrays_of_one_file(tmp_path):
    np.savez(tmp_path / "a.npz", red=STACK, ir=-STACK)
    assert read(tmp_path / "a.npz", "ir", 0)[2] == [[-8, -9, -10, -11], [8, 9, 10, 11]]
    np.savez(tmp_path / "b.npz", red=STACK, ir=STACK[:, :3])
    with pytest.raises(ReadError, match="'red' 3 of 4 samples, 'ir' 3 of 3 samples"):
        read(tmp_path / "b.npz", "red", "ir")


def test_missing_samples_are_nan_of_every_kind_or_the_values_named(tmp_path):
    signalling = np.array([0x7F800001, 0x7FC00000, 0x3F800000], dtype="u4").view("f4")
    np.save(tmp_path / "a.npy", signalling)
    np.testing.assert_array_equal(read(tmp_path / "a.npy", 0)[0][0], [np.nan, np.nan, 1.0])
    np.save(tmp_path / "a.npy", np.array([1, -999.9], dtype="f4"))  # -999.9 has no 32-bit float of its own.
    np.testing.assert_array_equal(read(tmp_path / "a.npy", 0, missing=[-999.9])[0][0], [1, np.nan])
    np.savez(tmp_path / "a.npz", ppg=np.array([1, np.nan, -32768, np.inf]))
    np.testing.assert_array_equal(
        read(tmp_path / "a.npz", "ppg", missing=[-32768, float("inf")])[0][0], [1, np.nan, np.nan, np.nan]
    )
    with pytest.raises(ReadError, match=r"1 infinite .* at sample 3"):
        read(tmp_path / "a.npz", "ppg")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((2, 3, 4)), r"has shape \(2, 3, 4\); expected one dimension"),
        (np.zeros(3, dtype=complex), "has the type complex128"),
        (np.array(["1", "2"]), "expected real numbers"),
        (np.array([True, False]), "has the type bool"),
        (np.array([datetime(2020, 1, 1)], dtype="datetime64[s]"), "has the type datetime64"),
        (np.zeros(3, dtype=[("a", float)]), "expected real numbers"),
        (np.zeros(0), "no samples"),
        (np.zeros((0, 5)), "no samples"),
    ],
)
def test_arrays_that_are_no_samples_are_refused(tmp_path, array, words):
    np.savez(tmp_path / "a.npz", ppg=array)
    with pytest.raises(ReadError, match=words):
        read(tmp_path / "a.npz", "ppg")


class _Mine:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_pickles_are_never_opened(tmp_path):
    trap = np.array([_Mine(tmp_path / "trap")], dtype=object)
    np.save(tmp_path / "a.npy", trap, allow_pickle=True)
    np.savez(tmp_path / "a.npz", ppg=trap)
    (tmp_path / "b.npy").write_bytes(pickle.dumps(_Mine(tmp_path / "trap")))
    for name, words in {"a.npy": "pickle", "a.npz": "pickle", "b.npy": "magic string is not correct"}.items():
        with pytest.raises(ReadError, match=words):
            read(tmp_path / name, 0)
    assert not (tmp_path / "trap").exists()


def test_matlab_files_are_read_and_what_holds_no_plain_numbers_is_refused(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"ppg": np.arange(4), "stack": STACK})
    assert read(tmp_path / "a.mat", "ppg") == [[[0, 1, 2, 3]]]
    assert len(read(tmp_path / "a.mat", "stack")) == 3
    scipy.io.savemat(tmp_path / "b.MAT", {"ppg": np.arange(4.0)}, format="4")
    assert read(tmp_path / "b.MAT", "ppg") == [[[0, 1, 2, 3]]]
    scipy.io.savemat(tmp_path / "a.mat", {"s": {"ppg": [1, 2]}, "c": np.array([[1], "x"], dtype=object), "t": "text"})
    for name in ("s", "c", "t"):
        with pytest.raises(ReadError, match="expected real numbers"):
            read(tmp_path / "a.mat", name)
    scipy.io.savemat(tmp_path / "b.mat", {"sparse": scipy.sparse.csc_array(np.eye(3))})
    with pytest.raises(ReadError, match="expected real numbers"):
        read(tmp_path / "b.mat", "sparse")


@pytest.mark.parametrize("short_bytes", [0, 10**9])
def test_matlab_7_3_files_are_read_like_the_others(tmp_path, monkeypatch, short_bytes):
    monkeypatch.setattr(arrays, "_SHORT_BYTES", short_bytes)
    saved(tmp_path, {"stack": STACK, "s/ppg": np.arange(4.0), "column": np.arange(4.0)[:, np.newaxis]})
    for name in ("s.ppg", "s/ppg", "/s/ppg", "column", 0, 1):
        assert read(tmp_path / "a.mat", name) == [[[0, 1, 2, 3]]]
    assert read(tmp_path / "a.mat", "stack") == [[row.tolist()] for row in STACK]
    assert read(tmp_path / "a.mat", 2, samples_axis=0) == [[column.tolist()] for column in STACK.T]
    with pytest.raises(ReadError, match=r"did you mean 's\.ppg'\?\): the file has 3 arrays: column, s\.ppg, stack"):
        read(tmp_path / "a.mat", "s.pgp")


def test_matlab_7_3_variables_that_are_no_samples_are_refused(tmp_path):
    saved(tmp_path, {"ppg": np.arange(4.0)})
    with h5py.File(tmp_path / "a.mat", "r+") as file:
        file["ppg"].attrs["MATLAB_class"] = np.bytes_("char")
        file["cube"] = np.zeros((2, 3, 4))
    with pytest.raises(ReadError, match=r"a\.mat: array 'ppg' has the class char; expected real numbers\. Save"):
        read(tmp_path / "a.mat", "ppg")
    with pytest.raises(ReadError, match=r"has shape \(4, 3, 2\); expected one dimension"):
        read(tmp_path / "a.mat", "cube")
    (tmp_path / "b.mat").write_bytes((tmp_path / "a.mat").read_bytes()[:1000])
    with pytest.raises(ReadError, match=r"damaged, or not a \.mat file"):
        read(tmp_path / "b.mat", "ppg")


@pytest.mark.parametrize("suffix", [".npy", ".mat"])
def test_a_file_that_vanishes_while_it_is_read_is_named(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(arrays, "_SHORT_BYTES", 0)
    path = tmp_path / f"a{suffix}"
    np.save(path, STACK) if suffix == ".npy" else saved(tmp_path, {"ppg": STACK})
    recording = open_arrays(path, [0], 100.0, ArrayOptions())[0]
    path.unlink()
    with pytest.raises(ReadError, match=rf"a\{suffix}: there is no such file .any more"):
        recording.whole()


def test_a_file_that_matlab_wrote_as_hdf5_is_read():
    path = Path(scipy.io.__file__).parent / "matlab" / "tests" / "data" / "testhdf5_7.4_GLNX86.mat"
    if not path.exists():
        pytest.skip("SciPy is installed without its test data")
    np.testing.assert_allclose(read(path, "testdouble")[0][0], np.arange(9) * np.pi / 4)


def test_an_array_that_promises_more_than_the_file_has_is_not_allocated(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(1000))
    content = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "b.npy").write_bytes(content.replace(b"(1000,)", b"(10**15,)"[:7]))
    (tmp_path / "c.npy").write_bytes(content.replace(b"(1000,), }   ", b"(9999999999,)"))
    (tmp_path / "d.npy").write_bytes(content[:-8])
    for name in ("b.npy", "c.npy", "d.npy"):
        with pytest.raises(ReadError, match=r"cut off|damaged"):
            read(tmp_path / name, 0)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.npz", b"", "is empty"),
        ("a.npz", b"PK\x03\x04 cut", "damaged"),
        ("a.npz", b"text", r"damaged, or not a \.npz file"),
        ("a.npy", b"\x93NUMPY", r"damaged, or not a \.npy file"),
        ("a.mat", b"text", r"damaged, or not a \.mat file"),
        ("a.h5", b"x", r"a\.h5: the reader `arrays` reads \.npy, \.npz and \.mat files"),
        ("a", b"x", r"reads \.npy, \.npz and \.mat files"),
    ],
)
def test_files_that_are_no_array_files_are_refused_with_what_was_expected(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ReadError, match=words):
        read(tmp_path / name, "ppg")


def test_a_zip_with_other_content_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("ppg.npy", b"not an array")
        archive.writestr("notes.txt", b"hello")
    for column in ("ppg", "notes.txt"):
        with pytest.raises(ReadError, match=rf"'{column}' is no array or damaged"):
            read(tmp_path / "a.npz", column)


@given(st.binary(max_size=300), st.sampled_from([".npy", ".npz"]), st.booleans())
def test_nothing_but_a_read_error_escapes_from_arbitrary_bytes(tmp_path, content, suffix, has_magic):
    magic = {".npy": b"\x93NUMPY\x01\x00", ".npz": b"PK\x03\x04"}
    path = tmp_path / f"a{suffix}"
    path.write_bytes((magic[suffix] if has_magic else b"") + content + b"x")
    with pytest.raises(ReadError, match=rf"a{suffix}"):
        read(path, "ppg")


@given(st.data())
def test_nothing_but_a_read_error_escapes_from_damaged_files(tmp_path, data):
    suffix = data.draw(st.sampled_from([".npy", ".npz"]))
    path = tmp_path / f"a{suffix}"
    np.save(path, STACK) if suffix == ".npy" else np.savez_compressed(path, ppg=STACK)
    path.write_bytes(damaged(data, path.read_bytes()))
    with contextlib.suppress(ReadError):
        read(path, 0)


def test_all_recordings_of_the_arrhythmia_pool_are_read(test_data):
    files = sorted((test_data / "arrhythmia_pool").glob("*.npz"))
    recordings = [
        recording.whole() for path in files for recording in open_arrays(path, ["ppg"], 100.0, ArrayOptions())
    ]
    assert len(files) == 26
    assert len(recordings) == 9205
    assert {recording["ppg"].duration_s for recording in recordings} == {10.0}


def test_a_matlab_4_file_of_physionet_is_read(test_data):
    (recording,) = open_arrays(test_data / "wfdb_samples" / "a103l.mat", ["val"], 250.0, ArrayOptions())[:1]
    assert recording.duration_s == 330.0


@pytest.mark.parametrize("transposed", [False, True])
def test_a_channel_may_be_a_row_or_a_column_of_a_matrix(tmp_path, transposed):
    scipy.io.savemat(tmp_path / "p1.mat", {"sig": STACK.T if transposed else STACK, "other": np.zeros(4)})
    assert read(tmp_path / "p1.mat", "sig[0]", "sig[2]", "other") == [[STACK[0].tolist(), STACK[2].tolist(), [0] * 4]]
    for column in ("sig[3]", "other[1]"):
        with pytest.raises(ReadError, match=r"there is no channel \d, counted from 0"):
            read(tmp_path / "p1.mat", column)
