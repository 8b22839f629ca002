"""A simulated study on disk: reproducible to the byte, described validly, and true to its own truth table."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ppgssl.cli.commands import app
from scipy.signal import periodogram
from typer.testing import CliRunner

from ppgssl.core.config.arms import DEFAULT_ARMS
from ppgssl.core.config.loading import cohort_root, load_cohort, load_study
from ppgssl.core.errors import ConfigError
from ppgssl.readers.files import find_files
from ppgssl.readers.sources import open_source
from ppgssl.simulate.cohort import simulate_cohort
from ppgssl.simulate.findings import HIDDEN
from ppgssl.simulate.layouts import FS_HZ, LAYOUTS
from ppgssl.stages.ingest.ingest import ingest
from ppgssl.stages.simulate import simulate


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("simulated") / "study"
    simulate_cohort(out, n_labelled=40, n_unlabelled=20, seed=7)
    return out


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_seed_writes_the_same_bytes_and_another_seed_does_not(layout, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        simulate_cohort(tmp_path / name, n_labelled=5, n_unlabelled=3, layout=layout, duration_s=10, seed=seed)
    first, same, other = (contents(tmp_path / name) for name in "abc")
    assert first == same
    assert first.keys() == other.keys()
    # The header of a WFDB record with its checksums differs too.
    assert all(first[name] != other[name] for name in first)


@pytest.mark.skipif(not np.__version__.startswith("2.3."), reason="the bytes are those of NumPy 2.3")
@pytest.mark.parametrize(
    ("layout", "start"),
    [
        ("ts", "6d565812e722b296"),
        ("text", "60141b7f5e886809"),
        ("wfdb", "8ce31b519dc840ba"),
        ("mwaniki2023", "8ddb454ca260c23a"),
    ],
)
def test_by_default_the_bytes_are_those_of_the_figures_in_docs(layout, start, tmp_path):
    simulate(tmp_path / "study", layout=layout, n_labelled=6, n_unlabelled=5, duration_s=10, seed=3)
    digest = hashlib.sha256()
    for name, content in sorted(contents(tmp_path / "study").items(), key=lambda item: Path(item[0])):
        if not name.endswith((".md", ".yaml")):
            digest.update(name.encode() + content)
    assert digest.hexdigest().startswith(start)


@pytest.mark.parametrize("layout", ["text", "mwaniki2023"])
def test_options_change_the_children_and_say_so(layout, tmp_path):
    options = {"children": "garde2016", "hidden_dynamics": True, "artefacts": "wrist"}
    simulate(tmp_path / "study", layout=layout, n_labelled=30, n_unlabelled=8, duration_s=10, **options)
    truth = pd.read_csv(tmp_path / "study" / "truth.csv")
    assert {"autonomic", "spo2_variation_pct", *HIDDEN} <= set(truth.columns)
    assert truth["motion_s"].mean() > 2
    readme = (tmp_path / "study" / "README.md").read_text()
    assert "Options: `--children garde2016 --hidden-dynamics --artefacts wrist`." in readme
    assert "Five hidden parts" in readme


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_descriptions_read_every_file_of_their_layout(layout, tmp_path):
    simulate_cohort(tmp_path / "study", n_labelled=6, n_unlabelled=7, layout=layout, duration_s=20)
    for name, n_recordings in (("labelled", 6), ("unlabelled", 7)):
        file = tmp_path / "study" / f"{name}.yaml"
        cohort = load_cohort(file)
        sources, rejects = find_files(cohort, cohort_root(cohort, file))
        assert (len(sources), rejects) == (n_recordings, [])
        for source in sources:
            (opened,) = open_source(source, cohort)
            recording = opened.read()
            assert set(recording.signals) == {"ppg_red", "ppg_ir"}
            for signal in recording.signals.values():
                assert (signal.fs_hz, len(signal.samples)) == (FS_HZ, 20 * FS_HZ)
                assert np.isfinite(signal.samples).all()
            assert len(opened.trends.get("sqi", np.zeros(20))) == 20
        summary = ingest(file, tmp_path / f"store_{name}", n_jobs=1)
        assert (summary.n_recordings, len(summary.rejects)) == (n_recordings, 0)


def test_in_the_text_layout_inpatients_have_up_to_four_recordings(tmp_path):
    simulate_cohort(tmp_path / "study", n_labelled=3, n_unlabelled=10, layout="text", duration_s=10)
    truth = pd.read_csv(tmp_path / "study" / "truth.csv")
    inpatients = truth[truth["cohort"] == "unlabelled"]
    assert inpatients["patient_id"].value_counts().tolist() == [4, 4, 2]
    first = inpatients[inpatients["patient_id"] == "U00001"]
    assert first[["reading", "visit"]].to_numpy().tolist() == [[1, "adm"], [2, "adm"], [1, "dis"], [2, "dis"]]
    assert len(set(first["age_months"])) == 1
    assert len(set(first["heart_rate_bpm"])) == 4


def test_the_study_compares_all_arms_on_the_ratio_of_pulse_and_baseline(study):
    loaded = load_study(study / "study.yaml")
    labelled = load_cohort(study / "labelled.yaml")
    assert labelled.clinical is not None
    assert loaded.arms == list(DEFAULT_ARMS)
    assert loaded.inputs.normalisation == "ac_dc"
    assert {loaded.outcome, *loaded.covariates} <= set(labelled.clinical.variables)
    assert load_cohort(study / "unlabelled.yaml").clinical is None


def test_clinical_values_fit_their_dictionary_and_some_are_missing(study):
    clinical = load_cohort(study / "labelled.yaml").clinical
    assert clinical is not None
    table = pd.read_csv(study / "labelled" / clinical.file, dtype=str, keep_default_na=False)
    assert set(table.columns) == {clinical.patient_column, *clinical.variables}
    assert len(table) == 40
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
        start = study / row["cohort"] / "signals" / f"{patient_id}_spo2"
        red, infrared = (np.fromfile(f"{start}{channel}.ts", dtype="<f4").astype(float) for channel in ("red", "infra"))
        heart_rate_bpm, spo2_pct = measure(red, infrared)
        assert heart_rate_bpm == pytest.approx(row["heart_rate_bpm"], abs=4), patient_id
        # Ambient light is not subtracted: it takes up to some points.
        assert spo2_pct == pytest.approx(row["spo2_pct"], abs=3), patient_id


def measure(red: np.ndarray, infrared: np.ndarray) -> tuple[float, float]:
    """Heart rate from the strongest pair of fundamental and second harmonic, SpO2 from the power about the first."""
    frequency, spectra = periodogram(np.stack([red, infrared]), FS_HZ, window="hann", nfft=2**16, detrend="linear")
    candidates = np.flatnonzero((frequency > 1) & (frequency < 4))
    peak = candidates[np.argmax(spectra[1, candidates] + spectra[1, 2 * candidates])]
    near = np.abs(frequency - frequency[peak]) < 0.1
    ac_red, ac_infrared = np.sqrt(spectra[:, near].sum(axis=1))
    ratio = (ac_red / red.mean()) / (ac_infrared / infrared.mean())
    return float(60 * frequency[peak]), float(110 - 25 * ratio)


def test_shifts_make_children_sicker(tmp_path):
    simulate_cohort(
        tmp_path / "new", n_labelled=300, n_unlabelled=300, shift=0.0, labelled_shift=1.0, duration_s=10, seed=2
    )
    severity = pd.read_csv(tmp_path / "new" / "truth.csv").groupby("cohort")["severity"].mean()
    assert severity["labelled"] == pytest.approx(1, abs=0.2)
    assert severity["unlabelled"] == pytest.approx(0, abs=0.2)
    hospitalized = pd.read_csv(tmp_path / "new" / "labelled" / "clinical.csv")["hospitalized"]
    assert hospitalized.eq("yes").mean() > 0.3


def test_what_was_written_is_listed(tmp_path):
    written = simulate_cohort(tmp_path / "new", n_labelled=2, n_unlabelled=2, duration_s=10)
    top = {path for path in (tmp_path / "new").iterdir() if path.is_file()}
    assert set(written) == top


def test_a_folder_with_files_in_it_or_a_file_in_its_place_is_refused_and_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for out, message in ((tmp_path, "not empty"), (tmp_path / "notes.txt", "is a file")):
        with pytest.raises(ConfigError, match=message):
            simulate_cohort(out)
    assert contents(tmp_path) == {"notes.txt": b"mine"}


def test_all_impossible_parameters_are_named_at_once_and_nothing_is_written(tmp_path):
    sizes = {"n_labelled": 0, "n_unlabelled": -1, "duration_s": float("nan")}
    with pytest.raises(ConfigError) as refusal:
        simulate_cohort(
            tmp_path / "x", layout="txt", shift=9, prevalence=30, seed=-1, children="g", artefacts="w", **sizes
        )
    assert len(refusal.value.problems) == 9
    assert any("did you mean 'text'" in problem for problem in refusal.value.problems)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("layout", ["wfdb", "mwaniki2023"])
def test_the_command_writes_a_study_and_prints_how_to_run_it(layout, tmp_path):
    arguments = ["--layout", layout, "--patients", "4", "--unlabelled", "5", "--seconds", "10", "--json"]
    done = CliRunner().invoke(app, ["simulate", "--out", str(tmp_path / "new"), *arguments])
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert (summary["layout"], summary["patients"], summary["unlabelled_recordings"]) == (layout, 4, 5)
    assert len(pd.read_csv(tmp_path / "new" / "truth.csv")) == 9


def test_cohorts_of_a_hospital_have_a_name_of_their_own_and_are_read(tmp_path):
    simulate_cohort(tmp_path / "new", n_labelled=2, n_unlabelled=1, hospital="clinic2", duration_s=10, seed=9)
    summary = ingest(tmp_path / "new" / "labelled.yaml", tmp_path / "store", n_jobs=1)
    assert summary.n_recordings == 2
    assert load_cohort(tmp_path / "new" / "labelled.yaml").name == "clinic2_labelled"
    with pytest.raises(ConfigError, match="hospital is 'Clinic 2'"):
        simulate_cohort(tmp_path / "other", n_labelled=2, n_unlabelled=1, hospital="Clinic 2", duration_s=10, seed=9)
