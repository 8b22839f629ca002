"""What a pulse oximeter displayed: its own SQI, heart rate, saturation and perfusion, a row at every interval."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ppgssl.core.config.cohort import DeviceTrends, TrendName
from ppgssl.core.errors import ReadError
from ppgssl.core.records import FloatArray
from ppgssl.core.text import Message
from ppgssl.readers.raw_files import position, read_bytes


def read_trends(path: Path, trends: DeviceTrends) -> dict[TrendName, FloatArray]:
    """Read delimited text with a header line, which ``trends`` describes.

    Returns
    -------
    dict of trend to float64 array, shape (n_rows,)
        In the device's units, NaN where missing.

    Raises
    ------
    ReadError
        If the file cannot be read, a column is absent, or a cell is neither a number nor a mark of missing.
    """
    lines = read_bytes(path).decode("utf-8-sig", errors="replace").rstrip().splitlines()[trends.skip_rows :]
    if not lines:
        problem = "no header line after the {n} lines of `signals.trends.skip_rows`."
        raise ReadError(path, problem, n=trends.skip_rows)
    header = [name.strip() for name in lines[0].split(trends.delimiter)]
    places = {
        name: position(path, column.strip(), header, Message("column")) for name, column in trends.columns.items()
    }
    rows = [line.split(trends.delimiter) for line in lines[1:]]
    try:
        return {name: np.array([float(row[place]) for row in rows]) for name, place in places.items()}
    except (ValueError, IndexError):
        # Something is missing or wrong, and is looked at cell by cell: most files have nothing of the kind.
        return _read_cells(path, rows, places, trends)


def _read_cells(
    path: Path, rows: Sequence[Sequence[str]], places: Mapping[TrendName, int], trends: DeviceTrends
) -> dict[TrendName, FloatArray]:
    values: dict[TrendName, FloatArray] = {name: np.full(len(rows), np.nan) for name in places}
    for number, row in enumerate(rows):
        line = trends.skip_rows + 2 + number
        if len(row) <= max(places.values()):
            problem = (
                "line {line} has {n} cells and {n_needed} are needed. The file may be cut off there; if not, correct "
                "`signals.trends`."
            )
            raise ReadError(path, problem, line=line, n=len(row), n_needed=max(places.values()) + 1)
        for name, place in places.items():
            cell = row[place].strip()
            values[name][number] = math.nan if cell in trends.missing else _number(path, line, name, cell)
    return values


def _number(path: Path, line: int, name: str, cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        problem = (
            "line {line}, {name}: expected a number and found {cell!r}. If that marks a missing value, list it in "
            "`signals.trends.missing`."
        )
        raise ReadError(path, problem, line=line, name=name, cell=cell[:40]) from None
