import sys

import numpy as np
import pytest

from ppgssl.core.errors import ConfigError, StoreError
from ppgssl.features.random_kernels import RandomKernels, fit_random_kernels


@pytest.fixture
def _aeon():
    pytest.importorskip("aeon", reason="the extra `baselines` is not installed", exc_type=ImportError)


def segments(n=60, n_channels=2, length=120, seed=0):
    return np.random.default_rng(seed).normal(size=(n, n_channels, length)).astype(np.float32)


def test_without_aeon_the_error_names_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "aeon", None)
    with pytest.raises(ConfigError, match=r"pip install 'ppgssl\[baselines\]'"):
        fit_random_kernels(segments(), seed=0)


@pytest.mark.usefixtures("_aeon")
@pytest.mark.parametrize("n_channels", [1, 3])
def test_features_are_proportions_one_a_kernel_and_those_of_a_seed(n_channels):
    x = segments(n_channels=n_channels)
    kernels = fit_random_kernels(x, n_kernels=200, seed=1)
    features = kernels(x)
    assert features.shape == (60, 168)
    assert features.min() >= 0
    assert features.max() <= 1
    np.testing.assert_array_equal(fit_random_kernels(x, n_kernels=200, seed=1)(x), features)
    np.testing.assert_array_equal(kernels(x[10:20]), features[10:20])
    arrays = kernels.to_arrays()
    np.testing.assert_array_equal(RandomKernels.from_arrays(arrays)(x), features)
    for name, values in (("biases", arrays["biases"][1:]), ("dilations", arrays["dilations"][1:]), ("other", features)):
        with pytest.raises(StoreError, match="kernels of MiniRocket are not whole"):
            RandomKernels.from_arrays({**arrays, name: values})


@pytest.mark.usefixtures("_aeon")
def test_rates_are_distinguished():
    time = np.arange(200) / 50
    rng = np.random.default_rng(0)
    rate, phase = rng.uniform(0.8, 3, 80), rng.uniform(0, 6, 80)
    x = np.sin(2 * np.pi * rate[:, None] * time + phase[:, None])[:, None]
    features = fit_random_kernels(x, n_kernels=500, seed=0)(x)
    best = max(abs(np.corrcoef(column, rate)[0, 1]) for column in features.T if column.std() > 0)
    assert best > 0.9


@pytest.mark.usefixtures("_aeon")
def test_the_global_generator_is_left_as_it_was():
    np.random.seed(5)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    fit_random_kernels(segments(), n_kernels=84, seed=0)
    assert np.random.random() == expected  # noqa: NPY002


@pytest.mark.usefixtures("_aeon")
def test_segments_shorter_than_a_kernel_are_refused():
    with pytest.raises(ConfigError, match="8 samples are too short"):
        fit_random_kernels(segments(length=8), seed=0)
