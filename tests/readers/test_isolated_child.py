"""MATLAB files of all versions: arrays as MATLAB has them, and nothing that lies elsewhere (NumPy: test_arrays.py)."""

from __future__ import annotations

import contextlib

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ppgssl.readers.isolated import LibraryError, call
from ppgssl.readers.isolated_child import array_samples, array_variables
from tests.support.damage import damaged

CLASSES = {"float64": "double", "float32": "single"}
NUMBERS = np.arange(12.0).reshape(3, 4)


def saved(folder, variables, **options):
    """A file of version 7.3: 512 bytes before the HDF5, dimensions reversed, the class as an attribute."""
    path = folder / "a.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in variables.items():
            array = np.atleast_2d(array)
            dataset = file.create_dataset(name, data=array.T, **options)
            dataset.attrs["MATLAB_class"] = np.bytes_(CLASSES.get(array.dtype.name, array.dtype.name))
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
    return path


def names(path):
    return [variable["name"] for variable in array_variables(str(path))]


def problems(path):
    return {variable["name"]: variable["problem"] for variable in array_variables(str(path))}


dtypes = st.sampled_from(["f8", "f4", ">f8", "i1", "u1", "i2", ">i2", "u2", "i4", "u4", "i8", "u8"])
arrays = dtypes.flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=1, max_dims=3, max_side=9)))
layouts = st.fixed_dictionaries(
    {"chunks": st.just(True)},
    optional={"compression": st.just("gzip"), "shuffle": st.booleans(), "fletcher32": st.booleans()},
)


@given(arrays, st.sampled_from(["4", "5", "5 compressed"]))
def test_arrays_of_old_versions_come_back_as_they_were_written(tmp_path, array, version):
    array = np.atleast_2d(array)
    if version == "4":
        array = array.reshape(len(array), -1).astype("f8")
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"ppg": array, "b": [[1.0]]}, format=version[0], do_compression="compressed" in version)
    first = array_variables(str(path))[0]
    assert (first["name"], tuple(first["shape"]), first["problem"]) == ("ppg", array.shape, None)
    np.testing.assert_array_equal(array_samples(str(path), "ppg", []), array)


