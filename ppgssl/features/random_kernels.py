"""MiniRocket: thousands of fixed convolution kernels, none of them learnt. Needs the package aeon."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ppgssl.core.errors import ConfigError, StoreError
from ppgssl.core.records import FloatArray

# A tenth of the published 10,000: patients are some hundreds, and more columns than patients add little and cost much.
N_KERNELS = 1000
MIN_LENGTH = 9


@dataclass(frozen=True)
class RandomKernels:
    """A fitted transform in numbers; see :func:`fit_random_kernels`.

    Attributes
    ----------
    parameters : as aeon has them: ``n_channels_per_combination``, ``channel_indices``, ``dilations``,
        ``n_features_per_dilation`` and ``biases``
    """

    parameters: Mapping[str, npt.NDArray[Any]] = field(repr=False)

    def __call__(self, segments: FloatArray) -> FloatArray:
        """Proportions of positive values in 0..1, shape (n_segments, n_kernels rounded down to a multiple of 84).

        ``segments``: float array, shape (n_segments, n_channels, length); of the length and channels that were fitted.
        """
        transform = _mini_rocket(random_state=None, n_kernels=len(self.parameters["biases"]))
        transform.parameters, transform._n_jobs = tuple(self.parameters[name] for name in _PARAMETERS), 1
        return np.asarray(transform._transform(np.asarray(segments, dtype=np.float32)), dtype=np.float32)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        return dict(self.parameters)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> RandomKernels:
        """The transform of :meth:`to_arrays`.

        Raises StoreError if its numbers are not whole.
        """
        if set(arrays) != set(_PARAMETERS) or any(one.ndim != 1 for one in arrays.values()):
            raise StoreError(f"the kernels of MiniRocket are not whole: they need {', '.join(_PARAMETERS)}")
        n_channels, channels, dilations, n_features, biases = (arrays[name] for name in _PARAMETERS)
        sizes = (len(n_features), len(n_channels), len(channels), len(biases))
        expected = (len(dilations), _N_BASE * len(dilations), n_channels.sum(), _N_BASE * n_features.sum())
        if sizes != expected or not np.isfinite(biases).all():
            raise StoreError("the kernels of MiniRocket are not whole: their numbers do not fit each other")
        return cls({name: arrays[name] for name in _PARAMETERS})


# Kernels of the published transform: the ways to place three of nine weights.
_N_BASE = 84
_PARAMETERS = ("n_channels_per_combination", "channel_indices", "dilations", "n_features_per_dilation", "biases")


def fit_random_kernels(segments: FloatArray, *, n_kernels: int = N_KERNELS, seed: int) -> RandomKernels:
    """MiniRocket [1]_: convolutions of length 9 at many dilations, each summed up by the values over a bias.

    The kernels are fixed; the biases are quantiles of what the kernels make of training segments, and which channels a
    kernel joins is drawn at random. Raises ConfigError if aeon is not installed, or segments are too short.

    Parameters
    ----------
    segments : float array, shape (n_segments, n_channels, length)
        Training segments, a few hundred or more; at least 9 samples long.
    n_kernels : at least 84
    seed : the only source of randomness

    .. [1] Dempster, Schmidt and Webb, MiniRocket: a very fast (almost) deterministic transform for time series
       classification, KDD 2021, arXiv:2012.08791.
    """
    if segments.shape[-1] < MIN_LENGTH:
        raise ConfigError(
            f"segments of {segments.shape[-1]} samples are too short for the baseline `minirocket`, whose kernels have "
            f"{MIN_LENGTH}: raise `inputs.segment_s`, or take it out of `probe.baselines`"
        )
    state = np.random.get_state()  # noqa: NPY002 (fitting seeds numpy's global generator)
    transform = _mini_rocket(n_kernels=n_kernels, random_state=seed)
    try:
        transform.fit(np.asarray(segments, dtype=np.float32))
    finally:
        np.random.set_state(state)  # noqa: NPY002
    return RandomKernels(dict(zip(_PARAMETERS, transform.parameters, strict=True)))


def _mini_rocket(**options: Any) -> Any:
    check_random_kernels()
    from aeon.transformations.collection.convolution_based import MiniRocket

    return MiniRocket(**options)


def check_random_kernels() -> None:
    """Raise ConfigError where aeon is not installed."""
    try:
        import aeon  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"the baseline `minirocket` needs the package aeon ({error}): pip install 'ppgssl[baselines]', or take it "
            "out of `probe.baselines`"
        ) from None
