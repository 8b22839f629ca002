"""With `privacy`, nothing that is made of a cohort names a patient; without it, nothing changes."""

from __future__ import annotations

import datetime
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import wfdb
import yaml
from ppgssl.cli.commands import app
from typer.testing import CliRunner

from ppgssl.core.config.loading import load_cohort
from ppgssl.core.config.study import Study
from ppgssl.core.errors import ConfigError, StoreError
from ppgssl.core.reasons import Reason
from ppgssl.readers.privacy.pseudonyms import Pseudonyms
from ppgssl.stages.ingest import ingest as ingest_module
from ppgssl.stages.ingest.ingest import IngestSummary, check_cohort, original_names
from ppgssl.store.linked_patients import shared_signals
from ppgssl.store.study_data import load_study_data
from ppgssl.store.tables import CohortStore
from tests.support.planted_identifiers import (
    KEY,
    N_PATIENTS,
    admitted,
    born,
    describe_planted_study,
    found_in,
    identifiers,
    patient_id,
    plant,
)
from tests.support.same_stores import content, table_versions
from tests.support.small_cohorts import FS_HZ, clinical_row, describe, make_ward, signal, write_clinical, write_signal

ENV = "PPGSSL_TEST_KEY"
PRIVATE = {"privacy": {"pseudonyms": {"key_env": ENV}}}
OTHER_KEY = KEY[::-1]


@pytest.fixture(scope="module", autouse=True)
def _key():
    os.environ[ENV] = KEY
    yield
    del os.environ[ENV]


def ingest(cohort_file: Path, folder: Path) -> IngestSummary:
    return ingest_module.ingest(cohort_file, folder, n_jobs=1)


def pseudonym(name: str) -> str:
    return Pseudonyms(KEY.encode()).patient(name)


# --- what is made, searched ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Everything that the commands make of the planted ward, with what they print."""
    folder = tmp_path_factory.mktemp("planted")
    cohort_file, out = plant(folder, **PRIVATE), folder / "out"
    commands = [
        ("run", describe_planted_study(folder), "--out", out, "--jobs", "1"),
        ("check", cohort_file, "--jobs", "1"),
        ("inspect", out / "stores" / "ward"),
        ("ingest", cohort_file, "--out", out / "stores" / "ward", "--json"),
    ]
    for arguments in commands:
        done = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert done.exit_code == (2 if arguments[0] == "check" else 0), done.output
        (out / f"{arguments[0]}.log").write_text(done.output)
    return out


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> CohortStore:
    """The store of the same ward without privacy."""
    folder = tmp_path_factory.mktemp("plain")
    ingest(plant(folder), folder / "store")
    return CohortStore(folder / "store")


def test_no_output_of_a_run_holds_an_identifier_or_reveals_the_key(made):
    suffixes = {path.suffix for path in made.rglob("*")}
    assert {".parquet", ".pdf", ".html", ".json", ".xlsx", ".csv", ".yaml", ".log", ".safetensors"} <= suffixes
    assert (made / "report.pdf").is_file()
    assert found_in(made, [*identifiers(), KEY, ENV]) == {}


def test_the_search_finds_all_kinds_of_identifiers_where_there_is_no_privacy(plain):
    found = found_in(plain.folder, identifiers())
    assert {path.split("/")[0] for path in found} >= {"patients", "recordings", "rejects", "segments"}
    reported = {needle for needles in found.values() for needle in needles}
    # Ids and dates in names of files, dates in the clinical table, and what stands in a broken file.
    assert reported >= {patient_id(1), admitted(1), born(1), "Wanjiru", "Katharina"}


def test_the_search_finds_what_is_encoded(tmp_path):
    pd.DataFrame({"patient": ["KNH0001"] * 100}).to_parquet(tmp_path / "a.parquet", compression="zstd")
    pd.DataFrame({"patient": ["KNH0002"]}).to_excel(tmp_path / "b.xlsx")
    (tmp_path / "knh0003").touch()
    found = found_in(tmp_path, ["KNH0001", "KNH0002", "KNH0003"])
    assert found == {"a.parquet": ["KNH0001"], "b.xlsx": ["KNH0002"], "knh0003": ["KNH0003"]}


