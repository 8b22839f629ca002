import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from ppgssl.evaluation.firth import fit_firth, is_separated, penalised_log_likelihood, profile_interval, profile_p

# Endometrial cancer (Heinze & Schemper, Stat Med 2002, 10.1002/sim.1047): neovasculation and histology (1 high), then
# pulsatility index and endometrium height of each patient. Whoever has neovasculation has a high grade.
ENDOMETRIAL = {
    (0, 0): "13 1.64,16 2.26,8 3.14,34 2.68,20 1.28,5 2.31,17 1.80,10 1.68,26 1.56,17 2.31,8 2.01,7 1.89,"
    "20 3.15,10 1.23,18 1.27,16 1.76,18 2.00,28 1.50,11 1.33,19 2.37,10 1.82,10 3.13,18 1.31,14 1.92,"
    "21 1.64,11 2.01,17 1.88,25 1.93,16 2.11,19 1.29,15 1.72,33 0.75,24 1.92,29 2.02,15 2.29,12 2.33,"
    "3 2.90,20 1.70,23 1.41,12 2.25,22 1.54,42 1.97,15 1.75,13 2.16,14 2.57,19 1.37,12 3.61,13 2.04,10 2.17",
    (0, 1): "8 2.64,29 0.88,12 1.27,20 1.37,7 0.97,48 1.84,12 1.11,19 1.61,2 1.18,21 1.19,15 1.06,12 1.69,"
    "6 1.84,5 1.30,17 0.96,5 0.35,33 0.85",
    (1, 1): "38 0.97,22 1.14,7 0.88,25 0.91,15 0.58,22 1.44,40 1.18,5 0.93,0 1.17,49 0.27,11 1.01,21 0.98,19 1.02",
}
# Urinary tract infection (Foxman et al. 1997; data `sex2` of logistf): age, oc, vic, vicl, vis, dia of a group of
# women, the cases in it, and its size. All who used a diaphragm are cases.
SEX2 = [
    "000010 1 2", "001000 14 16", "001010 3 4", "001100 10 18", "001110 12 30", "001111 1 1", "010000 44 86",
    "010001 3 3", "010010 0 1", "011000 15 16", "011001 1 1", "011010 2 2", "011100 7 12", "011110 3 9", "101000 2 2",
    "101010 1 1", "101011 1 1", "101100 1 3", "101110 0 4", "101111 1 1", "110000 5 19", "110010 0 1", "111000 3 4",
    "111110 0 2",
]  # fmt: skip


def endometrial():
    rows = [
        [1, nv, *map(float, patient.split()), hg]
        for (nv, hg), patients in ENDOMETRIAL.items()
        for patient in patients.split(",")
    ]
    table = np.array(rows)
    return table[:, :-1], table[:, -1] == 1


def sex2():
    rows, outcomes = [], []
    for line in SEX2:
        pattern, n_cases, n = line.split()
        rows += [[1, *map(int, pattern)]] * int(n)
        outcomes += [True] * int(n_cases) + [False] * (int(n) - int(n_cases))
    return np.array(rows, dtype=float), np.array(outcomes)


# What `summary(logistf(...))` prints: coefficient, limits of the profile interval, p-value; the intercept first.
LOGISTF = {
    endometrial: [
        [3.77455951, 1.0825371, 7.20928050, 0.004193628],
        [2.92927330, 0.6097244, 7.85463171, 0.009123668],
        [-0.03475175, -0.1244587, 0.04045547, 0.3874822],
        [-2.60416387, -4.3651832, -1.23272106, 2.506867e-05],
    ],
    sex2: [
        [0.12025405, -0.8185591, 1.07315122, 0.8020268],
        [-1.10598131, -1.9737884, -0.30742514, 6.143472e-03],
        [-0.06881673, -0.9414363, 0.78920202, 8.751911e-01],
        [2.26887464, 1.2730216, 3.43543273, 1.678877e-06],
        [-2.11140817, -3.2608611, -1.11773495, 1.237805e-05],
        [-0.78831694, -1.6080879, 0.01518468, 5.449701e-02],
        [3.09601166, 0.7745682, 8.03029352, 4.951873e-03],
    ],
}


