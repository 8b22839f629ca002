"""Is the same patient's other segment the most alike? Recognition of patients by the cosine of their features."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ppgssl.core.errors import EvaluationError
from ppgssl.core.records import FloatArray, IntArray


@dataclass(frozen=True)
class Retrieval:
    """How each patient's query fared, averaged over draws.

    Attributes
    ----------
    top1 : float array, shape (n_patients,)
        Proportion of draws in which the patient's own other segment was the most alike of the gallery.
    reciprocal_rank : float array, shape (n_patients,)
        Mean of 1 / rank of the patient's own segment; rank 1 is the most alike.
    chance_top1, chance_reciprocal_rank : float
        What features that know nothing reach: 1 / n, and (1 + 1/2 + ... + 1/n) / n, of n patients.
    """

    top1: FloatArray = field(repr=False)
    reciprocal_rank: FloatArray = field(repr=False)
    chance_top1: float
    chance_reciprocal_rank: float


def draw_pairs(
    patient: IntArray, start: IntArray, length: int, *, n_draws: int, seed: int
) -> tuple[IntArray, IntArray, IntArray]:
    """Draw two segments of each patient that do not overlap, ``n_draws`` times.

    The first is drawn among the patient's segments that have a partner, the second among its partners, both evenly.

    Parameters
    ----------
    patient : int array, shape (n_segments,); number of each segment's patient
    start : int array, shape (n_segments,); first sample, on one axis for all recordings, one recording after another
    length : samples of a segment: two segments overlap if their starts are closer

    Returns
    -------
    patients : int array, shape (n_kept,)
        Patients who have two segments that do not overlap, sorted; the others are left out.
    query, other : int arrays, shape (n_draws, n_kept); numbers of the segments
    """
    order = np.lexsort((start, patient))
    sorted_patient, sorted_start = patient[order], start[order]
    first = np.searchsorted(sorted_patient, sorted_patient)
    end = np.searchsorted(sorted_patient, sorted_patient, side="right")
    # One axis on which the segments of different patients are far from each other.
    stride = int(sorted_start.max(initial=0) - sorted_start.min(initial=0)) + 2 * length
    _, number = np.unique(sorted_patient, return_inverse=True)
    place = number.astype(np.int64) * stride + sorted_start
    before = np.searchsorted(place, place - length, side="right")  # partners are those before this one ...
    after = np.searchsorted(place, place + length)  # ... and from this one on
    n_before, n_partners = before - first, before - first + end - after
    queries = np.flatnonzero(n_partners > 0)
    patients, begins, counts = np.unique(sorted_patient[queries], return_index=True, return_counts=True)
    rng = np.random.default_rng(seed)
    query = queries[begins + rng.integers(counts, size=(n_draws, len(patients)))]
    choice = rng.integers(n_partners[query])
    is_before = choice < n_before[query]
    other = np.where(is_before, first[query] + choice, after[query] + choice - n_before[query])
    return patients, order[query], order[other]


def retrieve(features: FloatArray, query: IntArray, other: IntArray) -> Retrieval:
    """Rank, for each patient's query, the gallery's segments by their cosine with it.

    Returns a Retrieval: where several cosines are equal, what breaking ties at random would give on average. A segment
    without any feature different from 0 is equally alike to all. Raises EvaluationError if shapes differ, there are
    fewer than two patients, or a feature is not finite.

    Parameters
    ----------
    features : float array, shape (n_segments, n_features); scale them beforehand, by constants of other patients:
        cosines are ruled by the columns of largest variance. Missing features should be 0 by then.
    query, other : int arrays, shape (n_draws, n_patients); rows of ``features``: of each draw, each patient's query,
        and the segment that stands for the patient in the gallery
    """
    if query.shape != other.shape or query.ndim != 2 or query.shape[1] < 2:
        raise EvaluationError(
            "retrieval needs queries and gallery of one shape (n_draws, n_patients), two patients or more, and was "
            f"given {query.shape} and {other.shape}"
        )
    if not np.isfinite(features).all():
        raise EvaluationError("retrieval was given features that are not finite: replace missing ones by 0 first")
    features, n_patients = np.asarray(features, dtype=np.float64), query.shape[1]
    norm = np.linalg.norm(features, axis=1, keepdims=True)
    unit = np.divide(features, norm, out=np.zeros_like(features), where=norm > 0)
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, n_patients + 1))])
    top1, reciprocal = np.zeros(n_patients), np.zeros(n_patients)
    for one, gallery in zip(query, other, strict=True):
        cosine = unit[one] @ unit[gallery].T
        own = np.diagonal(cosine)[:, None]
        is_equal = np.abs(cosine - own) <= 1e-9  # cosines of equal rows differ by rounding
        n_greater, n_equal = ((cosine > own) & ~is_equal).sum(axis=1), is_equal.sum(axis=1) - 1
        top1 += (n_greater == 0) / (1 + n_equal)
        reciprocal += (harmonic[n_greater + n_equal + 1] - harmonic[n_greater]) / (1 + n_equal)
    chance = float(harmonic[-1] / n_patients)
    return Retrieval(top1 / len(query), reciprocal / len(query), 1 / n_patients, chance)
