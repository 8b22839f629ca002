"""Pseudonyms: who is the same, and not who it is."""

from __future__ import annotations

import base64
import hashlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.core.config.cohort import Cohort
from ppgssl.core.errors import ConfigError
from ppgssl.readers.files import find_files
from ppgssl.readers.privacy import pseudonyms
from ppgssl.readers.privacy.pseudonyms import Pseudonyms

KEY, OTHER_KEY = b"2f5f0c6f1bd24c0e9f6f8f1d7a3e5b90", b"9d1c7a3e5b902f5f0c6f1bd24c0e9f6f"


def cohort(files: str) -> Cohort:
    signals = {"files": files, "reader": "delimited", "channels": {"ppg": {"column": 0}}}
    return Cohort.model_validate({"name": "ward", "signals": signals})


def sources(folder, files: str, names: list[str]):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return find_files(cohort(files), folder)[0]


def test_hmac_is_that_of_its_definition():
    # RFC 2104, section 2, of a key shorter than a block of 64 bytes.
    padded = KEY.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded) + b"7:patient5:00042").digest()
    digest = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded) + inner).digest()
    assert Pseudonyms(KEY).patient("00042")[1:] == base64.b32encode(digest).decode().lower()[:16]


@given(st.text(), st.text())
def test_two_ids_have_one_pseudonym_only_if_they_are_written_alike(a, b):
    names = Pseudonyms(KEY)
    assert (names.patient(a) == names.patient(b)) == (a == b)
    assert names.patient(a) == Pseudonyms(KEY).patient(a) != Pseudonyms(OTHER_KEY).patient(a)
    assert set(names.patient(a)) <= set(string.ascii_lowercase + "234567")


def test_the_fingerprint_distinguishes_keys():
    assert Pseudonyms(KEY).fingerprint == Pseudonyms(KEY).fingerprint != Pseudonyms(OTHER_KEY).fingerprint
    assert KEY.decode()[:8] not in Pseudonyms(KEY).fingerprint


def test_nothing_of_a_file_but_its_path_shows_whose_it_is(tmp_path):
    files = "Ward 3/{patient}/{visit}_{recording}.csv"
    (source,) = sources(tmp_path, files, ["Ward 3/Otieno/2019-03-04_night.csv"])
    named = Pseudonyms(KEY).source(source, cohort(files))
    assert named.path == source.path
    assert named.patient_id == Pseudonyms(KEY).patient("Otieno")
    assert named.recording_id == f"{named.patient_id}_{named.visit}_{named.recording}"
    assert named.relative == f"Ward 3/{named.patient_id}/{named.visit}_{named.recording}.csv"
    assert (named.visit[0], named.recording[0]) == ("v", "r")
    for text in ("Otieno", "2019", "night"):
        assert text not in f"{named.patient_id} {named.recording_id} {named.relative} {named.visit} {named.recording}"


def test_the_same_visit_and_recording_of_two_patients_have_different_pseudonyms(tmp_path):
    files = "{patient}_{visit}_{recording}.csv"
    named = [Pseudonyms(KEY).source(one, cohort(files)) for one in sources(tmp_path, files, ["a_1_1.csv", "b_1_1.csv"])]
    assert named[0].visit != named[1].visit
    assert named[0].recording != named[1].recording


def test_fields_that_run_together_are_kept_apart(tmp_path):
    files = "{patient:a+}{visit:[12]+}x{recording}.csv"
    found = sources(tmp_path, files, ["a1x21.csv", "a12x1.csv", "aa1x21.csv"])
    named = [Pseudonyms(KEY).source(one, cohort(files)) for one in found]
    assert len({one.recording_id for one in named}) == len({one.relative for one in named}) == 3


def test_without_visits_and_recordings_a_recording_is_named_as_its_patient(tmp_path):
    files = "{patient}.csv"
    named = Pseudonyms(KEY).source(sources(tmp_path, files, ["7.csv"])[0], cohort(files))
    assert (named.visit, named.recording, named.recording_id) == ("", "", named.patient_id)


def test_two_names_with_one_pseudonym_are_refused_without_naming_them(monkeypatch):
    monkeypatch.setattr(pseudonyms, "_LONG", 1)
    names = Pseudonyms(KEY)
    with pytest.raises(ConfigError, match="take another key") as caught:
        [names.patient(f"Otieno {number}") for number in range(33)]  # one more than there are letters
    assert "Otieno" not in str(caught.value)


def test_who_made_pseudonyms_knows_what_they_stand_for(tmp_path):
    files = "{patient}_{recording}.csv"
    (source,) = sources(tmp_path, files, ["Otieno_night.csv"])
    names = Pseudonyms(KEY)
    named = names.source(source, cohort(files))
    assert names.originals() == {
        named.patient_id: "Otieno",
        named.recording_id: "Otieno_night",
        named.relative: "Otieno_night.csv",
    }
