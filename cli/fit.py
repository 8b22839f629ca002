"""``ppgssl fit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from ppgssl.cli.console import print_summary, print_warnings
from ppgssl.cli.options import JobsOption, JsonOption, SchedulerOption, StudyArgument
from ppgssl.cli.progress import progress_bar


def fit(
    study: StudyArgument,
    arm: Annotated[str, typer.Option("--arm", help="Arm to fit, such as covariates+ssl-all.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="Folder of the model.", show_default=False)],
    study_folder: Annotated[
        Path | None,
        typer.Option(
            "--study-out", help="Folder of the study's outputs, instead of `out` in study.yaml.", show_default=False
        ),
    ] = None,
    jobs: JobsOption = -1,
    scheduler: SchedulerOption = None,
    json: JsonOption = False,
) -> None:
    """Fit the final model: an arm of a study, on all of its labelled patients."""
    from ppgssl.stages.deploy.fit import fit_model
    from ppgssl.stages.study import open_study

    study_data, folder = open_study(study, study_folder)
    with progress_bar("fit") as progress:
        model = fit_model(study_data, arm, folder, out, n_jobs=jobs, scheduler=scheduler, progress=progress)
    card = model.card
    print_warnings([*([card.performance_note] if card.performance_note else []), *card.notes])
    print_summary(
        {
            "model": str(out),
            "arm": card.arm,
            "patients": card.n_patients,
            "events": card.n_events,
            "auroc": card.performance.auroc.estimate if card.performance else None,
            "fingerprint": model.fingerprint,
        },
        as_json=json,
        next_command=f"ppgssl predict {out} FILES...   or   ppgssl evaluate --model {out} COHORT.yaml --out DIR",
    )
