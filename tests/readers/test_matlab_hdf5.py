"""MATLAB 7.3: arrays as MATLAB has them, and nothing that lies elsewhere or unpacks to more than it says."""

from __future__ import annotations

import zlib

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ppgssl.readers.matlab import MatlabError
from ppgssl.readers.matlab_hdf5 import hdf5_array, hdf5_names

quick = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
CLASSES = {"float64": "double", "float32": "single"}
NUMBERS = np.arange(12.0).reshape(3, 4)


def saved(folder, variables, **options):
    """A file as MATLAB writes it: 512 bytes before the HDF5, dimensions reversed, the class as an attribute."""
    path = folder / "a.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in variables.items():
            array = np.atleast_2d(array)
            dataset = file.create_dataset(name, data=array.T, **options)
            dataset.attrs["MATLAB_class"] = np.bytes_(CLASSES.get(array.dtype.name, array.dtype.name))
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
    return path


def whole(path, name):
    array = hdf5_array(path, name)
    return array.take(tuple(slice(0, length) for length in array.shape))


def refused(path, words, name="ppg"):
    with pytest.raises(MatlabError, match=words):
        whole(path, name)


dtypes = st.sampled_from(["f8", "f4", ">f8", "i1", "u1", "i2", ">i2", "u2", "i4", "u4", "i8", "u8"])
arrays = dtypes.flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=1, max_dims=3, max_side=9)))
layouts = st.fixed_dictionaries(
    {"chunks": st.just(True)},
    optional={"compression": st.just("gzip"), "shuffle": st.booleans(), "fletcher32": st.booleans()},
)


