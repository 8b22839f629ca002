"""Whose files are read, what the other files of a folder show, and that each problem is reported for its patient."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ppgssl.core.errors import ConfigError
from ppgssl.stages.deploy.predict import PatientPrediction, predict
from ppgssl.stages.deploy.risks import patient_risks
from ppgssl.stages.deploy.site import site_data
from ppgssl.stages.ingest.ingest import ingest
from ppgssl.store.tables import CohortStore
from tests.support.fitted_models import VARIABLES, make_hospital
from tests.support.small_cohorts import describe, signal, write_clinical, write_signal

N = 8


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("place")
    make_hospital(folder, N, seed=4)
    return folder


@pytest.fixture
def place(sound, tmp_path) -> Path:
    """A place that a test may spoil."""
    return Path(shutil.copytree(sound, tmp_path / "place"))


def file(folder: Path, name: str) -> Path:
    return folder / "signals" / f"{name}_1.csv"


def predictions_of(model, folder: Path, *files: Path, **options: Path) -> dict[str, PatientPrediction]:
    found = predict(model, files, cohort_file=folder / "cohort.yaml", **options)
    return {one.patient_id: one for one in found.patients}


def joined(*seeds: int) -> np.ndarray:
    return np.concatenate([signal(seed) for seed in seeds], axis=1)


# --- what other files show --------------------------------------------------------------------------------------


def test_joined_recordings_are_split_as_ingest_splits_them_whoever_is_named(hospital_model, place):
    write_signal(place, "p3_1", joined(30, 31, 32))
    ingest(place / "cohort.yaml", place / "store", n_jobs=1)
    store = patient_risks(hospital_model, site_data(CohortStore(place / "store"), hospital_model.card))
    risks = {name.split("/")[1]: risk for name, risk in zip(store.table.index, store.risks[0], strict=True)}
    for found in (predictions_of(hospital_model, place), predictions_of(hospital_model, place, file(place, "p3"))):
        assert found["p3"].risk == pytest.approx(risks["p3"], abs=1e-6)
        assert found["p3"].n_segments == 15  # with those that span the seams, there would be 17
        assert any("p3_1.csv: joined recordings, split" in reason for reason in found["p3"].reasons)


def test_a_long_recording_among_long_ones_is_not_split(hospital_model, place):
    for number in range(1, N + 1):
        write_signal(place, f"p{number}_1", joined(100 + number, 200 + number))
    found = predictions_of(hospital_model, place, file(place, "p3"))["p3"]
    assert found.n_segments == 11
    assert not any("joined" in reason for reason in found.reasons)


def test_a_copy_under_another_patient_is_found_though_only_one_of_them_is_named(hospital_model, place):
    shutil.copy(file(place, "p1"), file(place, "p2"))
    alone, together = predictions_of(hospital_model, place, file(place, "p1")), predictions_of(hospital_model, place)
    assert list(alone) == ["p1"]
    for found in (alone, together):
        assert found["p1"].decision == "refused"
        assert "identical signals under two patients: identical signals: p1_1, p2_1" in found["p1"].reasons


# --- who is predicted ------------------------------------------------------------------------------------------


def test_without_files_nobody_of_the_table_is_forgotten(hospital_model, place):
    table = pd.read_csv(place / "clinical.csv", dtype=str)
    extra = pd.DataFrame({"id": ["q1", "q2", "q2"], "age": ["50", "50", "51"], "stage": ["a", "a", "a"]})
    pd.concat([table, extra]).to_csv(place / "clinical.csv", index=False)
    file(place, "p4").unlink()
    found = predictions_of(hospital_model, place)
    assert set(found) == {*(f"p{number}" for number in range(1, N + 1)), "q1", "q2"}
    for name in ("p4", "q1", "q2"):
        assert found[name].decision == "refused"
    assert "no signal file names this patient" in found["q1"].reasons
    assert any("rows 11, 12 differ in age: none is used" in reason for reason in found["q2"].reasons)


def test_a_model_of_clinical_values_refuses_whose_rows_contradict_each_other(clinical_model, tmp_path):
    write_clinical(tmp_path, ["n1,50,a,", "n2,50,a,", "n2,60,a,"])
    found = {one.patient_id: one for one in predict(clinical_model, clinical=tmp_path / "clinical.csv").patients}
    assert [found[name].decision for name in ("n1", "n2")] == ["predicted", "refused"]
    assert any("rows 3, 4 differ in age" in reason for reason in found["n2"].reasons)


def test_what_is_wrong_with_a_row_is_reported_for_its_patient_and_costs_no_other(hospital_model, place):
    (place / "clinical.csv").write_text(
        "id,age,stage\np1,forty,a\np2,400,c\np3,50,a\np3,50,a\n,50,a\np5,50,a,x,y\nP6,50,a\n"
    )
    found = predict(hospital_model, cohort_file=place / "cohort.yaml")
    of = {one.patient_id: one for one in found.patients}
    about = {name: " ".join(one.reasons) for name, one in of.items()}
    assert [of[name].decision for name in ("p1", "p2", "p3", "p4", "p5", "p6")] == [
        *("predicted", "refused", "predicted"),
        *("refused",) * 3,
    ]
    assert "not a number: clinical.csv, row 2, column age: expected a number from 0 to 120 years" in about["p1"]
    assert "outside the plausible range" in about["p2"]
    assert "unknown level" in about["p2"]
    assert "rows 4, 5 have the same values: one is used" in about["p3"]
    assert "no row in the clinical table" in about["p4"]
    assert "'P6' and 'p6' differ only by upper and lower case" in about["p6"]
    assert not any("forty" in text or "400" in text for text in about.values())
    assert any(note.startswith("row 6: row without a patient id") for note in found.warnings)
    assert any(note.startswith("row 7: row with too many or too few cells") for note in found.warnings)


# --- signals that are no signals -------------------------------------------------------------------------------


def test_each_bad_signal_is_refused_for_its_reason_and_costs_no_other(hospital_model, place):
    rng = np.random.default_rng(1)
    for name, samples in {
        "p1": np.full((2, 600), np.nan),
        "p2": np.full((2, 600), 40.0),
        "p3": rng.normal(size=(2, 600)),
        "p4": np.full((2, 600), np.inf),
        "p5": signal(5)[:, :100],
    }.items():
        write_signal(place, f"{name}_1", samples)
    file(place, "p6").write_bytes(bytes(range(256)))
    found = predictions_of(hospital_model, place)
    reasons = {
        "p1": "segments with missing samples: 5",
        "p2": "segments with flat line: 5",
        "p3": "segments with low signal quality index: 5",
        "p4": "signals/p4_1.csv: file cannot be read: channel 'red' has 600 infinite",
        "p5": "no usable signal: no segment of 4 s",
        "p6": "signals/p6_1.csv: file cannot be read: binary data",
    }
    for name, reason in reasons.items():
        assert (found[name].decision, found[name].risk, found[name].signal) == ("refused", None, "unusable")
        assert "no usable signal" in found[name].reasons[0]
        assert any(one.startswith(reason) for one in found[name].reasons), found[name].reasons
    assert found["p8"].decision == "predicted"
    alone = predictions_of(hospital_model, place, file(place, "p2"))["p2"]
    assert alone == found["p2"]


@pytest.mark.parametrize(("fs_hz", "reason"), [(5, "cannot band-pass"), (500, "no segment of 4 s")])
def test_a_wrong_sampling_rate_is_refused_with_its_reason(fs_hz, reason, hospital_model, sound, tmp_path):
    describe(tmp_path, root=str(sound), clinical__variables=VARIABLES, signals__fs_hz=fs_hz)
    for one in predictions_of(hospital_model, tmp_path, file(sound, "p1")).values():
        assert one.decision == "refused"
        assert any(reason in text for text in one.reasons)


# --- descriptions and names that are wrong ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"signals__channels": {"ppg_green": {"column": "red"}}}, "input 'ppg' is one of the channels ppg_ir, ppg_red"),
        ({"signals__files": "none/{patient}.csv"}, "no file under .* matches 'none/{patient}.csv'"),
        ({"signals__fs_hz": None}, "do not state their sampling rate"),
        ({"root": "nowhere"}, "there is no folder"),
    ],
)
def test_a_wrong_description_is_an_error(changes, message, hospital_model, sound, tmp_path):
    described = {"root": str(sound), "clinical__variables": VARIABLES, **changes}
    with pytest.raises(ConfigError, match=message):
        predictions_of(hospital_model, Path(describe(tmp_path, **described)).parent)


def test_files_that_nobody_could_mean_are_named(hospital_model, place, tmp_path):
    (place / "signals" / "p3_1_1.csv").write_text("x")
    (tmp_path / "other" / "signals").mkdir(parents=True)
    elsewhere = shutil.copy(file(place, "p1"), tmp_path / "other" / "signals")
    for wrong, message in {
        place / "signals": "signals: a folder. Name the files in it",
        place / "signals" / "p3_1_1.csv": "p3_1_1.csv: file name can be read in two ways",
        place / "clinical.csv": "clinical.csv: the name does not match `signals.files`",
        Path(elsewhere): "the files lie in different folders",
    }.items():
        with pytest.raises(ConfigError, match=message):
            predictions_of(hospital_model, place, file(place, "p1"), wrong)
    found = predict(hospital_model, cohort_file=place / "cohort.yaml")
    assert any(note.startswith("signals/p3_1_1.csv: file name can be read in two ways") for note in found.warnings)
    assert len(found.patients) == N


def test_a_link_is_read_under_its_own_name(hospital_model, place):
    (place / "signals" / "p9_1.csv").symlink_to("p1_1.csv")
    found = predictions_of(hospital_model, place, place / "signals" / "p9_1.csv")
    assert list(found) == ["p9"]
    assert any("identical signals under two patients" in reason for reason in found["p9"].reasons)


def test_a_file_named_twice_is_one(hospital_model, place, monkeypatch):
    monkeypatch.chdir(place)
    found = predictions_of(hospital_model, place, Path("signals/p1_1.csv"), Path("signals/../signals/p1_1.csv"))
    assert found == predictions_of(hospital_model, place, file(place, "p1"))


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "`--clinical`: .*no such file"), ("", "the file is empty"), ("id;age\n", "does not fit its description")],
)
def test_a_table_that_is_none_is_an_error(content, message, hospital_model, sound, tmp_path):
    if content is not None:
        (tmp_path / "t.csv").write_text(content)
    with pytest.raises(ConfigError, match=message):
        predictions_of(hospital_model, sound, clinical=tmp_path / "t.csv")
