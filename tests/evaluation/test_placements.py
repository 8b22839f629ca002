"""Placements: what each patient contributes to the AUROC, and the AUROC without the patient."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppgssl.core.errors import EvaluationError
from ppgssl.evaluation.placements import count_below, place
from ppgssl.evaluation.ranked_pairs import stratified_auroc
from tests.support.aligned_scores import make_aligned

cases = st.tuples(
    st.integers(0, 10_000), st.integers(8, 30), st.integers(1, 3), st.integers(1, 3), st.sampled_from([3, 10, None])
)


def auroc_of(aligned, weights):
    return stratified_auroc(
        aligned.y_true, aligned.y_score[0], repeat=aligned.repeat, fold=aligned.fold, weights=weights[aligned.patient]
    )


def test_rows_below_counted_by_hand():
    # Model 0: event 3, event 2, other 2, other 1. Model 1: an event alone.
    y, score = np.array([True, True, False, False, True]), np.array([3.0, 2.0, 2.0, 1.0, 9.0])
    below = count_below(y, score, np.array([0, 0, 0, 0, 1]))
    assert below.others.tolist() == [2.0, 1.5, 1.5, 0.5, 0.0]
    assert below.events.tolist() == [1.5, 0.5, 0.5, 0.0, 0.5]
    assert below.n_events.tolist() == [2, 2, 2, 2, 1]
    assert below.n_others.tolist() == [2, 2, 2, 2, 0]


@settings(deadline=None, max_examples=50)
@given(cases)
def test_the_pairs_won_add_up_to_the_auroc(case):
    aligned = make_aligned(*case)
    assert place(aligned).auroc[0] == pytest.approx(auroc_of(aligned, np.ones(aligned.n_patients)), abs=1e-12)


@settings(deadline=None, max_examples=25)
@given(cases)
def test_the_jackknife_is_the_auroc_without_each_patient(case):
    aligned = make_aligned(*case)
    jackknife = place(aligned).jackknife()[0]
    for left_out in range(aligned.n_patients):
        weights = np.ones(aligned.n_patients)
        weights[left_out] = 0
        try:
            expected = auroc_of(aligned, weights)
        except EvaluationError:
            assert np.isnan(jackknife[left_out])
        else:
            assert jackknife[left_out] == pytest.approx(expected, abs=1e-12)


@settings(deadline=None, max_examples=25)
@given(cases)
def test_the_influence_of_a_patient_is_the_slope_of_the_auroc_over_the_patients_weight(case):
    aligned = make_aligned(*case)
    influence = place(aligned).influence()[0]
    assert influence.sum() == pytest.approx(0, abs=1e-12)
    step = 1e-6
    for patient in (0, aligned.n_patients - 1):
        more, fewer = np.ones(aligned.n_patients), np.ones(aligned.n_patients)
        more[patient] += step
        fewer[patient] -= step
        slope = (auroc_of(aligned, more) - auroc_of(aligned, fewer)) / (2 * step)
        assert influence[patient] == pytest.approx(slope, abs=1e-8)


def test_a_patient_whom_one_repeat_does_not_test_changes_the_others_only():
    aligned = make_aligned(3, 20, 1, 2, None)
    kept = ~((aligned.repeat == 1) & (aligned.patient == 0))
    columns = ("y_true", "repeat", "fold", "patient")
    less = aligned.__class__(
        aligned.arms,
        aligned.y_score[:, kept],
        *(getattr(aligned, name)[kept] for name in columns),
        aligned.patient_ids,
    )
    weights = np.ones(20)
    weights[0] = 0
    assert place(less).jackknife()[0, 0] == pytest.approx(auroc_of(less, weights), abs=1e-12)
