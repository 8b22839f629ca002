"""``ppgssl pretrain``."""

from __future__ import annotations

from ppgssl.cli.console import print_summary, print_warnings
from ppgssl.cli.options import (
    DevicesOption,
    JobsOption,
    JsonOption,
    NodesOption,
    OutOption,
    SchedulerOption,
    StudyArgument,
)
from ppgssl.cli.progress import progress_bar


def pretrain(
    study: StudyArgument,
    out: OutOption = None,
    jobs: JobsOption = -1,
    scheduler: SchedulerOption = None,
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
    with progress_bar("pretrain") as progress:
        encoders = run_pretrain(study_data, folder, n_jobs=jobs, scheduler=scheduler, team=team, progress=progress)
    warnings = encoder_warnings(encoders)
    print_warnings(warnings)
    summary = {"encoders": len(encoders), "folder": str(folder / "encoders"), "warnings": warnings}
    print_summary(summary, as_json=json, next_command=f"ppgssl evaluate {study}")
