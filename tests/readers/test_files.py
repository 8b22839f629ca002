"""Which files belong to a cohort, and whose they are."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.core.config.cohort import Cohort
from ppgssl.core.errors import ConfigError
from ppgssl.core.reasons import Reason
from ppgssl.readers.files import fill_pattern, find_files


def cohort(files: str) -> Cohort:
    signals = {"files": files, "reader": "delimited", "channels": {"ppg": {"column": 0}}}
    return Cohort.model_validate({"name": "ward", "signals": signals})


@pytest.fixture
def folder(tmp_path):
    def _make(*names: str):
        for name in names:
            (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "root" / name).touch()
        return tmp_path / "root"

    return _make


def test_fields_name_patient_visit_and_recording(folder):
    root = folder("w1/P7/v2/ppg_3.csv", "w1/P7/v2/notes.txt", "README.md")
    (source,), rejects = find_files(cohort("w1/{patient}/{visit}/ppg_{recording}.csv"), root)
    assert (source.patient_id, source.visit, source.recording) == ("P7", "v2", "3")
    assert source.recording_id == "P7_v2_3"
    assert source.relative == "w1/P7/v2/ppg_3.csv"
    assert source.path.is_file()
    assert rejects == []


@pytest.mark.parametrize(
    ("files", "names", "ids"),
    [
        # In natural order; as they are written.
        ("{patient}_{recording}.txt", ["10_1.txt", "2_10.txt", "2_9.txt", "b_1.txt"], ["2_9", "2_10", "10_1", "b_1"]),
        ("{patient}.csv", ["007.csv", "7.csv", "Ä b.csv"], ["007", "7", "Ä b"]),
        # An expression of its own; one text where a field occurs twice.
        ("{patient:A[0-9]{3}}_{recording}.csv", ["A12_1.csv", "A123_1.csv", "B123_1.csv"], ["A123_1"]),
        ("{patient}/{patient}_{recording}.csv", ["P1/P1_a.csv", "P2/P1_a.csv"], ["P1_a"]),
        # Names that would be equal; hidden files.
        ("{patient}/{recording}.csv", ["a_1/2.csv", "a/1_2.csv", "b/1.csv"], ["a/1_2.csv", "a_1/2.csv", "b_1"]),
        ("{patient}.csv", ["1.csv", "._1.csv", ".DS_Store"], ["1"]),
    ],
)
def test_which_files_match_and_what_they_are_called(folder, files, names, ids):
    sources, rejects = find_files(cohort(files), folder(*names))
    assert [source.recording_id for source in sources] == ids
    assert rejects == []


def test_a_pattern_filled_with_the_fields_of_a_name_is_that_name():
    fields = {"patient": "p1", "visit": "2", "recording": "x"}
    assert fill_pattern("a b/{patient:[a-z]{1}[0-9]+}_{visit}/{patient}.csv", fields) == "a b/p1_2/p1.csv"


def test_a_name_that_can_be_read_in_two_ways_is_rejected_rather_than_guessed(folder):
    root = folder("A_1_2.csv", "A_1.csv")
    sources, (reject,) = find_files(cohort("{patient}_{recording}.csv"), root)
    assert [source.recording_id for source in sources] == ["A_1"]
    assert (reject.subject, reject.reason) == ("A_1_2.csv", Reason.NAME_AMBIGUOUS)
    assert "'A' or 'A_1'" in reject.detail
    sources, rejects = find_files(cohort("{patient:[A-Z]+}_{recording}.csv"), root)
    assert [source.recording for source in sources] == ["1", "1_2"]
    assert rejects == []


@pytest.mark.parametrize("name", ["s/1_1.TXT", "S/1_1.txt", "s/1_1.txt ", "s/1_1 .txt"])
def test_a_name_that_nearly_matches_is_reported(folder, name):
    sources, rejects = find_files(cohort("s/{patient:[0-9]+}_{recording:[0-9]+}.txt"), folder(name, "s/2_1.txt"))
    assert [source.recording_id for source in sources] == ["2_1"]
    if name.startswith("S"):  # Another folder altogether: it is not searched.
        assert rejects == []
    else:
        assert [(reject.subject, reject.reason) for reject in rejects] == [(name, Reason.NAME_NEARLY_MATCHES)]


def test_links_are_followed_inside_the_root_and_rejected_when_they_leave_it(folder, tmp_path):
    root = folder("raw/1.csv")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "9.csv").touch()
    (root / "current").symlink_to("raw")
    (root / "raw" / "2.csv").symlink_to("1.csv")
    (root / "raw" / "3.csv").symlink_to(tmp_path / "secret" / "9.csv")
    (root / "raw" / "loop").symlink_to(root / "raw")
    (root / "raw" / "circle.csv").symlink_to("circle.csv")
    (root / "outside").symlink_to(tmp_path / "secret")
    for name in ("raw", "current"):
        sources, (reject,) = find_files(cohort(f"{name}/{{patient:[0-9]+}}.csv"), root)
        assert [source.relative for source in sources] == [f"{name}/1.csv", f"{name}/2.csv"]
        assert (reject.subject, reject.reason) == (f"{name}/3.csv", Reason.OUTSIDE_ROOT)
    sources, (reject,) = find_files(cohort("outside/{patient}.csv"), root)
    assert sources == []
    assert reject.subject == "outside"


def test_a_root_that_is_itself_a_link_is_fine(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder("1.csv"))
    sources, _ = find_files(cohort("{patient}.csv"), tmp_path / "link")
    assert len(sources) == 1


def test_a_folder_that_cannot_be_listed_is_reported(folder, monkeypatch):
    root = folder("a/1.csv", "b/1.csv")
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("/a"):
            raise PermissionError(13, "denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    sources, (reject,) = find_files(cohort("{visit}/{patient}.csv"), root)
    assert [source.relative for source in sources] == ["b/1.csv"]
    assert (reject.subject, reject.reason) == ("a", Reason.FOLDER_UNREADABLE)


def test_a_name_that_is_no_text_is_reported(folder):
    root = folder("1.csv")
    with open(os.path.join(os.fsencode(root), b"\xff.csv"), "wb"):
        pass
    sources, (reject,) = find_files(cohort("{patient}.csv"), root)
    assert len(sources) == 1
    assert reject.reason == Reason.NAME_NOT_TEXT
    assert reject.subject.isascii()


def test_a_folder_without_matching_files_gives_none(folder):
    assert find_files(cohort("signals/{patient}.csv"), folder("1.csv")) == ([], [])
    assert find_files(cohort("1.csv/{patient}.csv"), folder("1.csv")) == ([], [])


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ("{patient}_{recroding}.csv", r"unknown field \{recroding\} \(did you mean 'recording'\?\)"),
        ("../{patient}.csv", r"without \.\."),
        ("/data/{patient}.csv", "a path under `root`"),
        ("{patient}_*.csv", r"\* and \? are not known"),
        ("{patient:[0-9}.csv", "regular expression is wrong"),
        ("{patient}}.csv", "balanced braces"),
        ("{patient:(?P<patient>a)}.csv", "regular expression is wrong"),
    ],
)
def test_a_wrong_pattern_is_refused_before_any_file_is_read(folder, files, words):
    with pytest.raises(ConfigError, match=words):
        find_files(cohort(files), folder("1.csv"))


words = st.text("abcXYZ019- ", min_size=1, max_size=8)


@given(st.sets(st.tuples(words, words), min_size=1, max_size=8))
def test_every_file_is_found_once_with_the_fields_of_its_name(tmp_path_factory, fields):
    root = tmp_path_factory.mktemp("root")
    for patient, recording in fields:
        (root / f"{patient}_{recording}.csv").touch()
    sources, rejects = find_files(cohort("{patient}_{recording}.csv"), root)
    assert {(source.patient_id, source.recording) for source in sources} == fields
    assert len({source.recording_id for source in sources}) == len(fields)
    assert rejects == []


def test_all_recordings_of_the_public_data_belong_to_a_patient(test_data):
    expected = {
        "ppg_bp": ("signals/{patient}_{recording}.txt", 438, 146),
        "mw_ppg": ("recordings/bp_dataset_{patient}.csv", 78, 78),
        "arrhythmia_pool": ("{patient}.npz", 26, 26),
    }
    for name, (files, n_files, n_patients) in expected.items():
        sources, rejects = find_files(cohort(files), test_data / name)
        assert len(sources) == n_files
        assert len({source.patient_id for source in sources}) == n_patients
        assert rejects == []


def test_a_companion_is_not_called_a_misspelt_recording(tmp_path):
    for name in ("1_red.ts", "1_RED.ts", "1_Infra.ts"):
        (tmp_path / name).touch()
    channels = {"ppg_red": {"column": 0}, "ppg_ir": {"column": 0, "file": "{patient}_RED.ts"}}
    signals = {"files": "{patient}_red.ts", "reader": "binary", "channels": channels}
    sources, rejects = find_files(Cohort.model_validate({"name": "ward", "signals": signals}), tmp_path)
    assert [source.relative for source in sources] == ["1_red.ts"]
    assert sources[0].companions == {"{patient}_RED.ts": tmp_path / "1_RED.ts"}
    assert rejects == []


def test_a_companion_may_not_have_a_field_that_its_recording_lacks(tmp_path):
    channels = {"ppg_red": {"column": 0, "file": "{patient}_{visit}.ts"}}
    signals = {"files": "{patient}.ts", "reader": "binary", "channels": channels}
    with pytest.raises(ConfigError, match=r"`signals.channels.ppg_red.file` .* the field \{visit\} is not one of"):
        find_files(Cohort.model_validate({"name": "ward", "signals": signals}), tmp_path)
