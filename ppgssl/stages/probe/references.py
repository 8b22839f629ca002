"""Values known for intervals of recordings, such as a heart rate by ECG, and the segments that they belong to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from ppgssl.core.errors import ConfigError, ReadError
from ppgssl.core.records import FloatArray, IntArray
from ppgssl.core.text import listed, suggest
from ppgssl.readers.clinical.text_tables import TextTable, plain_number, read_text_table
from ppgssl.stages.probe.targets import Target
from ppgssl.store.study_data import StudyData

COHORT, RECORDING = "cohort", "recording_id"
_SPAN = ("start_s", "end_s")
_MOST_PROBLEMS = 10
# Of a segment: the part that an interval must cover to say something about it.
_LEAST_COVERED = 0.5


def reference_targets(data: StudyData) -> dict[str, list[Target]]:
    """Cohort -> quantities of the study's table of references, known for accepted segments; without a table, nothing.

    Raises ConfigError if the table cannot be read, a cell is not what its column needs, or no recording is the study's.
    """
    if data.study.probe.references is None:
        return {}
    cohorts = [store.cohort.name for store in data.stores]
    table = read_references(data.folder / data.study.probe.references, cohorts)
    decisions = data.segments.decisions
    segments = decisions[decisions["accepted"]].reset_index(drop=True)  # in the order of the bank
    here, there = (sorted(set(one[RECORDING])) for one in (decisions, table))
    if not set(here).intersection(there):
        raise ConfigError(
            f"`probe.references`: {data.study.probe.references} holds no recording of the study: it names "
            f"{listed(there, 3)}, and the study has {listed(here, 3)}"
        )
    quantities = [name for name in table.columns if name not in (COHORT, RECORDING, *_SPAN)]
    found: dict[str, list[Target]] = {}
    for cohort in dict.fromkeys(table[COHORT]):
        of_cohort = table[table[COHORT] == cohort]
        found[str(cohort)] = [_target(name, of_cohort, segments, data.study.inputs.segment_s) for name in quantities]
    return found


def _target(name: str, table: pd.DataFrame, segments: pd.DataFrame, segment_s: float) -> Target:
    table = table[table[name].notna()]
    values, n_unmatched = pd.Series(np.nan, index=segments.index), 0
    of_recording = segments[segments["cohort"].isin(table[COHORT].unique())].groupby(RECORDING).groups
    for recording, intervals in table.groupby(RECORDING):
        of_one = of_recording.get(recording, segments.index[:0])
        start_s = segments.loc[of_one, "start_s"].to_numpy(dtype=np.float64)
        row = nearest_interval(start_s, segment_s, intervals[_SPAN[0]].to_numpy(), intervals[_SPAN[1]].to_numpy())
        values.loc[of_one] = np.where(row >= 0, intervals[name].to_numpy()[row], np.nan)
        n_unmatched += len(intervals) - len(np.unique(row[row >= 0]))
    known = values.dropna()
    return Target(
        f"reference_{name}",
        name,
        "",
        "references by segment",
        pd.Series(known.to_numpy(), index=segments.loc[known.index, "patient"].to_numpy()),
        segment=known.index.to_numpy(),
        is_class=bool(len(known)) and set(table[name]) <= {0.0, 1.0},
        n_unmatched=n_unmatched,
    )


def nearest_interval(start_s: FloatArray, segment_s: float, from_s: FloatArray, to_s: FloatArray) -> IntArray:
    """For each segment, the interval that belongs to it: of those that cover half of it or more, the one whose centre
    is nearest to the segment's, the first of equals; -1 where there is none."""
    if not len(start_s) or not len(from_s):
        return np.full(len(start_s), -1)
    start = np.asarray(start_s)[:, None]
    covered = np.minimum(to_s, start + segment_s) - np.maximum(from_s, start)
    distance = np.abs((from_s + to_s) / 2 - (start + segment_s / 2))
    distance = np.where(covered >= _LEAST_COVERED * segment_s - 1e-9, np.round(distance, 9), np.inf)
    return np.where(np.isfinite(distance).any(axis=1), distance.argmin(axis=1), -1)


def read_references(file: Path, cohorts: list[str]) -> pd.DataFrame:
    """The table as it is, with the only cohort's name where it has no column ``cohort``; empty cells are missing.

    Raises ConfigError, which lists what is wrong by row and column.
    """
    try:
        table = read_text_table(file)
    except ReadError as error:
        raise ConfigError(f"`probe.references`: {error}") from None
    needed = [RECORDING, *_SPAN, *([COHORT] if len(cohorts) > 1 else [])]
    wrong = [
        *(f"there is no column {name!r}{suggest(name, table.columns)}" for name in needed if name not in table.columns),
        *(f"two columns are named {name!r}" for name in set(table.columns) if table.columns.count(name) > 1),
        *(f"row {row}: expected {len(table.columns)} cells, as in the header" for row in table.misshapen),
    ]
    quantities = [name for name in table.columns if name not in (COHORT, RECORDING, *_SPAN)]
    if not quantities:
        wrong.append(f"there is no column of values: it has only {', '.join(table.columns)}")
    if not wrong:
        columns = {name: table.cells(name) for name in table.columns}
        numbers = {name: [plain_number(cell, ".") for cell in columns[name]] for name in (*_SPAN, *quantities)}
        names = columns.get(COHORT, cohorts * len(table.rows))
        wrong = list(_wrong_cells(table, columns, numbers, names, cohorts))
    if wrong:
        more = (f"and {len(wrong) - _MOST_PROBLEMS} more",) if len(wrong) > _MOST_PROBLEMS else ()
        raise ConfigError(f"`probe.references`: {file} is no table of references:", (*wrong[:_MOST_PROBLEMS], *more))
    return pd.DataFrame({COHORT: names, RECORDING: columns[RECORDING], **numbers}).astype(dict.fromkeys(numbers, float))


def _wrong_cells(
    table: TextTable,
    columns: Mapping[str, list[str]],
    numbers: Mapping[str, list[float | None]],
    names: list[str],
    cohorts: list[str],
) -> Iterator[str]:
    for place, (row, _) in enumerate(table.rows):
        if names[place] not in cohorts:
            near = suggest(names[place], cohorts)
            yield f"row {row}, column {COHORT!r}: {names[place]!r} is no cohort of the study{near}"
        for name, values in numbers.items():
            if values[place] is None and (name in _SPAN or columns[name][place].strip()):
                yield f"row {row}, column {name!r}: expected a number" + ("" if name in _SPAN else ", or an empty cell")
        start, end = (numbers[name][place] for name in _SPAN)
        if start is not None and end is not None and end <= start:
            yield f"row {row}: {_SPAN[1]!r} must be after {_SPAN[0]!r}"
