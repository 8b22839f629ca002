"""Transformed values: the formula, what it may be asked for, and how it is written."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ppgssl.core.config.transforms import Log10Transform

# Zhou et al., Pediatric Research 2019, doi 10.1038/s41390-019-0525-2, and the covariate of Mwaniki et al. 2023.
VIRTUAL_SHUNT = Log10Transform(name="log10", offset=103.711, factor=-1, slope=68.864, intercept=-52.110)
PUBLISHED = Log10Transform(name="log10", offset=103.711, factor=-1, slope=4.314, intercept=-37.315)
PLAIN = Log10Transform(name="log10")
sizes = st.floats(0.01, 100)
signs = st.sampled_from([-1.0, 1.0])


def test_a_plain_logarithm_is_that_of_the_value():
    assert [PLAIN(value) for value in (0.01, 1, 1000)] == [-2, 0, 3]


def test_the_virtual_shunt_of_a_healthy_child_is_about_nothing_and_grows_as_saturation_falls():
    assert VIRTUAL_SHUNT(98) == pytest.approx(0.0, abs=0.1)
    shunts = [VIRTUAL_SHUNT(spo2) for spo2 in range(100, 49, -1)]
    assert np.all(np.diff(shunts) > 0)
    # A point of saturation means more where it is high, as the oxygen dissociation curve has it.
    assert np.all(np.diff(shunts, 2) < 0)


def test_two_formulas_of_one_curve_are_the_same_column_once_standardised():
    spo2 = np.arange(70, 101)
    columns = [np.array([one(value) for value in spo2]) for one in (VIRTUAL_SHUNT, PUBLISHED)]
    first, second = ((column - column.mean()) / column.std() for column in columns)
    np.testing.assert_allclose(first, second, atol=1e-12)


@given(
    written=st.tuples(st.floats(0.001, 1000), st.floats(0.001, 1000)).filter(lambda ends: ends[0] < ends[1]),
    factor=st.builds(lambda sign, size: sign * size, signs, sizes),
    slope=st.builds(lambda sign, size: sign * size, signs, sizes),
    intercept=st.floats(-100, 100),
    above=sizes,
    at=st.lists(st.floats(0, 1), min_size=2, max_size=9),
)
def test_values_within_the_range_are_transformed_in_order_and_stay_within_the_new_one(
    written, factor, slope, intercept, above, at
):
    offset = above - min(factor * end for end in written)
    transform = Log10Transform(name="log10", offset=offset, factor=factor, slope=slope, intercept=intercept)
    low, high = transform.range_of(written)
    values = np.clip(np.sort(written[0] + np.array(at) * (written[1] - written[0])), *written)
    found = [transform(float(value)) for value in values]
    np.testing.assert_allclose(found, intercept + slope * np.log10(offset + factor * values), rtol=1e-12, atol=1e-9)
    assert all(low <= value <= high for value in found)
    rises = factor * slope > 0
    assert found == sorted(found, reverse=not rises)


@pytest.mark.parametrize(
    ("transform", "written"),
    [
        (PLAIN, (0.0, 10.0)),
        (PLAIN, (-1.0, 10.0)),
        (PUBLISHED, (50.0, 103.711)),
        (PUBLISHED, (50.0, 110.0)),
        (PLAIN, (1.0, math.inf)),
    ],
)
def test_a_range_without_a_logarithm_at_an_end_is_refused(transform, written):
    with pytest.raises(ValueError, match=r"takes the logarithm of .* an end of the `range`, and there is none"):
        transform.range_of(written)


def test_a_range_that_becomes_infinite_is_refused():
    with pytest.raises(ValueError, match="too large"):
        Log10Transform(name="log10", slope=1e308).range_of((1e-300, 1e300))


@pytest.mark.parametrize("change", [{"factor": 0}, {"slope": 0}, {"offset": math.inf}, {"slope": math.nan}])
def test_a_formula_that_distinguishes_nobody_is_refused(change):
    with pytest.raises(ValidationError):
        Log10Transform.model_validate({"name": "log10", **change})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "log10(CRP)"),
        ({"unit": "mg/L"}, "log10(CRP in mg/L)"),
        ({"offset": 1}, "log10(1 + CRP)"),
        ({"factor": -1, "offset": 0.5}, "log10(0.5 - CRP)"),
        ({"factor": -1}, "log10(-CRP)"),
        ({"factor": 2.5, "slope": -1}, "-log10(2.5 CRP)"),
        ({"factor": -2, "offset": 9, "slope": 3, "intercept": 1}, "3 log10(9 - 2 CRP) + 1"),
    ],
)
def test_the_formula_is_written_with_the_label_in_it_and_only_once(change, words):
    transform = Log10Transform.model_validate({"name": "log10", **change})
    assert transform.words("CRP") == words
    assert transform.words(words) == words


def test_the_published_formula_is_written_as_it_was_published():
    assert PUBLISHED.words("SpO2") == "4.314 log10(103.711 - SpO2) - 37.315"
    assert VIRTUAL_SHUNT.words("SpO2") == "68.864 log10(103.711 - SpO2) - 52.11"


def test_formulas_are_the_same_whatever_the_unit():
    assert PUBLISHED.is_as(PUBLISHED.model_copy(update={"unit": "%"}))
    assert not PUBLISHED.is_as(VIRTUAL_SHUNT)
