"""Segments by patient: what an arm sees whose learner takes signals themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ppgssl.selfsupervised.bank import SegmentBank


@dataclass(frozen=True)
class SegmentTable:
    """Patients as rows, each with the segments of a bank; rows are selected as those of a DataFrame are.

    Attributes
    ----------
    bank : segments of any patients
    patient_of_segment : array of str, shape (n_segments,)
    index : Index of str, shape (n_patients,); patients, in the order of the rows
    """

    bank: SegmentBank = field(repr=False)
    patient_of_segment: NDArray[np.object_] = field(repr=False)
    index: pd.Index

    def __len__(self) -> int:
        return len(self.index)

    @property
    def loc(self) -> _Selection:
        """``table.loc[patients]``: the same table with these patients as rows."""
        return _Selection(self)


@dataclass(frozen=True)
class _Selection:
    table: SegmentTable

    def __getitem__(self, patients: Sequence[str]) -> SegmentTable:
        return SegmentTable(self.table.bank, self.table.patient_of_segment, pd.Index(list(patients), name="patient"))
