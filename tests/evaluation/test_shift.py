import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from ppgssl.evaluation.shift import (
    difference_of_levels,
    is_beyond,
    proportion_beyond,
    stability_index,
    standardised_difference,
)
from ppgssl.evaluation.table_one import standardized_mean_difference


def test_the_difference_of_means_is_that_of_table_one():
    rng = np.random.default_rng(1)
    old, new = rng.normal(5, 2, 80), rng.normal(6, 3, 40)
    found, _ = standardised_difference(new, old.mean(), old.std(ddof=1), len(old))
    assert found == pytest.approx(standardized_mean_difference(old, new))


@given(st.integers(1, 99), st.integers(1, 99))
def test_of_two_levels_the_difference_is_that_of_proportions(old, new):
    found, _ = difference_of_levels(np.array([100.0 - new, new]), np.array([1 - old / 100, old / 100]), 100)
    p, q = old / 100, new / 100
    assert found == pytest.approx(abs(q - p) / np.sqrt((p * (1 - p) + q * (1 - q)) / 2))


def test_of_three_levels_it_does_not_depend_on_their_order():
    counts, proportions, order = np.array([10.0, 30.0, 60.0]), np.array([0.3, 0.3, 0.4]), [2, 0, 1]
    expected = difference_of_levels(counts, proportions, 90)
    assert difference_of_levels(counts[order], proportions[order], 90) == pytest.approx(expected)


def test_the_index_is_the_sum_of_its_definition():
    counts, proportions = np.array([40.0, 30.0, 30.0]), np.array([0.2, 0.3, 0.5])
    new = [(count + 0.5) / 101.5 for count in counts]
    old = [(proportion * 200 + 0.5) / 201.5 for proportion in proportions]
    expected = sum((q - p) * np.log(q / p) for p, q in zip(old, new, strict=True))
    assert stability_index(counts, proportions, 200)[0] == pytest.approx(expected)


def test_chance_makes_either_measure_exceed_its_bound_in_about_5_of_100_samples():
    rng = np.random.default_rng(2)
    edges = np.array([-0.84, -0.25, 0.25, 0.84])
    n_index = n_difference = n_levels = 0
    for _ in range(2000):
        old, new = rng.normal(size=300), rng.normal(size=120)
        proportions = np.bincount(np.searchsorted(edges, old), minlength=5) / 300
        counts = np.bincount(np.searchsorted(edges, new), minlength=5).astype(float)
        index, by_chance = stability_index(counts, proportions, 300)
        n_index += index > by_chance
        difference, limit = standardised_difference(new, old.mean(), old.std(ddof=1), 300)
        n_difference += abs(difference) > limit
        distance, bound = difference_of_levels(counts, proportions, 300)
        n_levels += distance > bound
    assert np.array([n_index, n_difference, n_levels]) / 2000 == pytest.approx(0.05, abs=0.02)


def test_few_patients_need_a_larger_effect_for_a_warning():
    few, many = np.array([0.6, 1.4, 0.2, 0.5]), np.tile([0.6, 1.4, 0.2, 0.5], 100)
    assert not is_beyond(*standardised_difference(few, 0.3, 0.5, 400), 0.25)
    assert is_beyond(*standardised_difference(many, 0.3, 0.5, 400), 0.25)


def test_a_tiny_effect_of_many_patients_is_no_warning():
    rng = np.random.default_rng(3)
    found = standardised_difference(rng.normal(0.05, 1, 100_000), 0.0, 1.0, 100_000)
    assert found[0] > found[1]
    assert not is_beyond(*found, 0.25)


def test_what_is_not_defined_is_none():
    assert standardised_difference(np.array([1.0]), 0.0, 1.0, 50) == (None, None)
    assert standardised_difference(np.full(5, 2.0), 2.0, 0.0, 50) == (None, None)
    assert stability_index(np.zeros(3), np.full(3, 1 / 3), 50) == (None, None)
    assert difference_of_levels(np.array([4.0]), np.array([1.0]), 50) == (None, None)
    assert not is_beyond(None, None, 0.25)


def test_the_proportion_beyond_a_threshold_is_tested_by_the_binomial():
    distances = np.array([0.5] * 45 + [3.0] * 5)
    proportion, p_value = proportion_beyond(distances, 1.0, 0.01)
    assert proportion == 0.1
    assert p_value == pytest.approx(binom.sf(4, 50, 0.01))
