"""``ppgssl pretrain``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from ppgssl.cli.console import JobsOption, JsonOption, OutOption, print_summary, progress_bar, study_out

StudyArgument = Annotated[Path, typer.Argument(help="Description of the study: study.yaml.", show_default=False)]


def pretrain(study: StudyArgument, out: OutOption = None, jobs: JobsOption = -1, json: JsonOption = False) -> None:
    """Pretrain the SSL encoders that a study needs; finished ones are kept, interrupted ones go on."""
    from ppgssl.config import load_study
    from ppgssl.pretrain import pretrain as run_pretrain
    from ppgssl.store.study_data import load_study_data

    description = load_study(study)
    folder = study_out(study, description.out, out)
    study_data = load_study_data(description, study, folder)
    with progress_bar("pretrain") as advance:
        encoders = run_pretrain(study_data, folder, n_jobs=jobs, progress=advance)
    summary = {"encoders": len(encoders), "folder": str(folder / "encoders")}
    print_summary(summary, as_json=json, next_command=f"ppgssl evaluate {study}")
