from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.core.provenance import (
    RUN_FILE,
    Stopwatch,
    file_sha256,
    fingerprint,
    made_of,
    peak_memory_mb,
    read_run,
    replaced,
    versions,
    write_atomically,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def test_the_hash_of_a_file_is_that_of_its_bytes(tmp_path):
    content = bytes(range(256)) * 10_000
    (tmp_path / "raw.bin").write_bytes(content)
    assert file_sha256(tmp_path / "raw.bin") == hashlib.sha256(content).hexdigest()


@given(st.dictionaries(st.text(), JSON, min_size=2))
def test_a_fingerprint_does_not_depend_on_the_order_of_keys(value):
    assert fingerprint(value) == fingerprint(dict(reversed(value.items())))


@given(JSON, JSON)
def test_fingerprints_are_equal_exactly_when_the_json_is(a, b):
    same = json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)
    assert (fingerprint(a) == fingerprint(b)) == same


def test_versions_name_what_decides_the_numbers():
    found = versions()
    assert found["numpy"] == np.__version__
    assert {"python", "ppgssl", "scipy", "torch"} <= set(found)


def test_peak_memory_never_falls():
    before = peak_memory_mb()
    ballast = np.ones(4_000_000)
    assert peak_memory_mb() >= before > 1
    assert ballast.sum() == 4_000_000


def test_a_replaced_file_leaves_nothing_else(tmp_path):
    write_atomically(tmp_path / "run.json", "old")
    write_atomically(tmp_path / "run.json", "Größe")
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]
    assert (tmp_path / "run.json").read_text(encoding="utf-8") == "Größe"


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    write_atomically(tmp_path / "weights", b"old", sync=True)
    with pytest.raises(TypeError), replaced(tmp_path / "weights") as temporary:
        temporary.write_bytes(b"ne") and temporary.write_bytes(3)
    assert [path.name for path in tmp_path.iterdir()] == ["weights"]
    assert (tmp_path / "weights").read_bytes() == b"old"


def test_a_run_records_inputs_time_and_versions(tmp_path):
    watch = Stopwatch()
    watch.write(tmp_path, "ingest", made_of="abc", n_files=3)
    run = read_run(tmp_path)
    assert made_of(tmp_path) == "abc"
    assert (run["stage"], run["n_files"]) == ("ingest", 3)
    assert 0 <= run["seconds"] <= watch.seconds() + 0.01
    assert run["peak_memory_mb"] > 1
    assert run["versions"] == versions()


def test_an_unfinished_artefact_is_made_of_nothing(tmp_path):
    assert made_of(tmp_path) is None
    for broken in ('{"made_of": "ab', '["made_of"]', ""):
        (tmp_path / RUN_FILE).write_text(broken)
        assert read_run(tmp_path) is None
        assert made_of(tmp_path) is None
