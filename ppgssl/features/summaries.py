"""Features of all segments of a study, a block in memory at a time, summed up to what probes and retrieval need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ppgssl.core.records import BoolArray, FloatArray, IntArray
from ppgssl.selfsupervised.bank import SegmentBank

# From normalised segments, shape (n, n_channels, length), to features, shape (n, n_features); missing ones are NaN.
Represent = Callable[[FloatArray], FloatArray]

_BATCH = 1024


@dataclass(frozen=True)
class Summary:
    """What is left of the features of segments.

    Attributes
    ----------
    means : float64 array, shape (n_patients, n_features)
        Mean over each patient's segments in which the feature is known; NaN where it is in none.
    kept : float32 array, shape (n_kept, n_features); features of the segments that were asked for
    centre, scale : float64 arrays, shape (n_features,)
        Mean and SD over the fitting segments in which the feature is known; 0 and 1 where there is nothing to scale.
    """

    means: FloatArray = field(repr=False)
    kept: FloatArray = field(repr=False)
    centre: FloatArray = field(repr=False)
    scale: FloatArray = field(repr=False)

    def part(self, columns: slice) -> Summary:
        """The same of some of the features."""
        return Summary(self.means[:, columns], self.kept[:, columns], self.centre[columns], self.scale[columns])

    def scaled(self) -> FloatArray:
        """``kept``, standardised by what the fitting segments are like; a missing feature becomes 0, their mean."""
        return np.nan_to_num((self.kept - self.centre) / self.scale)


def summarise(
    represent: Represent,
    bank: SegmentBank,
    index: IntArray,
    patient: IntArray,
    *,
    n_patients: int,
    keep: IntArray,
    is_fitting: BoolArray,
) -> Summary:
    """Represent segments and sum them up.

    Parameters
    ----------
    represent : the representation
    index, patient : int arrays, shape (n_segments,)
        Numbers of the segments in the bank, and of the patient of each, in 0..n_patients - 1.
    keep : int array, shape (n_kept,)
        Positions in ``index`` of the segments whose features are wanted, in increasing order.
    is_fitting : bool array, shape (n_segments,); segments that ``centre`` and ``scale`` are computed from
    """
    sums: _Sums | None = None
    kept = []
    for first in range(0, len(index), _BATCH):
        block = slice(first, first + _BATCH)
        features = represent(bank.gather(index[block]).cpu().numpy())
        sums = sums or _Sums(n_patients, features.shape[1])
        sums.add(features, patient[block], is_fitting[block])
        of_block = keep[(keep >= first) & (keep < first + _BATCH)] - first
        kept.append(features[of_block].astype(np.float32))
    if sums is None:
        raise ValueError("there are no segments to represent")
    return Summary(sums.means(), np.concatenate(kept), *sums.scaling())


class _Sums:
    """Running sums of features over patients, and over fitting segments."""

    def __init__(self, n_patients: int, n_features: int) -> None:
        self.total, self.count = np.zeros((n_patients, n_features)), np.zeros((n_patients, n_features))
        self.n, self.mean, self.square = np.zeros(n_features), np.zeros(n_features), np.zeros(n_features)

    def add(self, features: FloatArray, patient: IntArray, is_fitting: BoolArray) -> None:
        values = features.astype(np.float64)
        is_known = np.isfinite(values)
        filled = np.where(is_known, values, 0.0)
        np.add.at(self.total, patient, filled)
        np.add.at(self.count, patient, is_known)
        self._add_fitting(filled[is_fitting], is_known[is_fitting])

    def _add_fitting(self, values: FloatArray, is_known: BoolArray) -> None:
        """Merge mean and sum of squared distances of a block with those so far (Chan, Golub and LeVeque, 1983)."""
        n = is_known.sum(axis=0)
        mean = values.sum(axis=0) / np.maximum(n, 1)
        square = (np.where(is_known, values - mean, 0.0) ** 2).sum(axis=0)
        together = np.maximum(self.n + n, 1)
        self.square += square + (mean - self.mean) ** 2 * self.n * n / together
        self.mean += (mean - self.mean) * n / together
        self.n += n

    def means(self) -> FloatArray:
        return np.divide(self.total, self.count, out=np.full(self.total.shape, np.nan), where=self.count > 0)

    def scaling(self) -> tuple[FloatArray, FloatArray]:
        sd = np.sqrt(self.square / np.maximum(self.n, 1))
        # What varies by rounding alone is constant.
        return self.mean, np.where(sd > 1e-9 * np.maximum(np.abs(self.mean), 1e-30), sd, 1.0)