def test_a_header_that_names_the_patient_leaves_no_trace(tmp_path):
    samples = signal(1)[:1].T
    header = {
        "comments": ["Wanjiru, 3 years"],
        "base_date": datetime.date(2019, 3, 4),
        "base_time": datetime.time(7, 30),
    }
    wfdb.wrsamp("KNH0001", fs=FS_HZ, units=["V"], sig_name=["red"], p_signal=samples, write_dir=str(tmp_path), **header)
    (tmp_path / "KNH0002.hea").write_text("KNH0002 1 50 600 0:0:0 04/03/2019 Wanjiru\nKNH0002.dat 16 Wanjiru\n")
    signals = {"files": "{patient}.hea", "reader": "wfdb", "channels": {"ppg_red": {"column": "red"}}}
    cohort_file = describe(tmp_path, signals=signals, clinical=None, **PRIVATE)
    summary = ingest(cohort_file, tmp_path / "store")
    assert (summary.n_recordings, len(summary.rejects)) == (1, 1)
    assert found_in(tmp_path / "store", ["KNH000", "Wanjiru", "2019-03-04", "04/03/2019"]) == {}


def test_everything_that_is_wrong_is_still_reported(made, plain):
    private = CohortStore(made / "stores" / "ward").rejects()
    columns = ["stage", "unit", "reason"]
    assert sorted(map(tuple, private[columns].to_numpy())) == sorted(map(tuple, plain.rejects()[columns].to_numpy()))
    assert {Reason.CONTRADICTING_ROWS, Reason.FILE_WITHOUT_RECORDING} <= set(private["reason"])
    output = " ".join(private["detail"])
    assert "clinical.csv, row 12, column stage: expected one of a, b; taken as missing" in output
    assert "line 2, column 0 counted from 0: expected a number and found …" in output
    assert "the ids of 1 pair differ only by leading zeros" in output


# --- a model that is used, searched ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(hospital_model) -> Path:
    """A model of another hospital."""
    return hospital_model.folder


def test_predictions_and_a_validation_hold_no_identifier(made, model, ppgssl, tmp_path):
    cohort_file = made.parent / "cohort.yaml"
    commands = {
        "csv": ["predict", model, "--cohort", cohort_file],
        "json": ["predict", model, "--cohort", cohort_file, "--format", "json", "--out", tmp_path / "found.json"],
        "validation": ["evaluate", "--model", model, cohort_file, "--out", tmp_path / "validation", "--jobs", "1"],
    }
    for name, arguments in commands.items():
        done = ppgssl(*arguments)
        assert done.returncode == 0, done.stderr
        (tmp_path / f"{name}.out").write_text(done.stdout)
        (tmp_path / f"{name}.err").write_text(done.stderr)
    assert found_in(tmp_path, [*identifiers(), KEY, ENV]) == {}
    reported = pd.read_csv(tmp_path / "csv.out").set_index("patient_id")
    ids = sorted(pseudonym(patient_id(number)) for number in range(1, N_PATIENTS + 4))
    assert list(reported.index) == sorted([*ids, pseudonym("KNH77"), pseudonym("KNH0077")])
    reasons = reported["reasons"].fillna("")
    # Of a row, a file and a table that are wrong, what is wrong is reported.
    assert "clinical.csv, row 12, column stage: expected one of a, b" in reasons[pseudonym(patient_id(11))]
    assert "expected a number and found …" in reasons[pseudonym(patient_id(N_PATIENTS + 1))]
    assert "patient twice in the table, other values" in reasons[pseudonym(patient_id(9))]
    assert "identical signals under two patients" in reasons[pseudonym(patient_id(3))]
    assert "joined recordings, split" in reasons[pseudonym(patient_id(4))]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,age,stage\n" + "".join(f"KNH{n:04d},Katharina,Kilimani 0722981\n" for n in range(1, 8)), "none of the 7"),
        ("KNH0001,Wanjiru,2016-11-02\nKNH0002,Otieno,2016-11-03\n", "does not fit its description"),
        ("id;Katharina;0722981\nKNH0001;1;a\n", "does not fit its description"),
        ("KNH0001 Wanjiru\0", "binary data"),
        ("", "the file is empty"),
        (None, "no such file"),
    ],
)
def test_no_error_about_a_table_shows_its_content_or_name(content, message, made, model, ppgssl, tmp_path):
    table = tmp_path / "KNH0001_Wanjiru.csv"
    if content is not None:
        table.write_text(content)
    done = ppgssl("predict", model, "--cohort", made.parent / "cohort.yaml", "--clinical", table)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert hidden(done.stderr)