@pytest.mark.parametrize("data", [endometrial, sex2], ids=["endometrial", "sex2"])
def test_the_data_of_the_papers_give_what_logistf_prints(data):
    X, y = data()
    assert len(y) == {endometrial: 79, sex2: 239}[data]
    assert is_separated(X, y)
    fit = fit_firth(X, y)
    found = [
        [fit.coefficients[column], *profile_interval(X, y, fit, column), profile_p(X, y, fit, column)]
        for column in range(X.shape[1])
    ]
    assert np.array(found) == pytest.approx(np.array(LOGISTF[data]), rel=2e-6, abs=2e-7)


def test_separation_goes_with_the_column_that_makes_it():
    X, y = sex2()
    assert not is_separated(X[:, :-1], y)  # without the diaphragm
    X, y = endometrial()
    assert not is_separated(X[:, [0, 2, 3]], y)  # without neovasculation


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        ([1, 2, 3, 4, 5, 6], True),  # a gap between the classes
        ([1, 2, 3, 3, 5, 6], True),  # they touch: quasi-complete
        ([1, 2, 4, 3, 5, 6], False),
        ([1, 5, 3, 3, 2, 6], False),
    ],
)
def test_separation_is_seen_whether_complete_or_touching(x, expected):
    X = np.column_stack([np.ones(6), x])
    assert is_separated(X, np.arange(6) >= 3) == expected
    assert is_separated(X * [1, -1000], np.arange(6) >= 3) == expected


def random_data(seed, n=40, n_columns=2):
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), rng.normal(size=(n, n_columns))])
    y = rng.random(n) < 1 / (1 + np.exp(-X @ rng.normal(size=n_columns + 1)))
    y[:2] = [True, False]
    return X, y


@given(st.integers(0, 10_000))
def test_the_fit_is_where_a_general_maximiser_of_the_penalised_likelihood_ends(seed):
    X, y = random_data(seed)
    fit = fit_firth(X, y)
    literal = minimize(
        lambda coefficients: -penalised_log_likelihood(X, y, coefficients),
        np.zeros(X.shape[1]),
        method="Nelder-Mead",
        options={"xatol": 1e-8, "fatol": 1e-11, "maxiter": 5000},
    )
    assert fit.log_likelihood == pytest.approx(-literal.fun, abs=1e-8)
    assert fit.coefficients == pytest.approx(literal.x, abs=2e-4)


def separated_by_a_line_through_two_points(points, y):
    """Literally: a line that parts two classes can be turned until it touches two of their points."""
    for one, other in itertools.combinations(points, 2):
        normal = np.array([other[1] - one[1], one[0] - other[0]])
        side = np.where(y, 1, -1) * ((points - one) @ normal)
        side[np.abs(side) < 1e-12] = 0
        if (side >= 0).all() or (side <= 0).all():
            return True
    return False


@given(st.integers(0, 10_000), st.integers(4, 16))
def test_separation_in_the_plane_is_that_by_a_line(seed, n):
    X, y = random_data(seed, n=n)
    assert is_separated(X, y) == separated_by_a_line_through_two_points(X[:, 1:], y)


def test_two_by_two_tables_get_half_a_patient_in_each_cell():
    # Of a saturated model, Firth's estimate is the log odds ratio with 1/2 added to each cell: here (0, 10; 7, 5).
    X = np.column_stack([np.ones(22), np.repeat([0, 1], [10, 12])])
    y = np.repeat([False, True, False], [10, 7, 5])
    fit = fit_firth(X, y)
    assert fit.coefficients[1] == pytest.approx(np.log(7.5 / 5.5) - np.log(0.5 / 10.5), abs=1e-7)
