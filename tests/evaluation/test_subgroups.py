import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from ppgssl.core.config.cohort import ClinicalTable, Variable
from ppgssl.core.config.study import SubgroupOptions
from ppgssl.core.errors import EvaluationError
from ppgssl.evaluation.ranked_pairs import stratified_auroc
from ppgssl.evaluation.resampling import draw_counts, two_sided_p
from ppgssl.evaluation.subgroups import MIN_COUNT, subgroups, suppressed, wald_p
from tests.support.risk_tables import prediction_rows

TABLE = ClinicalTable(
    file="t.csv",
    patient_column="id",
    variables={
        "age": Variable(kind="numeric", label="Age", unit="months"),
        "sex": Variable(kind="binary", label="Sex", levels={"f": "girl", "m": "boy"}),
        "site": Variable(kind="categorical", label="Site", levels={"a": "A", "b": "B", "c": "C", "d": "D"}),
        "born": Variable(kind="date"),
    },
)
ARMS = ("covariates", "ssl-all")


def make_cohort(rng, *, n=240, n_folds=1, n_repeats=1, proportions=(0.4, 0.4, 0.2)):
    """Patients, and predictions of two arms that know something."""
    index = [f"p{number:04d}" for number in range(n)]
    patients = pd.DataFrame(
        {
            "age": rng.uniform(0, 60, n),
            "sex": rng.integers(0, 2, n).astype(float),
            "site": rng.choice(["A", "B", "C"], n, p=proportions),
        },
        index=index,
    )
    y = (rng.random(n) < 0.3).astype(int)
    frames = []
    for repeat, arm in itertools.product(range(n_repeats), ARMS):
        fold = np.random.default_rng(repeat).permutation(np.arange(n) % n_folds)
        frames.append(prediction_rows(arm, y, norm.cdf(rng.normal(size=n) + y), repeat=repeat, fold=fold, ids=index))
    return patients, pd.concat(frames, ignore_index=True)


def assess(patients, predictions, *options, n_resamples=200, arms=ARMS):
    return subgroups(predictions, arms, patients, TABLE, options, n_resamples=n_resamples, seed=3)


@pytest.mark.parametrize(("n_folds", "n_repeats"), [(1, 1), (4, 3)])
def test_levels_have_the_counts_and_aurocs_of_their_patients_within_repeat_and_fold(n_folds, n_repeats):
    patients, predictions = make_cohort(np.random.default_rng(1), n_folds=n_folds, n_repeats=n_repeats)
    (found,) = assess(patients, predictions, SubgroupOptions(variable="site"))
    assert (found.variable, found.label) == ("site", "Site")
    assert [level.level for level in found.levels] == ["A", "B", "C"]  # nobody is at D
    for level in found.levels:
        ids = patients.index[patients["site"] == level.level]
        for arm in ARMS:
            rows = predictions[(predictions["arm"] == arm) & predictions["patient_id"].isin(ids)]
            assert (level.n, level.n_events) == (len(ids), rows["y_true"].sum() / n_repeats)
            expected = stratified_auroc(rows["y_true"], rows["y_score"], repeat=rows["repeat"], fold=rows["fold"])
            assert level.auroc[arm].estimate == pytest.approx(expected, abs=1e-12)
            assert level.auroc[arm].ci_low < expected < level.auroc[arm].ci_high


def test_intervals_and_the_test_of_two_levels_come_from_the_draws_that_are_common_to_all():
    patients, predictions = make_cohort(np.random.default_rng(3))
    (found,) = assess(patients, predictions, SubgroupOptions(variable="sex"))
    rows = predictions[predictions["arm"] == "covariates"].sort_values("patient_id")
    y, score, sex = rows["y_true"].to_numpy(), rows["y_score"].to_numpy(), patients["sex"].to_numpy()
    counts = draw_counts(len(y), 200, np.random.default_rng(3))
    rows = [sex == one for one in (0, 1)]
    draws = np.array([[roc_auc_score(y[i], score[i], sample_weight=column[i]) for column in counts.T] for i in rows])
    for level, of_level in zip(found.levels, draws, strict=True):
        interval = level.auroc["covariates"]
        assert [interval.ci_low, interval.ci_high] == pytest.approx(np.quantile(of_level, [0.025, 0.975]), abs=1e-9)
    assert found.interaction_p["covariates"] == pytest.approx(two_sided_p(draws[1] - draws[0]))


def test_a_number_is_cut_where_asked_and_else_at_its_median():
    patients, predictions = make_cohort(np.random.default_rng(4))
    cut, halved = (
        assess(patients, predictions, SubgroupOptions(variable="age", cuts=cuts))[0] for cuts in ([24, 12], [])
    )
    assert [level.level for level in cut.levels] == ["below 12 months", "12 to below 24 months", "24 months or more"]
    assert [level.n for level in cut.levels] == np.histogram(patients["age"], [0, 12, 24, 60])[0].tolist()
    assert [level.n for level in halved.levels] == [120, 120]


def test_a_value_on_the_cut_belongs_above_and_missing_values_nowhere():
    patients, predictions = make_cohort(np.random.default_rng(5))
    patients["age"] = np.where(np.arange(240) < 100, 12.0, 11.9)
    patients.iloc[-20:, 0] = np.nan
    patients.iloc[:30, 1:] = None
    cuts = {"age": [12], "sex": [], "site": []}
    options = [SubgroupOptions(variable=name, cuts=of_one) for name, of_one in cuts.items()]
    age, sex, site = assess(patients, predictions, *options)
    assert [level.n for level in age.levels] == [120, 100]
    assert sum(level.n for level in sex.levels) == sum(level.n for level in site.levels) == 210


