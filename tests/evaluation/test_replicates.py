from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppgssl.core.errors import EvaluationError
from ppgssl.evaluation.replicates import resample, resample_means


def test_the_spread_of_resampled_means_is_the_standard_error():
    values = np.random.default_rng(0).normal(size=(1, 400))
    replicates = resample_means(["one"], values, n_resamples=4000, seed=1)
    assert replicates.values.std() == pytest.approx(values.std() / 20, rel=0.05)
    interval = replicates.interval("one")
    assert interval.estimate == pytest.approx(values.mean())
    assert interval.ci_high - interval.ci_low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.06)


@given(seed=st.integers(0, 2**31), shift=st.floats(-5, 5))
@settings(deadline=None, max_examples=20)
def test_a_difference_is_paired_so_that_what_both_share_cancels(seed, shift):
    rng = np.random.default_rng(seed)
    one = rng.normal(size=30)
    replicates = resample_means(["one", "other"], np.stack([one, one - shift]), n_resamples=50, seed=seed)
    difference = replicates.difference("one", "other")
    assert (difference.estimate, difference.ci_low, difference.ci_high) == pytest.approx((shift,) * 3, abs=1e-9)
    assert difference.reference == "other"


def test_a_draw_in_which_the_statistic_is_not_defined_does_not_count():
    def first_patient_drawn(counts):
        return np.where(counts[:1] > 0, 1.0, np.nan)

    replicates = resample(first_patient_drawn, ["x"], 3, n_resamples=200, seed=0)
    assert np.isnan(replicates.values).any()
    assert replicates.interval("x").model_dump() == {"estimate": 1.0, "ci_low": 1.0, "ci_high": 1.0}


def test_blocks_of_draws_are_the_draws_at_once(monkeypatch):
    values = np.random.default_rng(2).normal(size=(2, 12))
    whole = resample_means(["a", "b"], values, n_resamples=30, seed=5)
    monkeypatch.setattr("ppgssl.evaluation.replicates._BLOCK", 84)
    np.testing.assert_array_equal(resample_means(["a", "b"], values, n_resamples=30, seed=5).values, whole.values)


def test_an_unknown_name_and_a_single_patient_are_refused():
    replicates = resample_means(["untrained"], np.ones((1, 3)), n_resamples=5, seed=0)
    with pytest.raises(EvaluationError, match="did you mean 'untrained'"):
        replicates.interval("untraind")
    with pytest.raises(EvaluationError, match="1 patients"):
        resample_means(["x"], np.ones((1, 1)), seed=0)
