from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import ppgssl
from ppgssl.core.errors import ConfigError, ReadError, ReportError

CODE = """
import sys, time
start = time.process_time()
import ppgssl
took = time.process_time() - start
heavy = {"torch", "pandas", "numpy", "scipy", "sklearn", "pydantic"} & set(sys.modules)
assert not heavy, heavy
print(took)
"""


def test_importing_the_package_is_instant_and_loads_nothing():
    took = [
        float(subprocess.run([sys.executable, "-c", CODE], capture_output=True, check=True).stdout) for _ in range(3)
    ]
    assert min(took) < 0.05


@pytest.mark.parametrize("name", sorted(ppgssl.__all__))
def test_every_public_name_is_there_and_documented(name):
    found = getattr(ppgssl, name)
    assert len(found.__doc__) > 40
    assert name in dir(ppgssl)


@pytest.mark.parametrize("package", ["signals", "evaluation"])
def test_every_function_of_a_namespace_is_callable_and_documented(package):
    namespace = getattr(ppgssl, package)
    for name in namespace.__all__:
        function = getattr(namespace, name)
        assert callable(function)
        assert "Parameters\n" in function.__doc__ or "module's head" in function.__doc__


def test_an_unknown_name_is_an_attribute_error():
    for module in (ppgssl, ppgssl.signals, ppgssl.evaluation):
        with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
            module.nonsense  # noqa: B018


def test_a_recording_is_read_by_the_ending_of_its_file(tmp_path):
    samples = np.arange(500.0)
    np.savez(tmp_path / "a.npz", red=samples, infrared=-samples)
    pd.DataFrame({"pleth": samples}).to_csv(tmp_path / "b.csv", index=False)
    found = ppgssl.read_recording(tmp_path / "a.npz", {"ppg_red": "red", "ppg_ir": 1}, fs_hz=50)
    assert found.recording_id == "a"
    assert list(found.signals) == ["ppg_red", "ppg_ir"]
    np.testing.assert_array_equal(found.signals["ppg_ir"].samples, -samples)
    part = ppgssl.read_recording(str(tmp_path / "b.csv"), ["pleth"], fs_hz=50, start_s=2, stop_s=4)
    np.testing.assert_array_equal(part.signals["pleth"].samples, np.arange(100.0, 200.0))
    assert part.signals["pleth"].fs_hz == 50


def test_a_file_states_its_rate_where_its_format_does(test_data):
    found = ppgssl.read_recording(test_data / "wfdb_samples" / "100.hea", {"ecg": 0})  # of the MIT-BIH database
    assert found.signals["ecg"].fs_hz == 360


def test_a_recording_that_cannot_be_read_reports_what_to_give(tmp_path):
    np.save(tmp_path / "pieces.npy", np.random.default_rng(0).normal(size=(3, 400)))
    (tmp_path / "x.dat").write_bytes(b"0000")
    with pytest.raises(ConfigError, match="Give `reader`"):
        ppgssl.read_recording(tmp_path / "x.dat", [0], fs_hz=50)
    with pytest.raises(ConfigError, match="Give it as `fs_hz`"):
        ppgssl.read_recording(tmp_path / "pieces.npy", [0])
    with pytest.raises(ConfigError, match="at least one channel"):
        ppgssl.read_recording(tmp_path / "pieces.npy", {}, fs_hz=50)
    with pytest.raises(ReadError, match=r"holds 3 recordings. Give `number`, 0 to 2"):
        ppgssl.read_recording(tmp_path / "pieces.npy", [0], fs_hz=50)
    with pytest.raises(ReadError, match="no recording of number 3"):
        ppgssl.read_recording(tmp_path / "pieces.npy", [0], fs_hz=50, number=3)
    assert ppgssl.read_recording(tmp_path / "pieces.npy", {"ppg": 0}, fs_hz=50, number=2).recording_id == "pieces#2"


# --- a study ---------------------------------------------------------------------------------------------------


@pytest.fixture
def opened(tiny_study):
    return ppgssl.load_study(tiny_study.file, tiny_study.out)


def test_a_study_gives_its_patients_and_the_features_of_an_arm(opened):
    patients = opened.patients
    assert patients["y"].isin([0, 1]).all()
    features = opened.features("covariates+pulse-wave")
    assert features.index.equals(patients.index)
    clinical = features[opened.description.covariates]
    pd.testing.assert_frame_equal(clinical, patients[opened.description.covariates])
    assert features.shape[1] > clinical.shape[1]


def test_features_of_one_fold_are_asked_for_by_its_name(opened):
    fold = opened.folds[0].name
    first, second = (opened.features("untrained", fold=one.name) for one in opened.folds[:2])
    assert not np.allclose(first, second)
    with pytest.raises(ConfigError, match=f"give `fold`, for example '{fold}'"):
        opened.features("untrained")
    with pytest.raises(ConfigError, match="did you mean"):
        opened.features("untrained", fold=fold.replace("repeat", "repat"))
    with pytest.raises(ConfigError, match="unknown 'ssl-al'"):
        opened.features("ssl-al")
    with pytest.raises(ConfigError, match="is a network"):
        opened.features("network-random")


def test_results_and_predictions_are_tables(tiny_study, evaluated_study):
    study = ppgssl.load_study(tiny_study.file, evaluated_study[1])
    results, arms = study.results, study.results.to_frame()
    assert arms.set_index("arm").loc["covariates", "auroc"] == results.arms[0].auroc.estimate
    assert set(results.to_frame("differences")["kind"]) >= {"difference"}
    assert set(study.predictions()["arm"]) == set(arms["arm"])
    for table in ("operating_points", "decision_curves", "calibration_curves"):
        assert set(results.to_frame(table)["arm"]) == set(arms["arm"])
    with pytest.raises(ConfigError, match="did you mean 'arms'"):
        results.to_frame("arm")


def test_a_study_that_was_not_evaluated_reports_so(opened):
    with pytest.raises(ConfigError, match="run `ppgssl evaluate"):
        opened.predictions()
    with pytest.raises(ReportError, match="run `ppgssl evaluate"):
        opened.results  # noqa: B018


def test_a_store_opens_by_its_folder(tiny_study):
    folder = next((tiny_study.out / "stores").iterdir())
    store = ppgssl.open_store(str(folder))
    assert isinstance(store, ppgssl.CohortStore)
    assert len(store.recordings()) > 0
