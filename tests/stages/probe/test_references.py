from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from ppgssl.core.errors import ConfigError
from ppgssl.features.pulse_wave import PulseWave
from ppgssl.report.text.terminal import probe_lines
from ppgssl.stages.probe.probe import finished_probe, make_plan, probe
from ppgssl.stages.probe.references import nearest_interval, read_references, reference_targets
from tests.support.small_cohorts import N_SEGMENTS, make_ward, study_of

PROBE = {"min_patients": 5, "n_folds": 2, "baselines": ["untrained", "pulse-wave"], "references": "references.csv"}
SMALL = {"pretraining": {"n_steps": 2, "batch_size": 8, "encoder": {"width": 8, "n_stages": 1}}}


def referenced(folder, *, rate=lambda number, start: 60 + number + start):
    """The ward of ten patients with a rate for every segment and, of patients 1 to 8, two kinds of segments."""
    make_ward(folder, 10)
    rows = ["recording_id,start_s,end_s,rate,kind"]
    for number in range(1, 11):
        for start in (0, 2, 4, 6, 8):
            kind = "" if number > 8 else int(start > 3)
            rows.append(f"p{number}_1,{start},{start + 4},{rate(number, start)},{kind}")
    (folder / "references.csv").write_text("\n".join([*rows, "p1_1,90,94,61,", "lost_1,0,4,61,"]) + "\n")


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ward")
    referenced(folder)
    data = study_of(folder, probe=PROBE, **SMALL)
    plan = make_plan(data)
    return data, plan, folder / "out", probe(plan, data, folder / "out", n_jobs=1)


def test_an_interval_belongs_to_the_segments_it_covers_half_of_or_more():
    start = np.array([0.0, 2.0, 4.0, 6.0])
    assert nearest_interval(start, 4.0, np.array([1.0]), np.array([6.0])).tolist() == [0, 0, 0, -1]


def test_of_several_intervals_the_nearest_centre_decides_and_the_first_of_equals():
    from_s, to_s = np.array([0.0, 2.0, 4.0]), np.array([8.0, 10.0, 12.0])
    assert nearest_interval(np.array([0.0, 1.0, 4.0]), 10.0, from_s, to_s).tolist() == [0, 1, 2]
    assert nearest_interval(np.array([0.0, 9.0]), 10.0, np.array([4.0, 1.0]), np.array([12.0, 9.0])).tolist() == [1, -1]
    assert nearest_interval(np.array([0.0]), 10.0, np.zeros(0), np.zeros(0)).tolist() == [-1]


def test_values_stand_by_segment_and_intervals_of_none_are_counted(ward):
    data, plan, _, _ = ward
    rate, kind = reference_targets(data)["ward"]
    table = data.segments.table
    assert len(rate.truth) == len(table) == 10 * N_SEGMENTS
    start_s = data.segments.decisions.query("accepted")["start_s"].to_numpy()
    number = table["patient"].str.removeprefix("ward/p").astype(int).to_numpy()
    np.testing.assert_array_equal(rate.truth, 60 + number + start_s)
    assert rate.truth.index.tolist() == table["patient"].tolist()
    assert rate.n_unmatched == 2
    assert (kind.is_class, rate.is_class) == (True, False)
    assert kind.truth.index.nunique() == 8
    assert all(map(plan.is_measurable, (rate, kind)))


def test_statistics_are_those_of_segments_of_patients_left_out(ward):
    _, plan, out, results = ward
    rows = pd.concat([pd.read_parquet(file) for file in (out / "probe" / "folds").rglob("*.parquet")])
    rows = rows[(rows["representation"] == "pulse-wave")]
    values = {
        (one.quantity, one.statistic): one.value.estimate
        for one in results.measures
        if one.representation == "pulse-wave"
    }
    kind = rows[rows["quantity"] == "reference_kind"]
    truth = {target.name: target for target in plan.targets["ward"]}["reference_kind"]
    y = pd.Series(truth.truth.to_numpy(), index=truth.segment)
    pairs = [(one, len(y.loc[one["segment"]])) for _, one in kind.groupby("fold")]
    within = [roc_auc_score(y.loc[one["segment"]], one["value"]) for one, _ in pairs]
    assert min(within) <= values["reference_kind", "auroc"] <= max(within)
    rate = rows[rows["quantity"] == "reference_rate"].pivot_table(index="patient", columns="statistic", values="value")
    mean_square = rate["squared"].mean()
    of_rate = {target.name: target for target in plan.targets["ward"]}["reference_rate"].truth
    assert values["reference_rate", "r2"] == pytest.approx(1 - mean_square / of_rate.var(ddof=0))
    assert values["reference_rate", "r2_within"] == pytest.approx(1 - rate["within"].mean() / 8)  # 0, 2, 4, 6, 8 s
    quantity = next(one for one in results.quantities if one.name == "reference_kind")
    assert (quantity.n_patients, quantity.n_unknown, quantity.n_segments) == (8, 2, 8 * N_SEGMENTS)
    assert quantity.chance == {"auroc": 0.5}