@quick
@given(arrays, st.one_of(st.just({}), layouts), st.data())
def test_any_part_of_an_array_comes_back_as_it_was_written(tmp_path, array, layout, data):
    path = saved(tmp_path, {"ppg": array}, **layout)
    expected = np.atleast_2d(array)
    found = hdf5_array(path, "ppg")
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(whole(path, "ppg"), expected)
    index = tuple(
        data.draw(
            st.integers(0, length - 1) | st.builds(slice, st.integers(0, length // 2), st.integers(length // 2, length))
        )
        for length in expected.shape
    )
    np.testing.assert_array_equal(found.take(index), expected[index])


@quick
@given(st.tuples(st.integers(1, 5), st.integers(1, 40)), st.integers(0, 3), st.integers(0, 100), st.integers(0, 100))
def test_a_part_may_span_chunks(tmp_path, chunks, row, start, stop):
    array = np.arange(500, dtype="i2").reshape(5, 100)
    path = saved(tmp_path, {"ppg": array}, chunks=chunks[::-1], compression="gzip", shuffle=True)
    found = hdf5_array(path, "ppg").take((row, slice(start, max(start, stop))))
    np.testing.assert_array_equal(found, array[row, start : max(start, stop)])


def test_arrays_in_structures_are_named_with_a_dot(tmp_path):
    path = saved(tmp_path, {"s/ppg": NUMBERS, "a": NUMBERS + 1, "s/t/ecg": NUMBERS + 2, "#refs#/b": NUMBERS})
    assert hdf5_names(path) == ["a", "s.ppg", "s.t.ecg"]
    np.testing.assert_array_equal(whole(path, "s.t.ecg"), NUMBERS + 2)
    refused(path, "0 arrays have the name 's'", "s")


@pytest.mark.parametrize("label", ["char", "cell", "struct", "logical", "function_handle"])
def test_other_classes_are_named(tmp_path, label):
    path = saved(tmp_path, {"ppg": NUMBERS})
    with h5py.File(path, "r+") as file:
        file["ppg"].attrs["MATLAB_class"] = np.bytes_(label)
    refused(path, f"'ppg' has the class {label}; expected real numbers")


def test_complex_numbers_text_references_and_nothing_are_refused(tmp_path):
    path = saved(tmp_path, {"ppg": NUMBERS})
    with h5py.File(path, "r+") as file:
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
    refused(path, "complex; expected real numbers", "complex")
    for name in ("text", "cell", "bool"):
        refused(path, "expected real numbers", name)
    for name in ("null", "zero", "empty"):
        refused(path, "has no samples", name)
    assert "sparse.data" not in hdf5_names(path)


def test_an_array_without_a_class_is_read(tmp_path):
    path = saved(tmp_path, {"ppg": NUMBERS})
    with h5py.File(path, "r+") as file:
        del file["ppg"].attrs["MATLAB_class"]
    np.testing.assert_array_equal(whole(path, "ppg"), NUMBERS)


# --- what lies elsewhere, or unpacks to more --------------------------------------------------------------------


def test_nothing_outside_the_file_is_read(tmp_path):
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["ppg"] = NUMBERS
    (tmp_path / "secret.bin").write_bytes(NUMBERS.tobytes())
    path = saved(tmp_path, {"own": NUMBERS})
    with h5py.File(path, "r+") as file:
        file["external"] = h5py.ExternalLink(str(secret), "/ppg")
        file["soft"] = h5py.SoftLink("/own")
        file["group"] = h5py.ExternalLink(str(secret), "/")
        layout = h5py.VirtualLayout((3, 4), "f8")
        layout[:] = h5py.VirtualSource(str(secret), "ppg", (3, 4))
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("raw", (3, 4), "f8", external=[(str(tmp_path / "secret.bin"), 0, 96)])
    assert hdf5_names(path) == ["own", "raw", "virtual"]
    for name in ("raw", "virtual"):
        refused(path, f"'{name}' lies in another file", name)


def test_groups_within_themselves_and_endless_names_come_to_an_end(tmp_path):
    path = saved(tmp_path, {"s/ppg": NUMBERS})
    with h5py.File(path, "r+") as file:
        for number in range(50):
            file[f"s/again{number}"] = file["s"]
    assert hdf5_names(path) == ["s.ppg"]
    with h5py.File(path, "r+") as file:
        for number in range(10_001):
            file[f"n{number}"] = file["s/ppg"]
    with pytest.raises(MatlabError, match="more than 10000 variables"):
        hdf5_names(path)


def test_packings_that_matlab_does_not_use_are_refused(tmp_path):
    refused(saved(tmp_path, {"ppg": NUMBERS}, chunks=True, compression="lzf"), "packed in another way")
    refused(saved(tmp_path, {"ppg": NUMBERS.astype("i4")}, chunks=True, scaleoffset=0), "packed in another way")


def test_an_array_of_more_samples_than_the_file_can_hold_is_refused(tmp_path):
    path = saved(tmp_path, {"own": NUMBERS})
    with h5py.File(path, "r+") as file:
        file.create_dataset("ppg", (10**12, 1), "f8", chunks=(1000, 1))
        file["ppg"][:1000, 0] = 1.0
        file.create_dataset("part", (2000, 1), "f8", chunks=(1000, 1))
        file["part"][:1000, 0] = 1.0
    refused(path, "needs more bytes than the file has")
    np.testing.assert_array_equal(hdf5_array(path, "part").take((0, slice(0, 1000))), np.ones(1000))
    refused(path, "lacks its part at", "part")


def test_a_chunk_never_unpacks_to_more_than_its_size(tmp_path):
    path = saved(tmp_path, {"own": NUMBERS})
    with h5py.File(path, "r+") as file:
        dataset = file.create_dataset("ppg", (100_000, 1), "u1", chunks=(100_000, 1), compression="gzip")
        # 80 MB of zeros in 80 kB.
        dataset.id.write_direct_chunk((0, 0), zlib.compress(bytes(80_000_000), 9))
    refused(path, "has 100004 of 100000 bytes")
    with h5py.File(path, "r+") as file:
        file["ppg"].id.write_direct_chunk((0, 0), zlib.compress(bytes(99_999)))
    refused(path, "has 99999 of 100000 bytes")