def test_the_name_of_a_table_is_in_no_reason(made, model, ppgssl, tmp_path):
    table = tmp_path / "KNH0001_Wanjiru.csv"
    table.write_text("id,age,stage\nKNH0001,Katharina,a\nKNH0002,3,b\nKNH0002,Katharina,a\n")
    done = ppgssl("predict", model, "--cohort", made.parent / "cohort.yaml", "--clinical", table)
    assert done.returncode == 0
    assert "not a number: the clinical table, row 2, column age" in done.stdout
    assert hidden(done.stdout + done.stderr)


def test_no_error_about_files_shows_what_they_are_called(made, model, ppgssl, tmp_path):
    signals = made.parent / "signals"
    sound = next(signals.glob("KNH0001*"))
    elsewhere = tmp_path / "Wanjiru" / "signals"
    elsewhere.mkdir(parents=True)
    shutil.copy(sound, elsewhere)
    (elsewhere / "Wanjiru.txt").write_text("Katharina")
    cases = {
        "no such file: file 2 of those given": [signals / "KNH0001_2019-03-02_no.csv"],
        "file 2 of those given: a folder": [signals],
        "file 2 of those given: the name does not match": [elsewhere / "Wanjiru.txt"],
        "file 2 of those given: file name can be read in two ways": sorted(signals.glob("*_Nakato_*_Wanjiru.csv")),
        "the files lie in different folders: predict": [elsewhere / sound.name],
    }
    for message, wrong in cases.items():
        done = ppgssl("predict", model, sound, *wrong, "--cohort", made.parent / "cohort.yaml")
        assert (done.returncode, done.stdout) == (2, "")
        assert message in done.stderr
        assert hidden(done.stderr)


