"""``ppgssl check``."""

from __future__ import annotations

import typer
from ppgssl.cli.console import print_rejects, print_summary, rejects_by_reason, set_data_folder
from ppgssl.cli.options import CohortArgument, DataOption, JobsOption, JsonOption
from ppgssl.cli.progress import progress_bar


def check(cohort: CohortArgument, data: DataOption = None, jobs: JobsOption = -1, json: JsonOption = False) -> None:
    """Report all that ingest would reject, without processing signals. Exit code 2 if there is anything."""
    from ppgssl.stages.ingest.ingest import check_cohort

    set_data_folder(data)
    with progress_bar(f"check {cohort.stem}") as progress:
        summary = check_cohort(cohort, n_jobs=jobs, progress=progress)
    if not json:
        print_rejects(summary.rejects, most=20)
    print_summary(
        {
            "files": summary.n_files,
            "recordings": summary.n_recordings,
            "patients_with_recordings": summary.n_patients,
            "complaints": rejects_by_reason(summary.rejects) if json else len(summary.rejects),
        },
        as_json=json,
        next_command=f"ppgssl ingest {cohort} --out STORE",
    )
    if (summary.rejects["stage"] != "vitals").any():  # An uncalibrated saturation is a caution, and costs nothing.
        raise typer.Exit(2)
