"""``ppgssl ingest``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from ppgssl.cli.console import print_rejects, print_summary, print_warnings, rejects_by_reason, set_data_folder
from ppgssl.cli.options import CohortArgument, DataOption, JobsOption, JsonOption, SchedulerOption
from ppgssl.cli.progress import progress_bar


def ingest(
    cohort: CohortArgument,
    out: Annotated[Path, typer.Option("--out", help="Folder of the store; made, or brought up to date.")],
    data: DataOption = None,
    jobs: JobsOption = -1,
    scheduler: SchedulerOption = None,
    json: JsonOption = False,
) -> None:
    """Read a cohort's raw files into a store; only what is new or changed is read."""
    from ppgssl.stages.ingest.ingest import ingest as run_ingest

    set_data_folder(data)
    with progress_bar(f"ingest {cohort.stem}") as progress:
        summary = run_ingest(cohort, out, n_jobs=jobs, scheduler=scheduler, progress=progress)
    print_warnings(summary.warnings)
    if not json:
        print_rejects(summary.rejects)
    print_summary(
        {
            "store": str(summary.store),
            "files": summary.n_files,
            "files_read_now": summary.n_files_new,
            "files_gone": summary.n_files_gone,
            "recordings": summary.n_recordings,
            "patients_with_recordings": summary.n_patients,
            "segments": summary.n_segments,
            "segments_accepted": summary.n_segments_accepted,
            "rejects": rejects_by_reason(summary.rejects) if json else len(summary.rejects),
        },
        as_json=json,
        next_command="name the store in a study.yaml, then: ppgssl run STUDY.yaml",
    )
