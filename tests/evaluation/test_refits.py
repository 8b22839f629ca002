"""Refits: what fits together, and bootstrap samples that a model can be fitted to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppgssl.core.errors import EvaluationError
from ppgssl.evaluation.refits import Refits, drawable_counts

Y = np.array([1, 0, 0, 1, 0], dtype=bool)
RISK = np.linspace(0.1, 0.9, 5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"risk": RISK[:4]}, "do not fit together"),
        ({"counts": np.ones((3, 5))}, "do not fit together"),
        ({"counts": np.ones((0, 5)), "refit_risk": np.ones((0, 5))}, "at least one refit"),
        ({"risk": RISK + 0.2}, "between 0 and 1"),
        ({"refit_risk": np.full((2, 5), np.nan)}, "between 0 and 1"),
        ({"y": np.ones(5, dtype=bool)}, "all 5 patients have the same outcome"),
    ],
)
def test_what_does_not_fit_together_is_refused(changes, message):
    whole = {"y": Y, "risk": RISK, "counts": np.ones((2, 5)), "refit_risk": np.stack([RISK, RISK])}
    assert Refits(**whole).n_refits == 2
    with pytest.raises(EvaluationError, match=message):
        Refits(**{**whole, **changes})


@settings(deadline=None, max_examples=40)
@given(n_events=st.integers(2, 6), n_others=st.integers(2, 12), n_pairs=st.integers(0, 2), seed=st.integers(0, 99))
def test_every_sample_can_be_fitted_and_keeps_groups_together(n_events, n_others, n_pairs, seed):
    y = np.arange(n_events + n_others) < n_events
    names = [f"p{number}" for number in range(len(y))]
    groups = [names[-1 - number] if number < n_pairs else name for number, name in enumerate(names)]
    counts = drawable_counts(y, 20, groups=groups, seed=seed)
    assert counts.shape == (20, len(y))
    assert (((counts > 0) & y).sum(axis=1) >= 2).all()
    assert (((counts > 0) & ~y).sum(axis=1) >= 2).all()
    for number in range(n_pairs):
        np.testing.assert_array_equal(counts[:, number], counts[:, -1 - number])
    if not n_pairs:
        assert (counts.sum(axis=1) == len(y)).all()


def test_samples_of_many_patients_are_ordinary_bootstrap_samples():
    y = np.arange(60) < 20
    counts = drawable_counts(y, 3000, groups=[str(number) for number in range(60)], seed=1)
    assert counts.mean() == pytest.approx(1.0)
    assert counts.var() == pytest.approx(1 - 1 / 60, rel=0.02)
    assert (counts == 0).mean() == pytest.approx((1 - 1 / 60) ** 60, abs=0.005)


def test_too_few_events_for_any_sample_are_refused():
    with pytest.raises(EvaluationError, match=r"1 of 9 patients have the event.*n_optimism: 0"):
        drawable_counts(np.arange(9) < 1, 5, groups=[str(number) for number in range(9)], seed=0)