@given(arrays, st.one_of(st.just({}), layouts), st.data())
def test_any_part_of_an_array_of_version_7_3_comes_back_as_it_was_written(tmp_path, array, layout, data):
    expected = np.atleast_2d(array)
    path = saved(tmp_path, {"ppg": array}, **layout)
    (found,) = array_variables(str(path))
    assert (np.dtype(found["dtype"]), tuple(found["shape"]), found["problem"]) == (expected.dtype, expected.shape, None)
    bounds = [
        data.draw(st.integers(0, length - 1) | st.tuples(st.integers(0, length // 2), st.integers(length // 2, length)))
        for length in expected.shape
    ]
    index = tuple(slice(*item) if isinstance(item, tuple) else item for item in bounds)
    part = array_samples(str(path), "ppg", [list(item) if isinstance(item, tuple) else item for item in bounds])
    np.testing.assert_array_equal(part, expected[index])


@pytest.mark.parametrize("version", ["4", "5"])
@pytest.mark.parametrize(
    ("value", "class_"),
    [
        ({"a": 1}, "struct"),
        (np.array([[1], "x"], dtype=object), "cell"),
        ("text", "char"),
        (np.array([True]), "logical"),
        (scipy.sparse.csc_array(np.eye(3)), "sparse"),
    ],
)
def test_other_classes_are_named_and_do_not_hide_the_numbers(tmp_path, value, class_, version):
    if version == "4" and class_ not in ("char", "sparse"):
        return
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"other": value, "ppg": [1.0]}, format=version)
    assert problems(path) == {"other": ("class", class_), "ppg": None}


def test_arrays_in_structures_are_named_with_a_dot(tmp_path):
    path = saved(tmp_path, {"s/ppg": NUMBERS, "a": NUMBERS + 1, "s/t/ecg": NUMBERS + 2, "#refs#/b": NUMBERS})
    assert names(path) == ["a", "s.ppg", "s.t.ecg"]
    np.testing.assert_array_equal(array_samples(str(path), "s.t.ecg", [[0, 3], [0, 4]]), NUMBERS + 2)
    with h5py.File(path, "r+") as file:
        for number in range(50):
            file[f"s/again{number}"] = file["s"]
    assert names(path) == ["a", "s.ppg", "s.t.ecg"]


def test_what_is_no_array_of_real_numbers_is_named(tmp_path):
    path = saved(tmp_path, {"labelled": NUMBERS, "ppg": NUMBERS})
    with h5py.File(path, "r+") as file:
        file["labelled"].attrs["MATLAB_class"] = np.bytes_("function_handle")
        del file["ppg"].attrs["MATLAB_class"]
        file["complex"] = np.array([(1.0, 2.0)], dtype=[("real", "f8"), ("imag", "f8")])
        file["text"] = "text"
        file["cell"] = np.array([file["ppg"].ref], dtype=h5py.ref_dtype)
        file["bool"] = np.array([True])
        file["null"] = h5py.Empty("f8")
        file["zero"] = np.zeros((0, 3))
        # MATLAB stores the dimensions of an array without elements in place of its elements.
        file["empty"] = np.array([0, 0], dtype="u8")
        file["empty"].attrs["MATLAB_empty"] = np.uint8(1)
        file.create_group("sparse").attrs["MATLAB_sparse"] = np.uint64(3)
        file["sparse/data"] = NUMBERS
    assert problems(path) == {
        "bool": ("type", "bool"),
        "cell": ("type", "object"),
        "complex": ("class", "complex"),
        "empty": ("empty", ""),
        "labelled": ("class", "function_handle"),
        "null": ("empty", ""),
        "ppg": None,
        "text": ("type", "object"),
        "zero": ("empty", ""),
    }


def test_nothing_outside_the_file_is_read(tmp_path):
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["ppg"] = NUMBERS
    (tmp_path / "secret.bin").write_bytes(NUMBERS.tobytes())
    path = saved(tmp_path, {"own": NUMBERS, "s/own": NUMBERS})
    with h5py.File(path, "r+") as file:
        file["external"] = h5py.ExternalLink(str(secret), "/ppg")
        file["s/external"] = h5py.ExternalLink(str(secret), "/ppg")
        file["soft"] = h5py.SoftLink("/own")
        file["group"] = h5py.ExternalLink(str(secret), "/")
        layout = h5py.VirtualLayout((3, 4), "f8")
        layout[:] = h5py.VirtualSource(str(secret), "ppg", (3, 4))
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("raw", (3, 4), "f8", external=[(str(tmp_path / "secret.bin"), 0, 96)])
    elsewhere = ("elsewhere", "")
    assert problems(path) == {"own": None, "raw": elsewhere, "s.own": None, "virtual": elsewhere}


def test_an_array_of_more_samples_than_the_file_holds_is_not_filled_with_zeros(tmp_path):
    path = saved(tmp_path, {"own": NUMBERS})
    with h5py.File(path, "r+") as file:
        for name, length in {"long": 10**12, "part": 2000, "whole": 1000}.items():
            file.create_dataset(name, (length, 1), "f8", chunks=(1000, 1))[:1000, 0] = 1.0
        file.create_dataset("never", (1000, 1), "f8")
    found = problems(path)
    assert found["whole"] is None
    assert {found[name][0] for name in ("long", "part", "never")} == {"partial"}


@given(st.data(), st.sampled_from(["4", "5", "5 compressed", "7.3"]))
def test_nothing_but_a_library_error_escapes_from_damaged_files(tmp_path, data, version):
    path = tmp_path / "a.mat"
    if version == "7.3":
        saved(tmp_path, {"a": np.arange(12.0)}, chunks=True, compression="gzip")
    else:
        variables = {"a": np.arange(12.0), "b": "text"}
        scipy.io.savemat(path, variables, format=version[0], do_compression="compressed" in version)
    path.write_bytes(damaged(data, path.read_bytes()))
    with contextlib.suppress(LibraryError):
        for variable in call("array_variables", path):
            call("array_samples", path, variable["name"], [[0, length] for length in variable["shape"]])
