"""Reports that several tests look at: drawing one takes seconds, so each is drawn once."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from ppgssl.core.results.study import Results
from ppgssl.report.composition import Composition, compose
from ppgssl.report.document import Table, plain
from ppgssl.report.pdf import PaperName, write_pdf
from tests.support.fake_results import make_results

LEAST: dict[str, Any] = {
    "arms": ["covariates"],
    "n_patients": 20,
    "n_events": 5,
    "n_cohorts": 1,
    "with_pretraining": False,
    "with_examples": False,
    "with_acquisition": False,
    "with_sensitivity": False,
}
SMALL = LEAST | {"arms": ["covariates", "ssl-all", "untrained"], "with_sensitivity": True}


@cache
def whole_report() -> Composition:
    return compose(make_results())


@cache
def small_report() -> Composition:
    return compose(make_results(**SMALL))


def write_report(results: Results, folder: Path, paper: PaperName = "a4") -> Path:
    return write_pdf(compose(results), folder, paper=paper)[0]


def cells(table: Table | None) -> list[tuple[str, ...]]:
    """The words of a table that there is, row by row."""
    assert table is not None
    return [tuple(plain(cell) for cell in row.cells) for row in table.rows]


def notes(table: Table | None) -> str:
    assert table is not None
    return " ".join(map(plain, table.notes))
