import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from ppgssl.classifiers.polya_gamma import draw_polya_gamma, weights


@given(st.floats(-20, 20), st.floats(1e-4, 1e4))
def test_the_laplace_transform_is_the_closed_form(z, t):
    """Polson, Scott and Windle 2013, eq. 2; that of the draws is a product of those of exponential and gamma laws."""
    exact = np.cosh(z / 2) / np.cosh(np.sqrt((z**2 / 2 + t) / 2))
    first, rest = weights(np.array([z]))
    shape = 3 * len(first)
    found = np.exp(-np.log1p(t * first).sum() - shape * np.log1p(t * rest[0] / shape))
    assert found == pytest.approx(exact, abs=1e-6 if abs(z) <= 6 else 3e-5)


@pytest.mark.parametrize("z", [0.0, 1.5, -6.0])
def test_draws_are_those_of_the_infinite_sum(z):
    rng = np.random.default_rng(0)
    n = 40_000
    draws = draw_polya_gamma(np.full(n, z), rng)
    literal = np.zeros(n)
    for k in range(1, 400):
        literal += rng.standard_exponential(n) / (2 * np.pi**2 * ((k - 0.5) ** 2 + (z / (2 * np.pi)) ** 2))
    assert ks_2samp(draws, literal).pvalue > 0.01
    mean = 0.25 if z == 0 else np.tanh(z / 2) / (2 * z)
    variance = 1 / 24 if z == 0 else (np.sinh(z) - z) / (4 * z**3 * np.cosh(z / 2) ** 2)
    assert draws.mean() == pytest.approx(mean, abs=4 * np.sqrt(variance / n))
    assert draws.var() == pytest.approx(variance, rel=0.05)
    assert draws.min() > 0


def test_each_element_has_its_own_draw_and_the_sign_of_z_does_not_matter():
    z = np.linspace(-3, 3, 24).reshape(2, 3, 4)
    one, other = (draw_polya_gamma(values, np.random.default_rng(1)) for values in (z, -z))
    assert one.shape == z.shape
    np.testing.assert_array_equal(one, other)
    assert len(np.unique(one)) == z.size
