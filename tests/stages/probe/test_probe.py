from __future__ import annotations

import json
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from ppgssl.cli.commands import app
from sklearn.metrics import r2_score, roc_auc_score
from typer.testing import CliRunner

from ppgssl.core.errors import ConfigError
from ppgssl.core.results.probe import ProbeResults
from ppgssl.selfsupervised.study_encoders import patients_seen
from ppgssl.stages.evaluate.evaluate import evaluate
from ppgssl.stages.probe.measuring import measure
from ppgssl.stages.probe.probe import finished_probe, make_plan, pretrain_probes, probe
from ppgssl.stages.probe.representations import probe_job
from ppgssl.store.leakage import hashed_patient

PROBE = {"objectives": ["autoencoder"], "baselines": ["untrained", "pulse-wave"], "min_patients": 20, "n_folds": 2}
# What is evaluated alongside the probe: an arm, once.
NO_REFITS = {"arms": ["covariates"], "validation__n_optimism": 0, "learning_curve__n_draws": 0}


@pytest.fixture(scope="module")
def probed(tiny_study, tmp_path_factory):
    """A whole probe: data, plan, folder, results."""
    out = tmp_path_factory.mktemp("probed")
    data = tiny_study.data(**NO_REFITS, probe=PROBE)
    plan = make_plan(data)
    return data, plan, out, probe(plan, data, out, n_jobs=1)


def rows_of(out):
    return pd.concat([pd.read_parquet(file) for file in (out / "probe" / "folds").rglob("*.parquet")])


def value_of(results, **keys):
    return next(one for one in results.measures if all(getattr(one, name) == wanted for name, wanted in keys.items()))


def test_every_part_of_every_representation_is_measured_alike(probed):
    _, _, _, results = probed
    parts = {(one.name, part) for one in results.representations for part in one.parts}
    assert {one.name for one in results.representations} == {"autoencoder", "untrained", "pulse-wave"}
    measured = {(one.cohort, one.quantity, one.statistic) for one in results.measures}
    assert len(results.measures) == len(parts) * len(measured)
    statistics = {(quantity, statistic) for _, quantity, statistic in measured}
    assert {("heart_rate", "r2"), ("heart_rate", "mae"), ("retrieval", "top1"), ("outcome", "auroc")} <= statistics


def test_small_cohorts_are_not_probed_and_unknown_vital_signs_not_measured(probed):
    _, plan, _, results = probed
    assert list(plan.cohorts) == ["labelled"]  # six unlabelled patients are too few
    breathing = next(one for one in results.quantities if one.name == "respiratory_rate")
    assert breathing.is_measured == (breathing.n_patients >= 20)
    assert breathing.n_patients + breathing.n_unknown == len(plan.cohorts["labelled"])


def test_encoders_saw_nobody_whom_they_are_probed_on(probed):
    data, plan, out, _ = probed
    everybody = {hashed_patient(name) for name in data.segments.table["patient"]}
    for fold in plan.folds:
        job, _ = probe_job(plan.representations[0], fold, data, out)
        assert set(patients_seen(job)) == everybody - {hashed_patient(name) for name in fold.test}


def test_hand_crafted_features_encode_the_heart_rate_and_recognise_a_patient_again(probed):
    _, _, _, results = probed
    assert value_of(results, representation="pulse-wave", statistic="r2", quantity="heart_rate").value.estimate > 0.8
    retrieval = value_of(results, representation="pulse-wave", statistic="top1")
    chance = next(one for one in results.quantities if one.name == "retrieval").chance["top1"]
    assert retrieval.value.ci_low > chance


def test_statistics_are_those_of_the_pooled_predictions(probed):
    data, plan, out, results = probed
    rows = rows_of(out).query("representation == 'autoencoder' and part == 'depth-1'")
    heart_rate = rows[rows["quantity"] == "heart_rate"].set_index("patient")["value"]
    truth = next(one.truth for one in plan.targets["labelled"] if one.name == "heart_rate")
    found = value_of(results, representation="autoencoder", part="depth-1", statistic="r2", quantity="heart_rate")
    assert found.value.estimate == pytest.approx(r2_score(truth.loc[heart_rate.index], heart_rate))
    outcome = rows[rows["quantity"] == "outcome"]
    within = [roc_auc_score(data.y.loc[of_fold["patient"]], of_fold["value"]) for _, of_fold in outcome.groupby("fold")]
    auroc = value_of(results, representation="autoencoder", part="depth-1", statistic="auroc").value.estimate
    assert min(within) <= auroc <= max(within)  # folds are pooled pair by pair


def test_ssl_is_compared_with_every_baseline_on_the_same_patients(probed):
    _, _, _, results = probed
    own = {one.name: one.own_part for one in results.representations}
    keys = {"statistic": "r2", "quantity": "heart_rate"}
    ssl = value_of(results, representation="autoencoder", part=own["autoencoder"], **keys)
    assert [one.reference for one in ssl.differences] == ["untrained", "pulse-wave"]
    for difference in ssl.differences:
        reference = value_of(results, representation=difference.reference, part=own[difference.reference], **keys)
        assert difference.estimate == pytest.approx(ssl.value.estimate - reference.value.estimate)
    assert value_of(results, representation="untrained", **keys).differences == []


