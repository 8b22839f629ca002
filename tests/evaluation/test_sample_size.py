import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.api import GLM, add_constant, families

from ppgssl.core.config.cohort import ClinicalTable, Variable
from ppgssl.core.errors import EvaluationError
from ppgssl.evaluation.sample_size import (
    count_parameters,
    max_r2_cox_snell,
    minimum_sample_size,
    r2_from_auroc,
    sample_size,
)

prevalences = st.floats(0.01, 0.99)


def required(n_parameters, prevalence, r2):
    return [criterion.n_required for criterion in minimum_sample_size(n_parameters, prevalence, r2)]


# Test cases of pmsampsize (1.1.1 and later) and of part II of the paper, where criterion 2 does not depend on their
# rounding of max R2; the last is the example of the BMJ: 5,249 patients, by the first criterion.
@pytest.mark.parametrize(
    ("n_parameters", "prevalence", "r2", "expected"),
    [
        (24, 0.174, 0.288, [623, 662, 221]),
        (24, 0.174, 0.55, [255, 532, 221]),
        (36, 0.174, 0.288, [934, None, 221]),
        (24, 0.25, 0.288, [623, None, 289]),
        (30, 0.05, 0.05, [5249, None, None]),
    ],
)
def test_published_cases_are_reproduced(n_parameters, prevalence, r2, expected):
    found = required(n_parameters, prevalence, r2)
    assert [n if known is not None else None for n, known in zip(found, expected, strict=True)] == expected


# The table of maxima in the BMJ paper, to two digits.
def test_the_highest_r2_is_that_of_the_paper():
    for prevalence, highest in ((0.5, 0.75), (0.4, 0.74), (0.3, 0.71), (0.2, 0.63), (0.1, 0.48), (0.05, 0.33)):
        assert max_r2_cox_snell(prevalence) == pytest.approx(highest, abs=0.005)


def test_r2_from_an_auroc_is_that_of_the_paper_and_of_pmsampsize():
    # The paper's program prints 0.2100957 for this pair: one draw of a million patients, whose spread is 0.0007.
    assert r2_from_auroc(0.81, 0.77) == pytest.approx(0.2101, abs=0.0025)
    # pmsampsize: cstatistic(0.89) prevalence(0.174) parameters(24) gives 615, 660 and 221 patients, by simulation too.
    found = required(24, 0.174, r2_from_auroc(0.89, 0.174))
    assert found == pytest.approx([615, 660, 221], rel=0.01)


def test_r2_from_an_auroc_equals_that_of_a_logistic_model_of_two_normals():
    rng = np.random.default_rng(1)
    n, prevalence, auroc = 400_000, 0.3, 0.75
    y = np.arange(n) < prevalence * n
    x = rng.normal(size=n) + np.sqrt(2) * 0.6744897501960817 * y  # z(0.75)
    fit = GLM(y.astype(float), add_constant(x), family=families.Binomial()).fit()
    assert r2_from_auroc(auroc, prevalence) == pytest.approx(
        1 - np.exp(-(fit.null_deviance - fit.deviance) / n), abs=2e-3
    )


@given(st.integers(1, 100), prevalences, st.floats(0.02, 0.9))
def test_the_shrinkage_expected_of_the_required_patients_is_reached(n_parameters, prevalence, proportion):
    # Van Houwelingen's heuristic: 1 - P / LR, with LR = -n ln(1 - R2 apparent), and R2 = S R2 apparent.
    r2 = proportion * max_r2_cox_snell(prevalence)
    n = required(n_parameters, prevalence, r2)[0]
    apparent = r2 / 0.9
    assert 1 - n_parameters / (-n * np.log1p(-apparent)) >= 0.9 - 1e-9
    assert 1 - n_parameters / (-(n - 1) * np.log1p(-apparent)) <= 0.9 + 1e-9


def test_a_cohort_is_assessed_by_the_strictest_criterion():
    small = sample_size("Clinical covariates", 8, 207, 26)
    assert not small.is_enough
    assert small.n_required == max(criterion.n_required for criterion in small.criteria)
    assert small.n_events_required == pytest.approx(small.n_required * 26 / 207, abs=1)
    assert small.r2_cox_snell == pytest.approx(0.15 * max_r2_cox_snell(26 / 207))
    assert "15%" in small.r2_source
    assert sample_size("Clinical covariates", 8, 10 * small.n_required, 26 * small.n_required // 20).is_enough
    hopeful = sample_size("Clinical covariates", 8, 207, 26, anticipated_auroc=0.86)
    assert hopeful.n_required < small.n_required
    assert "0.86" in hopeful.r2_source


def test_levels_count_as_parameters_and_constant_variables_do_not():
    table = ClinicalTable(
        file="t.csv",
        patient_column="id",
        variables={
            "age": Variable(kind="numeric"),
            "same": Variable(kind="numeric"),
            "fever": Variable(kind="binary"),
            "ward": Variable(kind="categorical", levels={"a": "a", "b": "b", "c": "c", "d": "d"}),
            "empty": Variable(kind="numeric"),
        },
    )
    patients = pd.DataFrame(
        {
            "age": [1.0, 2.0, np.nan, 4.0],
            "same": [1.0] * 4,
            "fever": [0.0, 1.0, 1.0, np.nan],
            "ward": ["a", "b", "c", None],
            "empty": [np.nan] * 4,
        }
    )
    counts = {name: count_parameters(patients, table, [name]) for name in patients}
    assert counts == {"age": 1, "same": 0, "fever": 1, "ward": 2, "empty": 0}
    assert count_parameters(patients, table, list(patients)) == 4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: minimum_sample_size(0, 0.2, 0.1), "at least one"),
        (lambda: minimum_sample_size(5, 0.0, 0.1), "proportion of events"),
        (lambda: minimum_sample_size(5, 0.05, 0.5), "between 0 and 0.328"),
        (lambda: sample_size("Clinical covariates", 4, 100, 0), "with and without the event"),
        (lambda: sample_size("Clinical covariates", 4, 100, 10, anticipated_auroc=0.4), r"above 0\.5 and below 1"),
    ],
)
def test_numbers_outside_their_range_are_refused(call, message):
    with pytest.raises(EvaluationError, match=message):
        call()
