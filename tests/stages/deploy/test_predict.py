"""New patients: their predictions, from which files, and when they are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from ppgssl.core.errors import ConfigError
from ppgssl.evaluation.recalibration import Recalibration
from ppgssl.stages.deploy.predict import load_recalibration, predict
from ppgssl.stages.deploy.risks import patient_risks
from ppgssl.stages.deploy.site import site_data
from ppgssl.stages.ingest.ingest import ingest
from ppgssl.store.tables import CohortStore
from tests.support.fitted_models import VARIABLES, make_hospital
from tests.support.small_cohorts import describe, signal, write_clinical, write_signal


@pytest.fixture(scope="module")
def model(hospital_model):
    return hospital_model


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("elsewhere")
    make_hospital(folder, 8, seed=2)
    return folder


@pytest.fixture(scope="module")
def predicted(model, elsewhere):
    """All of them, as their description says."""
    return predict(model, cohort_file=elsewhere / "cohort.yaml")


def files(folder: Path) -> list[Path]:
    return sorted((folder / "signals").iterdir())


def by_id(predictions):
    return {one.patient_id: one for one in predictions.patients}


def test_files_of_the_training_cohort_give_what_their_store_gives(model):
    folder = model.folder.parent
    found = by_id(predict(model, files(folder), clinical=folder / "clinical.csv"))
    through_store = patient_risks(model, site_data(CohortStore(folder / "store"), model.card))
    for row, key in enumerate(through_store.table.index):
        assert found[key.split("/")[1]].risk == pytest.approx(through_store.risks[0, row], abs=1e-6)
    assert len(found) == 40


def test_a_patient_is_predicted_alone_as_among_others(model, elsewhere, predicted):
    together = by_id(predicted)
    alone = predict(model, [elsewhere / "signals" / "p3_1.csv"], cohort_file=elsewhere / "cohort.yaml")
    assert [one.patient_id for one in alone.patients] == ["p3"]
    assert alone.patients[0].risk == pytest.approx(together["p3"].risk, abs=1e-6)
    assert alone.patients[0].ci_low == pytest.approx(together["p3"].ci_low, abs=1e-6)


def test_a_store_of_the_place_gives_the_same(model, elsewhere, predicted, tmp_path):
    ingest(elsewhere / "cohort.yaml", tmp_path / "store", n_jobs=1)
    through_store = patient_risks(model, site_data(CohortStore(tmp_path / "store"), model.card))
    risks = dict(zip(through_store.table.index, through_store.risks[0], strict=True))
    assert len(risks) == len(predicted.patients)
    for one in predicted.patients:
        assert one.risk == pytest.approx(risks[f"{elsewhere.name}/{one.patient_id}"], abs=1e-6)


def test_the_grid_of_the_place_does_not_matter(model, elsewhere, predicted, tmp_path):
    changed = {"segment_s": 6.0, "step_s": 3.0, "min_sqi": 0.9}
    other = describe(tmp_path, root=str(elsewhere), clinical__variables=VARIABLES, segments=changed)
    before, after = by_id(predicted), by_id(predict(model, cohort_file=other))
    assert {name: one.risk for name, one in before.items()} == pytest.approx(
        {name: one.risk for name, one in after.items()}
    )


def test_every_risk_lies_in_its_interval_and_has_a_decision(predicted):
    for one in predicted.patients:
        assert one.decision == "predicted"
        assert 0 <= one.ci_low <= one.risk <= one.ci_high <= 1
        assert one.signal == "good"
        assert one.n_segments_accepted == one.n_segments == 5


def test_reasons_against_a_risk_are_reported_without_the_patients_values(model, elsewhere, tmp_path):
    rows = ["p1,99.25,a,", "p2,50,b,", "p7,,a,"]
    write_clinical(tmp_path, rows)
    chosen = [elsewhere / "signals" / f"p{number}_1.csv" for number in (1, 2, 7)]
    found = by_id(predict(model, chosen, cohort_file=elsewhere / "cohort.yaml", clinical=tmp_path / "clinical.csv"))
    assert any("outside the middle 98 %" in one and "Age (" in one for one in found["p1"].reasons)
    assert any("not known, and replaced" in one and "Age" in one for one in found["p7"].reasons)
    assert not any("Age" in one for one in found["p2"].reasons)
    assert "99.25" not in " ".join(found["p1"].reasons)


def test_a_patient_whom_the_model_has_seen_is_named_by_id_and_by_signal(model, tmp_path):
    folder = model.folder.parent
    write_signal(tmp_path, "q1_1", signal(1001))  # the recording of p1, under another id
    write_clinical(tmp_path, ["q1,50,a,"])
    known = predict(model, [folder / "signals" / "p1_1.csv"], clinical=folder / "clinical.csv").patients[0]
    renamed = predict(model, files(tmp_path), clinical=tmp_path / "clinical.csv").patients[0]
    for one in (known, renamed):
        assert "the model was made with this patient: its risk is no prediction" in one.reasons


def test_nobody_is_predicted_where_no_signal_at_all_can_be_used(model, tmp_path):
    write_signal(tmp_path, "flat_1", np.full((2, 600), 40.0))
    found = predict(model, files(tmp_path))
    assert [one.decision for one in found.patients] == ["refused"]


def test_without_any_clinical_value_there_is_no_risk(model, elsewhere):
    found = predict(model, files(elsewhere))
    assert {one.decision for one in found.patients} == {"refused"}
    assert "none of the clinical values" in found.patients[0].reasons[0]
    assert any("unknown of everybody: Age, Stage" in one for one in found.warnings)


def test_a_bad_interval_makes_the_signal_poor(model, tmp_path):
    samples = signal(79)
    samples[:, 150:] = 40.0
    write_signal(tmp_path, "half_1", samples[:, : (9 * 50)])
    samples = signal(80)
    samples[:, 320:] = np.nan
    write_signal(tmp_path, "other_1", samples)
    write_clinical(tmp_path, ["half,50,a,", "other,50,a,"])
    one = by_id(predict(model, files(tmp_path), clinical=tmp_path / "clinical.csv"))["other"]
    assert (one.decision, one.signal) == ("predicted", "poor")
    assert any("poor signal: " in reason for reason in one.reasons)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"age": {"kind": "numeric", "unit": "months"}}, "`age` is in months, and was in years: convert it"),
        ({"age": {"kind": "binary"}}, "`age` is binary, and was numeric"),
        ({"stage": {"kind": "categorical", "levels": {"c": "terminal"}}}, "`stage` has the level.*terminal"),
    ],
)
def test_clinical_values_that_mean_something_else_are_refused(model, elsewhere, tmp_path, variables, message):
    other = describe(tmp_path, root=str(elsewhere), clinical__variables={**VARIABLES, **variables})
    with pytest.raises(ConfigError, match=message):
        predict(model, cohort_file=other)


def test_only_what_the_model_takes_is_read_of_the_table(model, elsewhere, tmp_path):
    pd.DataFrame({"id": ["p1"], "age": [50.0], "stage": ["a"]}).to_csv(tmp_path / "table.csv", index=False)
    found = predict(
        model,
        [elsewhere / "signals" / "p1_1.csv"],
        cohort_file=elsewhere / "cohort.yaml",
        clinical=tmp_path / "table.csv",
    )
    assert found.patients[0].decision == "predicted"


def test_a_file_that_nobody_can_place_is_named(model, tmp_path):
    (tmp_path / "signals").mkdir()
    (tmp_path / "signals" / "what.txt").write_text("1")
    with pytest.raises(ConfigError, match=r"what.txt: the name does not match `signals.files`.*--cohort"):
        predict(model, [tmp_path / "signals" / "what.txt"])
    with pytest.raises(ConfigError, match=r"no such file: .*absent_1.csv"):
        predict(model, [tmp_path / "signals" / "absent_1.csv"])
    with pytest.raises(ConfigError, match="nobody to predict"):
        predict(model)


def test_a_model_of_clinical_values_alone_needs_no_file(clinical_model, tmp_path):
    write_clinical(tmp_path, ["n1,80,b,", "n2,,,", "n3,20,a,"])
    found = by_id(predict(clinical_model, clinical=tmp_path / "clinical.csv"))
    assert (found["n1"].decision, found["n1"].signal) == ("predicted", "not used")
    assert found["n1"].risk > found["n3"].risk
    assert found["n2"].decision == "refused"


def test_a_cohort_without_the_devices_sqi_is_accepted_by_ours_and_a_warning_reports_it(model, elsewhere):
    training = model.card.cohort | {
        "segments": model.card.cohort["segments"] | {"accept": "device"},
        "signals": model.card.cohort["signals"]
        | {"trends": {"file": "trends/{patient}.csv", "columns": {"sqi": "SQI"}}},
    }
    asked = model.card.model_copy(update={"cohort": training})
    found = predict(replace(model, card=asked), cohort_file=elsewhere / "cohort.yaml")
    assert any("signal quality index of the device, which this cohort does not have" in one for one in found.warnings)


def test_a_recalibration_is_reported_next_to_the_risk_and_belongs_to_its_model(model, elsewhere, predicted, tmp_path):
    one = Recalibration(
        method="by-slope", intercept=-1.0, slope=0.5, n_patients=90, n_events=30, model_sha256=model.fingerprint
    )
    (tmp_path / "recalibration.json").write_text(one.model_dump_json())
    loaded = load_recalibration(tmp_path / "recalibration.json", model)
    found = predict(model, cohort_file=elsewhere / "cohort.yaml", recalibration=loaded)
    plain = by_id(predicted)
    for patient in found.patients:
        assert patient.risk == plain[patient.patient_id].risk
        assert patient.risk_recalibrated == pytest.approx(one.apply(np.array([patient.risk]))[0])
    assert "-1.0000 + 0.5000" in found.recalibration
    (tmp_path / "other.json").write_text(one.model_copy(update={"model_sha256": "0" * 64}).model_dump_json())
    with pytest.raises(ConfigError, match="is of another model"):
        load_recalibration(tmp_path / "other.json", model)
    with pytest.raises(ConfigError, match="is no recalibration"):
        load_recalibration(tmp_path / "absent.json", model)


def test_with_privacy_patients_go_by_pseudonyms_and_in_their_order(model, elsewhere, predicted, tmp_path):
    (tmp_path / "key.txt").write_text("0123456789abcdef" * 4)
    (tmp_path / "key.txt").chmod(0o600)
    description = yaml.safe_load((elsewhere / "cohort.yaml").read_text())
    description |= {"privacy": {"pseudonyms": {"key_file": "key.txt"}}, "root": str(elsewhere)}
    (tmp_path / "cohort.yaml").write_text(yaml.safe_dump(description))
    found = predict(model, cohort_file=tmp_path / "cohort.yaml")
    names = [one.patient_id for one in found.patients]
    assert all(len(name) == 17 for name in names)
    assert names == sorted(names)
    assert sorted(one.risk for one in found.patients) == pytest.approx(sorted(one.risk for one in predicted.patients))


def test_the_table_has_a_row_a_patient_and_reports_by_which_model(model, predicted):
    table = predicted.table()
    assert list(table["patient_id"]) == [one.patient_id for one in predicted.patients]
    assert (table["model_sha256"] == model.fingerprint).all()
    assert "risk_recalibrated" not in table
