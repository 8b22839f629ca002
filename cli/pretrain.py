"""``ppgssl pretrain``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from ppgssl.cli.console import JobsOption, JsonOption, OutOption, print_summary, print_warnings, progress_bar

StudyArgument = Annotated[Path, typer.Argument(help="Description of the study: study.yaml.", show_default=False)]
DevicesOption = Annotated[
    int, typer.Option("--devices", min=1, help="GPUs (or, without one, processes) on each node that train together.")
]
NodesOption = Annotated[
    int, typer.Option("--nodes", min=1, help="Machines that train together, each started by torchrun or srun.")
]


def pretrain(
    study: StudyArgument,
    out: OutOption = None,
    jobs: JobsOption = -1,
    devices: DevicesOption = 1,
    nodes: NodesOption = 1,
    json: JsonOption = False,
) -> None:
    """Pretrain the SSL encoders that a study needs; finished ones are kept, interrupted ones go on."""
    from ppgssl.stages.pretrain import Team, encoder_warnings, is_first_process
    from ppgssl.stages.pretrain import pretrain as run_pretrain
    from ppgssl.stages.study import open_study

    study_data, folder = open_study(study, out)
    team = Team(devices, nodes)
    if not is_first_process():
        run_pretrain(study_data, folder, n_jobs=jobs, team=team)
        return
    with progress_bar("pretrain") as advance:
        encoders = run_pretrain(study_data, folder, n_jobs=jobs, team=team, progress=advance)
    warnings = encoder_warnings(encoders)
    print_warnings(warnings)
    summary = {"encoders": len(encoders), "folder": str(folder / "encoders"), "warnings": warnings}
    print_summary(summary, as_json=json, next_command=f"ppgssl evaluate {study}")
