"""Dates written in the way that a description gives."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable

ISO = "%Y-%m-%d"
# How tables write dates, by country; the day first where a table does not show which (03/04/2020).
_DAYS = ("%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%Y", "%Y/%m/%d", "%d%b%Y", "%d-%b-%Y")
_SHORT_DAYS = ("%d/%m/%y", "%m/%d/%y", "%d-%b-%y", "%d%b%y")
_TIMES = ("", " %H:%M", " %H:%M:%S", "T%H:%M:%S")
COMMON_FORMATS = tuple(f"{day}{time}" for time in _TIMES for day in (*_DAYS, *_SHORT_DAYS))
# Distinguishes day and month, a long year and a short one, hour and minute.
_SAMPLE = datetime.datetime(1987, 12, 31, 23, 45, 58)
_ISO_START = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ][0-9:.+\-]*)?")


def read_date(text: str, date_format: str) -> datetime.date | None:
    """The date of the text in this format of strptime; None if it is none. The time of day is dropped."""
    try:
        return datetime.datetime.strptime(text.strip(), date_format).date()
    except ValueError:
        return None


def read_iso_date(text: str) -> datetime.date | None:
    """The date at the start of an ISO date or date-time; None if there is none."""
    match = _ISO_START.fullmatch(text.strip())
    try:
        return datetime.date.fromisoformat(match[1]) if match else None
    except ValueError:
        return None


def is_date_format(date_format: str) -> bool:
    """Whether the format gives day, month and year."""
    try:
        return read_date(_SAMPLE.strftime(date_format), date_format) == _SAMPLE.date()
    except ValueError:
        return False


def fitting_formats(texts: Iterable[str]) -> list[str]:
    """Common formats in which every one of the texts is a date, the likeliest first; none of no texts."""
    texts = list(texts)
    return [name for name in COMMON_FORMATS if all(read_date(text, name) for text in texts)] if texts else []
