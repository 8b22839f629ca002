"""``ppgssl init``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from ppgssl.cli.console import print_summary
from ppgssl.cli.options import JsonOption


def init(
    source: Annotated[
        Path,
        typer.Argument(
            help="A clinical table (CSV, Excel, Parquet, SAS, Stata, SPSS), or a REDCap data dictionary.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="The cohort.yaml to write. An existing file is kept.")] = Path(
        "cohort.yaml"
    ),
    table: Annotated[
        Path | None, typer.Option("--table", help="The table that the data dictionary describes.", show_default=False)
    ] = None,
    sheet: Annotated[
        str | None, typer.Option("--sheet", help="Sheet of the workbook, if not the first.", show_default=False)
    ] = None,
    patient: Annotated[
        str | None, typer.Option("--patient", help="Column with the patients' ids, if not found.", show_default=False)
    ] = None,
    json: JsonOption = False,
) -> None:
    """Draft a cohort.yaml from a clinical table or a REDCap data dictionary: kinds, levels, ranges, dates."""
    from ppgssl.stages.draft import draft_cohort

    draft = draft_cohort(source, out, table=table, sheet=sheet, patient_column=patient)
    print_summary(
        {
            "cohort": str(draft.file),
            "patient_column": draft.patient_column,
            "variables": draft.variables if json else len(draft.variables),
            "left_out": draft.left_out if json else len(draft.left_out),
            "still_to_do": f"describe the signals in {draft.file}, and look at the lines marked with ?",
        },
        as_json=json,
        next_command=f"ppgssl check {draft.file}",
    )
