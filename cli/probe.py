"""``ppgssl probe``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from ppgssl.cli.console import JobsOption, JsonOption, OutOption, print_summary, print_warnings, progress_bar
from ppgssl.cli.pretrain import StudyArgument

if TYPE_CHECKING:
    from ppgssl.core.results.probe import ProbeMeasure, ProbeQuantity, ProbeResults

# What the short table shows of each quantity; everything else is in probe.json and probe.csv.
_SHOWN = {"r2": "R2", "top1": "top-1", "auroc": "AUC"}


def probe(study: StudyArgument, out: OutOption = None, jobs: JobsOption = -1, json: JsonOption = False) -> None:
    """Compare what SSL objectives, an untrained encoder and hand-made features tell: vital signs, patient, outcome."""
    from ppgssl.stages.probe.probe import PROBE_FILE, PROBE_FOLDER, TABLE_FILE, make_plan, pretrain_probes
    from ppgssl.stages.probe.probe import probe as run_probe
    from ppgssl.stages.study import open_study

    study_data, folder = open_study(study, out)
    plan = make_plan(study_data)
    with progress_bar("pretrain") as advance:
        encoders = pretrain_probes(plan, study_data, folder, n_jobs=jobs, progress=advance)
    with progress_bar("probe") as advance:
        results = run_probe(plan, study_data, folder, n_jobs=jobs, progress=advance)
    warnings = [f"{one.label}: {warning}" for one in results.representations for warning in one.warnings]
    print_warnings(warnings)
    if not json:
        _print_tables(results)
    summary: dict[str, object] = {"encoders": len(encoders), "results": str(folder / PROBE_FOLDER / PROBE_FILE)}
    summary["table"] = str(folder / PROBE_FOLDER / TABLE_FILE)
    if json:
        summary["warnings"] = warnings
        summary["measures"] = [measure.model_dump() for measure in results.measures]
    print_summary(summary, as_json=json, next_command=f"ppgssl evaluate {study}")


def _print_tables(results: ProbeResults) -> None:
    for cohort in dict.fromkeys(quantity.cohort for quantity in results.quantities):
        typer.echo(f"\n{cohort}")
        for quantity in (one for one in results.quantities if one.cohort == cohort):
            _print_quantity(results, quantity)
    typer.echo("")


def _print_quantity(results: ProbeResults, quantity: ProbeQuantity) -> None:
    if not quantity.is_measured:
        typer.echo(f"  {quantity.label}: not measurable: {quantity.n_patients} patients")
        return
    own = {one.name: one.own_part for one in results.representations}
    labels = {one.name: one.label for one in results.representations}
    rows = [
        measure
        for measure in results.measures
        if (measure.cohort, measure.quantity) == (quantity.cohort, quantity.name)
        and measure.statistic in _SHOWN
        and measure.part == own[measure.representation]
    ]
    statistic = rows[0].statistic
    chance = f", chance {quantity.chance[statistic]:.3f}" if statistic in quantity.chance else ""
    typer.echo(f"  {quantity.label}, {_SHOWN[statistic]} ({quantity.n_patients} patients, {quantity.source}{chance})")
    for measure in rows:
        typer.echo(f"    {labels[measure.representation]:<34} {_interval(measure)}")


def _interval(measure: ProbeMeasure) -> str:
    value = measure.value
    if value.estimate is None or value.ci_low is None or value.ci_high is None:
        return "not defined"
    return f"{value.estimate:6.3f} ({value.ci_low:.3f} to {value.ci_high:.3f})"
