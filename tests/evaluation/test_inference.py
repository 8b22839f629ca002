import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from ppgssl.core.errors import EvaluationError
from ppgssl.evaluation.inference import holm, pool_estimates, wilson_interval


@given(st.integers(1, 5000), st.data())
def test_the_interval_is_that_of_statsmodels(n, data):
    count = data.draw(st.integers(0, n))
    expected = proportion_confint(count, n, method="wilson")
    assert wilson_interval(count, n) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("count", "n", "low", "high"),
    # Newcombe, Statistics in Medicine 17, 1998, 10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E,
    # table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_is_that_of_newcombes_table(count, n, low, high):
    assert wilson_interval(count, n) == pytest.approx((low, high), abs=5e-5)


p_values = st.lists(st.floats(0, 1), max_size=20)


@settings(max_examples=5)  # statsmodels takes most of a second for each
@given(p_values.filter(len))
def test_it_equals_statsmodels(values):
    assert holm(values) == pytest.approx(multipletests(values, method="holm")[1].tolist(), abs=1e-15)


@given(p_values)
def test_what_was_not_possible_does_not_count(values):
    with_gaps = [None, *(x for value in values for x in (value, None))]
    adjusted = holm(with_gaps)
    assert adjusted[1::2] == holm(values)
    assert set(adjusted[::2]) == {None}
    assert (holm([]), holm([None])) == ([], [None])


def test_the_example_of_the_sas_manual_is_reproduced():
    # SAS/STAT User's Guide, MIANALYZE, example "Reading means and standard errors": mean oxygen uptake of 31 men in
    # five imputed tables, complete-data degrees of freedom 30. The manual prints: between 0.041478, within 0.930853,
    # total 0.980626, df 26.298; estimate 47.180993, standard error 0.990266, 95 % limits 45.1466 and 49.2154.
    means = np.array([[47.0120, 47.2407, 47.4995, 47.1485, 47.0042]]).T
    errors = np.array([[0.95984, 0.93540, 1.00766, 0.95439, 0.96528]]).T
    pooled = pool_estimates(means, errors**2, complete_df=30)
    assert pooled.estimate[0] == pytest.approx(47.180993, abs=5e-5)
    assert pooled.standard_error[0] == pytest.approx(0.990266, abs=1e-5)
    assert pooled.df[0] == pytest.approx(26.298, abs=2e-3)
    low, high = pooled.interval()
    assert [low[0], high[0]] == pytest.approx([45.1466, 49.2154], abs=2e-4)


def test_tables_that_agree_give_the_interval_of_one():
    pooled = pool_estimates(np.full((4, 2), 0.7), np.full((4, 2), 0.09), complete_df=500)
    assert pooled.standard_error == pytest.approx(0.3)
    low, high = pooled.interval()
    assert low == pytest.approx(0.7 - 1.96 * 0.3, abs=2e-3)
    assert high == pytest.approx(0.7 + 1.96 * 0.3, abs=2e-3)
    assert pooled.p_values() == pytest.approx(0.0196, abs=5e-4)
    with pytest.raises(EvaluationError, match="at least two"):
        pool_estimates(np.ones((1, 1)), np.ones((1, 1)), complete_df=10)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=20), st.floats(0.01, 4), st.floats(5, 1000), st.floats(-3, 3))
def test_pooling_is_never_surer_than_the_tables_and_moves_with_them(estimates, variance, complete_df, shift):
    values = np.array(estimates)[:, None]
    pooled = pool_estimates(values, np.full_like(values, variance), complete_df=complete_df)
    assert pooled.standard_error[0] ** 2 >= variance - 1e-12
    assert 0 < pooled.df[0] <= complete_df
    moved = pool_estimates(values + shift, np.full_like(values, variance), complete_df=complete_df)
    assert moved.estimate[0] == pytest.approx(pooled.estimate[0] + shift, abs=1e-9)
    assert moved.standard_error[0] == pytest.approx(pooled.standard_error[0], rel=1e-6)
