"""A simulated study on disk: reproducible to the byte, described validly, and true to its own truth table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.signal import periodogram

from ppgssl.arms import ARMS
from ppgssl.config import cohort_root, load_cohort, load_study
from ppgssl.errors import ConfigError
from ppgssl.simulate.cohort import FS_HZ, simulate_cohort


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("simulated") / "study"
    simulate_cohort(out, n_labelled=40, n_unlabelled=20, seed=7)
    return out


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_seed_writes_the_same_bytes_and_another_seed_does_not(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        simulate_cohort(tmp_path / name, n_labelled=5, n_unlabelled=3, duration_s=10, seed=seed)
    first, same, other = (contents(tmp_path / name) for name in "abc")
    assert first == same
    assert first.keys() == other.keys()
    assert all(first[name] != other[name] for name in first)


def test_files_are_those_that_the_descriptions_name(study):
    for name, n in (("labelled", 40), ("unlabelled", 20)):
        cohort = load_cohort(study / f"{name}.yaml")
        root = cohort_root(cohort, study / f"{name}.yaml")
        files = list(root.glob(cohort.signals.files.format(patient="*")))
        assert len(files) == n
        assert all(channel.has_baseline for channel in cohort.signals.channels.values())
        columns = [channel.column for channel in cohort.signals.channels.values()]
        assert pd.read_csv(files[0]).columns.tolist() == columns
        assert len(pd.read_csv(files[0])) == 60 * FS_HZ


def test_the_study_compares_all_arms_on_the_ratio_of_pulse_and_baseline(study):
    loaded = load_study(study / "study.yaml")
    labelled = load_cohort(study / "labelled.yaml")
    assert labelled.clinical is not None
    assert loaded.arms == list(ARMS)
    assert loaded.inputs.normalisation == "ac_dc"
    assert {loaded.outcome, *loaded.covariates} <= set(labelled.clinical.variables)
    assert load_cohort(study / "unlabelled.yaml").clinical is None


def test_clinical_values_fit_their_dictionary_and_some_are_missing(study):
    clinical = load_cohort(study / "labelled.yaml").clinical
    assert clinical is not None
    table = pd.read_csv(study / "labelled" / clinical.file, dtype=str, keep_default_na=False)
    assert set(table.columns) == {clinical.patient_column, *clinical.variables}
    assert table[clinical.patient_column].tolist() == sorted(
        path.stem for path in (study / "labelled" / "signals").iterdir()
    )
    assert table.eq("").to_numpy().any()
    for name, variable in clinical.variables.items():
        values = table.loc[table[name].ne(""), name]
        if variable.kind == "numeric":
            assert variable.range is not None
            assert values.astype(float).between(*variable.range).all(), name
        else:
            assert set(values) <= set(variable.levels), name


def test_recordings_hold_the_heart_rate_and_saturation_of_the_truth_table(study):
    truth = pd.read_csv(study / "truth.csv").set_index("patient_id")
    clean = truth[truth["motion_s"].add(truth["lost_contact_s"]).eq(0) & truth["perfusion_index_pct"].gt(1)]
    assert len(clean) > 10
    for patient_id, row in clean.iterrows():
        samples = pd.read_csv(study / row["cohort"] / "signals" / f"{patient_id}.csv")
        heart_rate_bpm, spo2_pct = measure(samples["red"].to_numpy(float), samples["infrared"].to_numpy(float))
        assert heart_rate_bpm == pytest.approx(row["heart_rate_bpm"], abs=3), patient_id
        assert spo2_pct == pytest.approx(row["spo2_pct"], abs=2), patient_id


def measure(red: np.ndarray, infrared: np.ndarray) -> tuple[float, float]:
    """Heart rate from the strongest pair of fundamental and second harmonic, SpO2 from the power about the first."""
    frequency, spectra = periodogram(np.stack([red, infrared]), FS_HZ, window="hann", nfft=2**16, detrend="linear")
    candidates = np.flatnonzero((frequency > 1) & (frequency < 4))
    peak = candidates[np.argmax(spectra[1, candidates] + spectra[1, 2 * candidates])]
    near = np.abs(frequency - frequency[peak]) < 0.1
    ac_red, ac_infrared = np.sqrt(spectra[:, near].sum(axis=1))
    ratio = (ac_red / red.mean()) / (ac_infrared / infrared.mean())
    return 60 * float(frequency[peak]), 110 - 25 * float(ratio)


def test_the_truth_lies_outside_the_cohorts_and_names_every_child_once(study):
    truth = pd.read_csv(study / "truth.csv")
    assert truth["patient_id"].is_unique
    assert truth["cohort"].value_counts().to_dict() == {"labelled": 40, "unlabelled": 20}
    assert not any("truth" in path.name for name in ("labelled", "unlabelled") for path in (study / name).rglob("*"))
    assert "simulated" in (study / "README.md").read_text().lower()


def test_what_is_written_is_what_is_returned(tmp_path):
    written = simulate_cohort(tmp_path / "new", n_labelled=2, n_unlabelled=1, duration_s=10)
    top = {path for path in (tmp_path / "new").iterdir() if path.is_file()}
    assert set(written) == top


def test_a_folder_with_files_in_it_is_refused_and_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="not empty"):
        simulate_cohort(tmp_path)
    assert contents(tmp_path) == {"notes.txt": b"mine"}


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "demo").write_text("")
    with pytest.raises(ConfigError, match="is a file"):
        simulate_cohort(tmp_path / "demo")


def test_all_impossible_parameters_are_named_at_once_and_nothing_is_written(tmp_path):
    with pytest.raises(ConfigError) as refusal:
        simulate_cohort(tmp_path / "x", n_labelled=0, n_unlabelled=-1, duration_s=float("nan"), prevalence=30, seed=-1)
    assert len(refusal.value.problems) == 5
    assert not (tmp_path / "x").exists()
