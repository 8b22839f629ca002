"""Dates as days from the patient's first date: intervals stay, and the calendar goes.

All elements of dates but the year identify a patient by HIPAA's Safe Harbor (45 CFR 164.514(b)(2)(i)(C)). MIMIC shifts
the dates of each patient by a secret interval [1]_; days from the first date keep the same intervals, need no secret,
and cannot be mistaken for true dates. As with MIMIC, dates of two patients cannot be compared.

References
----------
.. [1] Johnson, Bulgarelli, Shen, et al., MIMIC-IV, a freely accessible electronic health record dataset, Sci Data 10:1,
   2023, doi:10.1038/s41597-022-01899-x.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import pandas as pd


def days_from_first(patients: pd.DataFrame, dates: Sequence[str]) -> pd.DataFrame:
    """The patients, one a row, with whole days as floats in place of 'YYYY-MM-DD' or None in the columns ``dates``.

    Days count from the earliest of these dates in the row, which is 0.0; NaN where missing.
    """
    if not dates:
        return patients
    # Day numbers reach further than timestamps do, which end in 1677 and in 2262.
    numbers = pd.DataFrame(
        {name: [_day_number(text) for text in patients[name]] for name in dates}, index=patients.index, dtype=float
    )
    days = numbers.sub(numbers.min(axis=1), axis=0)
    return patients.assign(**{name: days[name] for name in dates})


def _day_number(text: str | None) -> float:
    return float(datetime.date.fromisoformat(text).toordinal()) if text else float("nan")