@pytest.mark.parametrize(
    ("n_events", "n_others", "expected"),
    [
        ([20, 30], [50, 60], [False, False]),
        ([4, 30], [50, 60], [True, True]),  # or the totals would disclose it
        ([30, 60], [4, 50], [True, True]),  # too few without the event
        ([4, 30, 9], [50, 60, 20], [True, False, True]),  # the smaller of the two others goes with it
        ([1, 2, 30, 40], [9, 9, 50, 60], [True, True, True, False]),  # together still 3 events
        ([2, 3, 30, 40], [9, 9, 50, 60], [True, True, False, False]),  # together 5
        ([0, 30, 40], [50, 60, 70], [True, True, False]),
        ([3], [3], [True]),
        ([], [], []),
    ],
)
def test_who_is_hidden(n_events, n_others, expected):
    assert suppressed(n_events, n_others) == expected


@given(st.lists(st.tuples(st.integers(0, 15), st.integers(0, 15)), min_size=1, max_size=6))
def test_no_small_count_can_be_read_or_subtracted(levels):
    n_events, n_others = (list(part) for part in zip(*levels, strict=True))
    hidden = suppressed(n_events, n_others)
    for events, others, is_hidden in zip(n_events, n_others, hidden, strict=True):
        assert is_hidden or min(events, others) >= MIN_COUNT
    if any(hidden) and not all(hidden):
        assert sum(hidden) >= 2
        for counts in (n_events, n_others):
            assert sum(counts) - sum(n for n, is_hidden in zip(counts, hidden, strict=True) if not is_hidden) >= 5


def test_hidden_levels_show_nothing_and_are_in_no_test():
    patients, predictions = make_cohort(np.random.default_rng(7))
    y = predictions.groupby("patient_id")["y_true"].first()
    rare = y.index[y == 1][:3].append(y.index[y == 0][:30])
    patients.loc[:, "site"] = np.where(np.arange(240) % 2, "A", "B")
    patients.loc[rare, "site"] = "C"
    patients.loc[y.index[-30:], "site"] = "D"
    (found,) = assess(patients, predictions, SubgroupOptions(variable="site"))
    hidden = {level.level: level for level in found.levels if level.is_suppressed}
    assert set(hidden) == {"C", "D"}
    assert all((level.n, level.n_events, level.auroc) == (None, None, {}) for level in hidden.values())
    without = patients.assign(site=patients["site"].where(patients["site"].isin(["A", "B"])))
    (of_two,) = assess(without, predictions, SubgroupOptions(variable="site"))
    assert found.interaction_p == of_two.interaction_p


def test_a_variable_with_nothing_to_show_gives_no_p_value():
    patients, predictions = make_cohort(np.random.default_rng(8))
    patients["sex"] = [1.0] * 3 + [0.0] * 237
    (found,) = assess(patients, predictions, SubgroupOptions(variable="sex"))
    assert all(level.is_suppressed for level in found.levels)
    assert found.interaction_p == {"covariates": None, "ssl-all": None}
    (same,) = assess(patients.assign(sex=0.0), predictions, SubgroupOptions(variable="sex"))
    assert [level.n for level in same.levels] == [240]
    assert same.interaction_p == {"covariates": None, "ssl-all": None}


@settings(max_examples=10)
@given(st.integers(0, 1000))
def test_walds_p_of_one_quantity_is_that_of_its_z_score(seed):
    draws = np.random.default_rng(seed).normal(0.3, 2, (1, 500))
    z = 0.7 / draws.std(ddof=1)
    assert wald_p(np.array([0.7]), draws) == pytest.approx(2 * norm.sf(abs(z)))
    twice = np.concatenate([draws, 2 * draws])
    assert wald_p(np.array([0.7, 1.4]), twice) is None


def p_of_three_sites(seed, signals):
    """p-value of one arm whose AUROC at each site is set by the site's signal."""
    rng = np.random.default_rng(seed)
    patients, predictions = make_cohort(rng, n=300, proportions=(1 / 3, 1 / 3, 1 / 3))
    signal = patients["site"].map(dict(zip("ABC", signals, strict=True))).to_numpy()
    one = predictions[predictions["arm"] == "covariates"].copy()
    one["y_score"] = norm.cdf(rng.normal(size=300) + signal * one["y_true"].to_numpy())
    return assess(patients, one, SubgroupOptions(variable="site"), arms=["covariates"])[0].interaction_p["covariates"]


def test_equal_sites_are_rarely_called_different_and_different_ones_often():
    equal = np.array([p_of_three_sites(seed, (1, 1, 1)) for seed in range(120)])
    assert 0.005 < (equal < 0.05).mean() < 0.12
    assert 0.35 < equal.mean() < 0.65
    different = np.array([p_of_three_sites(seed, (0, 1, 2)) for seed in range(20)])
    assert (different < 0.05).mean() > 0.9


def test_what_has_no_subgroups_is_refused():
    patients, predictions = make_cohort(np.random.default_rng(9))
    age = SubgroupOptions(variable="age")
    for table, options, message in [
        (patients, [SubgroupOptions(variable="sx")], "did you mean 'sex'"),
        (patients, [SubgroupOptions(variable="sex", cuts=[1])], "leave out its `cuts`"),
        (patients.assign(born="2020-01-01"), [SubgroupOptions(variable="born")], "is a date"),
        (patients, [age, SubgroupOptions(variable="age", cuts=[3])], "2 times"),
        (patients.iloc[1:], [age], "no clinical row"),
    ]:
        with pytest.raises(EvaluationError, match=message):
            assess(table, predictions, *options)