def test_the_references_of_test_patients_do_not_reach_the_probes(ward, tmp_path):
    """With the values of the tested patients moved by 1,000, errors move by 1,000: predictions stay."""
    _, plan, out, results = ward
    fold = plan.folds[0]
    own = {name.removeprefix("ward/") for name in fold.test}
    referenced(tmp_path, rate=lambda number, start: 60 + number + start + 1000 * (f"p{number}" in own))
    moved = study_of(tmp_path, probe=PROBE, **SMALL)
    changed = probe(make_plan(moved), moved, tmp_path / "out", n_jobs=1)
    assert changed.made_of != results.made_of

    def errors(folder):
        file = next((folder / "probe" / "folds").rglob(f"pulse-wave-{fold.name}.parquet"))
        rows = pd.read_parquet(file).query("quantity == 'reference_rate'")
        return rows.pivot_table(index="patient", columns="statistic", values="value")

    before, after = errors(out), errors(tmp_path / "out")
    np.testing.assert_allclose(before["within"], after["within"], rtol=1e-6)
    np.testing.assert_allclose(after["absolute"], 1000, atol=before["absolute"].max() + 1)


def test_the_terminal_names_segments_and_a_changed_table_makes_a_probe_outdated(ward):
    data, _, out, results = ward
    lines = list(probe_lines(results))
    assert any("rate, R2 (10 patients, 50 segments, 2 intervals of no accepted segment" in line for line in lines)
    assert finished_probe(data, out) == results
    file = data.folder / "references.csv"
    before = file.read_text()
    file.write_text(before.replace("p1_1,0,4,61,0", "p1_1,0,4,62,0"))
    assert finished_probe(data, out) is None
    file.write_text("broken")
    assert finished_probe(data, out) is None
    file.write_text(before)


def test_a_quantity_is_learnt_from_features_that_hold_it(tmp_path):
    """The rate that hand-crafted features themselves measured, given back as a reference, is read almost whole."""
    make_ward(tmp_path, 12)
    (tmp_path / "references.csv").write_text("recording_id,start_s,end_s,x\np1_1,0,4,1\n")
    data = study_of(tmp_path, probe=PROBE, **SMALL)
    bank = data.segments
    segments = np.stack([bank.samples[:, start : start + bank.length] for start in bank.start])
    rate = PulseWave(50)(segments)[:, 0]
    decisions = data.segments.decisions.query("accepted")
    table = decisions[["recording_id", "start_s"]].assign(end_s=decisions["start_s"] + 4, x=rate)
    table.to_csv(tmp_path / "references.csv", index=False)
    results = probe(make_plan(data), data, tmp_path / "out", n_jobs=1)
    measures = {(one.representation, one.quantity, one.statistic): one for one in results.measures}
    assert measures["pulse-wave", "reference_x", "r2"].value.estimate > 0.9


HEAD = "recording_id,start_s,end_s,rate\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("recording,start_s,end_s,rate\np1,0,4,60\n", "no column 'recording_id' .did you mean 'recording'"),
        ("recording_id,start_s,end_s\np1_1,0,4\n", "no column of values"),
        (HEAD + "p1_1,0,4,60\np2_1,0,4,fast\n", "row 3, column 'rate': expected a number, or an empty cell"),
        (HEAD + "p1_1,,4,60\n", "row 2, column 'start_s': expected a number$"),
        (HEAD + "p1_1,4,4,60\n", "row 2: 'end_s' must be after 'start_s'"),
        (HEAD + "p1_1,0,4,60,61\n", "row 2: expected 4 cells"),
        ("recording_id,start_s,end_s,rate,rate\np1_1,0,4,60,61\n", "two columns are named 'rate'"),
        ("cohort,recording_id,start_s,end_s,rate\nwad,p1_1,0,4,60\n", "column 'cohort': 'wad' is no cohort.*'ward'"),
        (HEAD + "p1_1,0,4,x\n" * 30, "and 20 more"),
    ],
)
def test_what_is_wrong_is_named_by_row_and_column(tmp_path, text, message):
    file = tmp_path / "references.csv"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_references(file, ["ward"])


def test_of_several_cohorts_the_table_must_name_one(tmp_path):
    file = tmp_path / "references.csv"
    file.write_text(HEAD + "p1_1,0,4,60\n")
    assert read_references(file, ["ward"])["cohort"].tolist() == ["ward"]
    with pytest.raises(ConfigError, match="no column 'cohort'"):
        read_references(file, ["ward", "clinic"])


def test_a_table_that_is_absent_or_of_other_recordings_is_refused(tmp_path):
    make_ward(tmp_path, 6)
    data = study_of(tmp_path, probe=PROBE)
    with pytest.raises(ConfigError, match=r"`probe\.references`: .*references\.csv"):
        reference_targets(data)
    (tmp_path / "references.csv").write_text(HEAD + "p1,0,4,60\n")
    with pytest.raises(ConfigError, match="holds no recording of the study: it names p1, and the study has p1_1"):
        reference_targets(data)