def test_no_error_of_a_validation_shows_the_content_of_the_table(model, ppgssl, tmp_path):
    make_ward(tmp_path, 6, **PRIVATE)
    (tmp_path / "clinical.csv").write_text("id,age,stage,died\n" + "KNH0001,Katharina,Wanjiru,0722981\n" * 6)
    arguments = ["evaluate", "--model", model, tmp_path / "cohort.yaml", "--out", tmp_path / "out", "--jobs", "1"]
    done = ppgssl(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "none of the 6 values in column 'age' is a number" in done.stderr
    assert hidden(done.stderr)


def hidden(text: str) -> bool:
    return not any(needle.casefold() in text.casefold() for needle in [*identifiers(), KEY, ENV])


# --- what the store holds --------------------------------------------------------------------------------------


def test_the_same_is_stored_as_without_privacy_but_under_other_names(made, plain):
    private = CohortStore(made / "stores" / "ward")
    shown = plain.recordings(["patient_id", "signal_sha256", "duration_s", "start_s"])
    shown["patient_id"] = shown["patient_id"].map(pseudonym)
    hidden = private.recordings(["patient_id", "signal_sha256", "duration_s", "start_s"])
    assert sorted(map(tuple, shown.to_numpy())) == sorted(map(tuple, hidden.to_numpy()))
    table = plain.patients()
    table.index = table.index.map(pseudonym)
    measured = ["age", "weight", "stage", "died"]
    pd.testing.assert_frame_equal(table.sort_index()[measured], private.patients()[measured], check_names=False)


def test_dates_are_days_from_the_first_one(made):
    patients = CohortStore(made / "stores" / "ward").patients()
    days = (np.datetime64(admitted(1)) - np.datetime64(born(1))).astype(int)
    assert patients.loc[pseudonym(patient_id(1)), ["born", "admitted"]].tolist() == [0, days]
    assert patients.loc[pseudonym(patient_id(12)), ["born", "admitted"]].isna().tolist() == [True, False]


def test_the_order_of_rows_reveals_nothing_of_the_ids(tmp_path):
    make_ward(tmp_path, 12, **PRIVATE)
    ingest(tmp_path / "cohort.yaml", tmp_path / "store")
    store = CohortStore(tmp_path / "store")
    with store.reading("recordings") as held:
        rows = held.to_table(columns=["patient_id"]).column(0).to_pylist()
    with store.reading("patients") as held:
        patients = held.to_table(columns=["patient_id"]).column(0).to_pylist()
    assert rows == patients == sorted(pseudonym(f"p{number}") for number in range(1, 13))


# --- one key, several cohorts ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hospital(tmp_path_factory) -> Path:
    """A labelled ward of p1 to p12, and a clinic of other recordings of p5, p6 and p13, with one key."""
    folder = tmp_path_factory.mktemp("hospital")
    make_ward(folder, 12, **PRIVATE)
    for number in (5, 6, 13):
        write_signal(folder / "clinic", f"p{number}_1", signal(100 + number))
    describe(folder / "clinic", name="clinic", clinical=None, **PRIVATE)
    ingest(folder / "cohort.yaml", folder / "store")
    ingest(folder / "clinic" / "cohort.yaml", folder / "clinic" / "store")
    return folder


def patients_of(folder: Path) -> set[str]:
    return set(CohortStore(folder / "store").recordings(["patient_id"])["patient_id"])


def test_a_patient_in_two_cohorts_of_one_key_is_recognised(hospital):
    both = patients_of(hospital) & patients_of(hospital / "clinic")
    assert both == {pseudonym("p5"), pseudonym("p6")}


def test_another_key_gives_other_pseudonyms(hospital, tmp_path, monkeypatch):
    make_ward(tmp_path, 6, **PRIVATE)
    monkeypatch.setenv(ENV, OTHER_KEY)
    ingest(tmp_path / "cohort.yaml", tmp_path / "store")
    assert not patients_of(tmp_path) & patients_of(hospital)


def test_who_is_in_two_cohorts_of_one_key_stays_on_one_side_of_a_split(hospital):
    study = {
        "name": "study",
        "out": "out",
        "cohorts": [{"store": "store", "role": "labelled"}, {"store": "clinic/store", "role": "unlabelled"}],
        "inputs": {"channels": [{"name": "ppg", "any_of": ["ppg_ir"]}], "fs_hz": 50, "segment_s": 4, "step_s": 2},
        "outcome": "died",
        "covariates": ["age"],
        "validation": {"n_folds": 2, "n_repeats": 1},
    }
    data = load_study_data(Study.model_validate(study), hospital / "study.yaml", hospital / "out")
    for fold in data.folds:
        expected = {f"clinic/{pseudonym(name)}" for name in ("p5", "p6") if f"ward/{pseudonym(name)}" in fold.test}
        assert set(fold.linked) == expected
    assert any("or are that patient by their pseudonym" in note for note in data.notes)


# --- resuming --------------------------------------------------------------------------------------------------


def test_with_the_right_key_only_what_is_new_is_read(tmp_path):
    make_ward(tmp_path, 5, **PRIVATE)
    ingest(tmp_path / "cohort.yaml", tmp_path / "store")
    before = content(tmp_path / "store")[0], table_versions(tmp_path / "store")
    again = ingest(tmp_path / "cohort.yaml", tmp_path / "store")
    assert (again.n_files_new, again.n_files_gone) == (0, 0)
    assert (content(tmp_path / "store")[0], table_versions(tmp_path / "store")) == before
    write_signal(tmp_path, "p6_1", signal(6))
    write_signal(tmp_path, "p1_1", signal(66))
    write_clinical(tmp_path, [clinical_row(number) for number in range(1, 7)])
    (tmp_path / "signals" / "p2_1.csv").unlink()
    third = ingest(tmp_path / "cohort.yaml", tmp_path / "store")
    assert (third.n_files_new, third.n_files_gone, third.n_recordings) == (2, 1, 6)
    assert found_in(tmp_path / "store", ["p2_1", "p1_1"]) == {}


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (PRIVATE, {"key": OTHER_KEY}, "made with another key"),
        (PRIVATE, {}, "`privacy` is gone"),
        ({}, PRIVATE, "made without pseudonyms"),
    ],
)
def test_a_store_is_never_continued_under_other_names(first, second, message, tmp_path, monkeypatch):
    make_ward(tmp_path, 2, **first)
    ingest(tmp_path / "cohort.yaml", tmp_path / "store")
    before = content(tmp_path / "store")[0], table_versions(tmp_path / "store")
    if "key" in second:
        monkeypatch.setenv(ENV, second["key"])
        second = PRIVATE
    make_ward(tmp_path, 3, **second)
    with pytest.raises(StoreError, match=message):
        ingest(tmp_path / "cohort.yaml", tmp_path / "store")
    assert (content(tmp_path / "store")[0], table_versions(tmp_path / "store")) == before


