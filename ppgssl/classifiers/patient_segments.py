"""Patients with their outcomes and the numbers of their segments in a bank: what a network draws from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ppgssl.core.errors import TrainingError
from ppgssl.core.records import FloatArray, IntArray


@dataclass(frozen=True)
class PatientSegments:
    """Patients, in an order of their own; one drawn more than once is there more than once.

    ``y``: float array, shape (n_patients,); 0 or 1; NaN where it is not known. ``segments``: numbers of each patient's
    segments in the bank, at least one.
    """

    ids: tuple[str, ...]
    y: FloatArray
    segments: Sequence[IntArray]

    def all_segments(self) -> IntArray:
        return np.concatenate(self.segments)

    def take(self, rows: Sequence[int]) -> PatientSegments:
        return PatientSegments(
            tuple(self.ids[row] for row in rows), self.y[list(rows)], [self.segments[row] for row in rows]
        )


def collect(patient_of_segment: ArrayLike, patients: Sequence[str], y: FloatArray | None = None) -> PatientSegments:
    """Segments and outcomes of the patients, in the order given; without outcomes, these are not known (NaN).

    Raises TrainingError if a patient has no segment, or outcomes are given and a patient's is not 0 or 1.
    """
    position = pd.Index(patients).get_indexer(pd.Index(np.asarray(patient_of_segment)))
    order = np.argsort(position, kind="stable")
    bounds = np.searchsorted(position[order], np.arange(len(patients) + 1))
    segments = [order[start:stop] for start, stop in pairwise(bounds)]
    without = [name for name, own in zip(patients, segments, strict=True) if not len(own)]
    if without:
        raise TrainingError(
            f"{len(without)} patient(s) have no segment in the bank, for example {', '.join(without[:5])}"
        )
    if y is None:
        return PatientSegments(tuple(patients), np.full(len(patients), np.nan), segments)
    unknown = [name for name, value in zip(patients, y, strict=True) if value not in (0, 1)]
    if unknown:
        raise TrainingError(f"{len(unknown)} training patient(s) have no outcome of 0 or 1, for example {unknown[0]}")
    return PatientSegments(tuple(patients), y, segments)


def split(
    patients: PatientSegments, fraction: float, rng: np.random.Generator
) -> tuple[PatientSegments, PatientSegments]:
    """Hold out a part of each class, at least one patient; at least one stays.

    Raises TrainingError if a class has fewer than two patients.
    """
    held_out: list[int] = []
    for members in _classes(patients):
        n_out = min(max(1, round(fraction * len(members))), len(members) - 1)
        held_out += list(rng.permutation(members)[:n_out])
    kept = sorted(set(range(len(patients.ids))) - set(held_out))
    return patients.take(kept), patients.take(sorted(held_out))


def bootstrap(patients: PatientSegments, rng: np.random.Generator) -> tuple[PatientSegments, PatientSegments]:
    """As many patients of each class as there are, drawn with replacement; and those who were not drawn.

    One patient of each class, drawn first, is left out in any case: of a rare class everybody may be drawn otherwise.
    Raises TrainingError if a class has fewer than two patients.
    """
    drawn: list[int] = []
    for members in _classes(patients):
        out = rng.integers(len(members))
        drawn += list(rng.choice(np.delete(members, out), size=len(members)))
    left = sorted(set(range(len(patients.ids))) - set(drawn))
    return patients.take(sorted(drawn)), patients.take(left)


def _classes(patients: PatientSegments) -> list[IntArray]:
    classes: list[IntArray] = [np.flatnonzero(patients.y == outcome) for outcome in (0, 1)]
    for outcome, members in enumerate(classes):
        if len(members) < 2:
            raise TrainingError(
                f"{len(members)} training patient(s) have outcome {outcome}: the network needs two, one to learn from "
                "and one to decide when to stop. Lower `validation.n_folds`, or leave out the network arms."
            )
    return classes
