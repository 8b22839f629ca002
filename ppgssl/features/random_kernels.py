"""MiniRocket: thousands of fixed convolution kernels, none of them learnt. Needs the package aeon."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ppgssl.core.errors import ConfigError
from ppgssl.core.records import FloatArray

# A tenth of the published 10,000: patients are some hundreds, and more columns than patients add little and cost much.
N_KERNELS = 1000
MIN_LENGTH = 9


@dataclass(frozen=True)
class RandomKernels:
    """A fitted transform; see :func:`fit_random_kernels`."""

    transform: Any = field(repr=False)

    def __call__(self, segments: FloatArray) -> FloatArray:
        """Proportions of positive values in 0..1, shape (n_segments, n_kernels rounded down to a multiple of 84).

        Parameters
        ----------
        segments : float array, shape (n_segments, n_channels, length)
            Of the length and channels that were fitted.
        """
        return np.asarray(self.transform.transform(np.asarray(segments, dtype=np.float32)), dtype=np.float32)


def fit_random_kernels(segments: FloatArray, *, n_kernels: int = N_KERNELS, seed: int) -> RandomKernels:
    """MiniRocket [1]_: convolutions of length 9 at many dilations, each summed up by the values over a bias.

    The kernels are fixed; the biases are quantiles of what the kernels make of training segments, and which channels a
    kernel joins is drawn at random.

    Parameters
    ----------
    segments : float array, shape (n_segments, n_channels, length)
        Training segments, a few hundred or more; at least 9 samples long.
    n_kernels : int
        At least 84.
    seed : int
        The only source of randomness.

    Raises
    ------
    ConfigError
        If aeon is not installed, or segments are too short.

    References
    ----------
    .. [1] Dempster, Schmidt and Webb, MiniRocket: a very fast (almost) deterministic transform for time series
       classification, KDD 2021, arXiv:2012.08791.
    """
    check_random_kernels()
    from aeon.transformations.collection.convolution_based import MiniRocket

    if segments.shape[-1] < MIN_LENGTH:
        raise ConfigError(
            f"segments of {segments.shape[-1]} samples are too short for the baseline `minirocket`, whose kernels have "
            f"{MIN_LENGTH}: raise `inputs.segment_s`, or take it out of `probe.baselines`"
        )
    with _global_generator_kept():
        transform = MiniRocket(n_kernels=n_kernels, random_state=seed)
        transform.fit(np.asarray(segments, dtype=np.float32))
    return RandomKernels(transform)


def check_random_kernels() -> None:
    """Raise ConfigError where aeon is not installed."""
    try:
        import aeon  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"the baseline `minirocket` needs the package aeon ({error}): pip install 'ppgssl[baselines]', or take it "
            "out of `probe.baselines`"
        ) from None


@contextmanager
def _global_generator_kept() -> Iterator[None]:
    """Fitting seeds numpy's global generator."""
    state = np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