def test_without_the_key_nothing_is_made(tmp_path, monkeypatch):
    make_ward(tmp_path, 2, **PRIVATE)
    monkeypatch.delenv(ENV)
    with pytest.raises(ConfigError, match="PPGSSL_TEST_KEY is not set"):
        ingest(tmp_path / "cohort.yaml", tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_a_store_is_read_without_the_key(hospital, monkeypatch):
    monkeypatch.delenv(ENV)
    assert len(CohortStore(hospital / "store").patients()) == 12


def test_a_key_file_in_the_data_folder_is_warned_of(tmp_path):
    make_ward(tmp_path, 2, privacy={"pseudonyms": {"key_file": "key"}})
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "key").chmod(0o600)
    done = CliRunner().invoke(app, ["ingest", str(tmp_path / "cohort.yaml"), "--out", str(tmp_path / "store")])
    assert done.exit_code == 0
    assert "warning: the key of the pseudonyms lies in the folder of the raw files" in done.output
    assert KEY not in done.output


# --- without privacy -------------------------------------------------------------------------------------------


def test_without_privacy_ids_and_dates_are_as_they_were(plain):
    assert plain.key_fingerprint == ""
    assert (plain.folder / "format.json").read_text() == '{"format": 3}'
    assert plain.patients().loc[patient_id(1), "born"] == born(1)
    sources = plain.recordings(["source"])["source"]
    assert f"signals/{patient_id(2)}_{admitted(2)}_Kiprotich.csv" in set(sources)


def test_plain_ids_link_nobody(tmp_path):
    make_ward(tmp_path / "one", 4)
    make_ward(tmp_path / "two", 4, first_seed=50, name="other")
    for name in ("one", "two"):
        ingest(tmp_path / name / "cohort.yaml", tmp_path / name / "store")
    stores = [CohortStore(tmp_path / name / "store") for name in ("one", "two")]
    assert shared_signals(stores) == {}


# --- what is refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["text", "free_text", "Notes", "string"])
def test_free_text_is_no_kind_of_variable(kind, tmp_path):
    make_ward(tmp_path, 1, clinical__variables__notes={"kind": kind})
    with pytest.raises(ConfigError, match=r"`clinical\.variables\.notes\.kind`: .* free text is never ingested"):
        load_cohort(tmp_path / "cohort.yaml")


def test_with_privacy_numbers_need_a_range_and_ids_are_no_variables(tmp_path):
    for variable, message in (
        ({"column": "phone", "kind": "numeric"}, "every number needs its plausible `range`"),
        ({"column": " id", "kind": "numeric", "range": [0, 9]}, "the patient's id is no variable"),
    ):
        make_ward(tmp_path, 1, clinical__variables__one=variable, **PRIVATE)
        with pytest.raises(ConfigError, match=message):
            load_cohort(tmp_path / "cohort.yaml")


# --- who may know ----------------------------------------------------------------------------------------------


def test_who_holds_the_key_and_the_raw_files_finds_what_a_pseudonym_stands_for(made):
    cohort_file = made.parent / "cohort.yaml"
    originals = original_names(cohort_file)
    assert originals[pseudonym(patient_id(3))] == patient_id(3)
    reported = set(check_cohort(cohort_file, n_jobs=1).rejects.query("unit == 'file'")["subject"])
    assert reported <= set(originals)
    assert len({name for name in originals.values() if name.startswith("KNH")}) > N_PATIENTS
    done = CliRunner().invoke(app, ["pseudonyms", str(cohort_file), pseudonym(patient_id(3)), patient_id(4)])
    assert done.output.split() == [pseudonym(patient_id(3)), patient_id(3), patient_id(4), pseudonym(patient_id(4))]


def test_a_name_that_is_none_and_a_cohort_without_pseudonyms_are_refused(made, tmp_path):
    done = CliRunner().invoke(app, ["pseudonyms", str(made.parent / "cohort.yaml"), "p5"])
    assert isinstance(done.exception, ConfigError)
    make_ward(tmp_path, 1)
    with pytest.raises(ConfigError, match="has no `privacy`"):
        original_names(tmp_path / "cohort.yaml")


def test_the_store_does_not_say_where_the_key_lies(made):
    described = (made / "stores" / "ward" / "cohort.yaml").read_text()
    assert yaml.safe_load(described)["privacy"] is None
    assert CohortStore(made / "stores" / "ward").key_fingerprint == Pseudonyms(KEY.encode()).fingerprint