def test_what_is_written_is_what_was_found(probed):
    _, _, out, results = probed
    assert ProbeResults.model_validate_json((out / "probe" / "probe.json").read_bytes()) == results
    table = pd.read_csv(out / "probe" / "probe.csv")
    assert len(table) == len(results.measures)
    np.testing.assert_allclose(table["estimate"], [one.value.estimate for one in results.measures])
    assert json.loads((out / "probe" / "run.json").read_text())["stage"] == "probe"


def test_a_finished_probe_is_read_and_another_is_not(probed, tiny_study):
    data, plan, out, results = probed
    before = (out / "probe" / "probe.json").stat().st_mtime_ns
    assert probe(plan, data, out, n_jobs=1) == results
    assert (out / "probe" / "probe.json").stat().st_mtime_ns == before
    assert finished_probe(data, out) == results
    assert finished_probe(tiny_study.data(probe=PROBE | {"n_folds": 3}), out) is None
    assert finished_probe(tiny_study.data(probe=PROBE, pretraining__n_steps=4), out) is None


def test_the_report_of_a_study_holds_its_probe(probed, tiny_study):
    data, _, out, results = probed
    assert evaluate(data, out, n_jobs=1).probe == results
    changed = evaluate(tiny_study.data(**NO_REFITS, probe=PROBE | {"n_folds": 3}), out, n_jobs=1)
    assert changed.probe is None
    assert "run it again" in changed.probe_note
    impossible = tiny_study.data(**NO_REFITS, probe=PROBE | {"min_patients": 500})
    assert "run it again" in evaluate(impossible, out, n_jobs=1).probe_note  # no reason not to evaluate
    again = evaluate(data, out, n_jobs=1)
    assert (again.probe, again.probe_note) == (results, "")


def test_without_a_probe_nothing_is_reported_of_it(tiny_study, tmp_path):
    results = evaluate(tiny_study.data(**NO_REFITS), tmp_path, n_jobs=1)
    assert (results.probe, results.probe_note) == (None, "")


def test_an_interrupted_probe_goes_on_and_ends_in_the_same_numbers(probed, tmp_path):
    data, plan, _, results = probed

    def interrupt(done, _total, _text):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        probe(plan, data, tmp_path, n_jobs=1, progress=interrupt)
    kept = {file: file.stat().st_mtime_ns for file in (tmp_path / "probe").rglob("*.parquet")}
    assert len(kept) >= 3
    resumed = probe(plan, data, tmp_path, n_jobs=1)
    assert all(file.stat().st_mtime_ns == before for file, before in kept.items())
    assert resumed.measures == results.measures


def test_what_is_true_of_test_patients_does_not_reach_the_probes(probed, tmp_path, tiny_study):
    _, plan, out, _ = probed
    data = tiny_study.data(arms=["covariates"], probe=PROBE)
    fold, untrained = plan.folds[0], plan.representations[1]
    for name in ("before", "after"):
        (tmp_path / name).mkdir()
    before = measure((untrained, fold), plan, data, out, tmp_path / "before")
    data.y.loc[list(fold.test)[:6]] = 1 - data.y.loc[list(fold.test)[:6]]
    changed = make_plan(data).targets
    for target in changed["labelled"]:
        target.truth.loc[target.truth.index.isin(fold.test)] += 7.0
    other = type(plan)(**{**vars(plan), "targets": changed})
    after = measure((untrained, fold), other, data, out, tmp_path / "after")
    pd.testing.assert_frame_equal(before, after)


def test_an_absent_package_is_named_before_anything_is_trained(tiny_study, tmp_path, monkeypatch):
    data = tiny_study.data(probe=PROBE | {"baselines": ["minirocket"]})
    monkeypatch.setitem(sys.modules, "aeon", None)
    with pytest.raises(ConfigError, match="minirocket"):
        pretrain_probes(make_plan(data), data, tmp_path, n_jobs=1)
    assert not (tmp_path / "probe").exists()


def test_the_command_prints_a_table_and_where_the_rest_is(probed, tiny_study, tmp_path):
    data, _, out, results = probed
    (out / "stores").symlink_to(tiny_study.out / "stores")
    description = data.study.model_dump(mode="json")
    for entry in description["cohorts"]:
        entry["cohort"] = str(tiny_study.file.parent / entry["cohort"])
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(description))
    done = CliRunner().invoke(app, ["probe", str(file), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "Heart rate, R2 (24 patients, device's display)" in done.stdout
    assert "SpO2" in done.stdout
    assert "Hand-crafted pulse features" in done.stdout
    assert str(out / "probe" / "probe.csv") in done.stdout
    done = CliRunner().invoke(app, ["probe", str(file), "--out", str(out), "--json"])
    assert json.loads(done.stdout)["measures"] == [one.model_dump() for one in results.measures]
