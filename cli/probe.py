"""``ppgssl probe``."""

from __future__ import annotations

import typer
from ppgssl.cli.console import print_summary, print_warnings
from ppgssl.cli.options import JobsOption, JsonOption, OutOption, SchedulerOption, StudyArgument
from ppgssl.cli.progress import progress_bar


def probe(
    study: StudyArgument,
    out: OutOption = None,
    jobs: JobsOption = -1,
    scheduler: SchedulerOption = None,
    json: JsonOption = False,
) -> None:
    """Compare what SSL objectives, an untrained encoder and hand-crafted features encode: vital signs, outcome."""
    from ppgssl.stages.probe.probe import PROBE_FILE, PROBE_FOLDER, TABLE_FILE, make_plan, pretrain_probes, probe_lines
    from ppgssl.stages.probe.probe import probe as run_probe
    from ppgssl.stages.study import open_study

    study_data, folder = open_study(study, out)
    plan = make_plan(study_data)
    with progress_bar("pretrain") as progress:
        encoders = pretrain_probes(plan, study_data, folder, n_jobs=jobs, scheduler=scheduler, progress=progress)
    with progress_bar("probe") as progress:
        results = run_probe(plan, study_data, folder, n_jobs=jobs, scheduler=scheduler, progress=progress)
    warnings = [f"{one.label}: {warning}" for one in results.representations for warning in one.warnings]
    print_warnings(warnings)
    summary: dict[str, object] = {"encoders": len(encoders), "results": str(folder / PROBE_FOLDER / PROBE_FILE)}
    summary["table"] = str(folder / PROBE_FOLDER / TABLE_FILE)
    if json:
        summary["warnings"] = warnings
        summary["measures"] = [measure.model_dump() for measure in results.measures]
    else:
        typer.echo("\n".join(probe_lines(results)))
    print_summary(summary, as_json=json, next_command=f"ppgssl evaluate {study}")
