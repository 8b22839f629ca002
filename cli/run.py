"""``ppgssl run``."""

from __future__ import annotations

import typer
from ppgssl.cli.console import set_data_folder
from ppgssl.cli.evaluate import evaluate
from ppgssl.cli.ingest import ingest
from ppgssl.cli.options import (
    DataOption,
    DevicesOption,
    JobsOption,
    JsonOption,
    OutOption,
    SchedulerOption,
    StudyArgument,
)
from ppgssl.cli.pretrain import pretrain


def run(
    study: StudyArgument,
    out: OutOption = None,
    data: DataOption = None,
    jobs: JobsOption = -1,
    scheduler: SchedulerOption = None,
    devices: DevicesOption = 1,
    json: JsonOption = False,
) -> None:
    """Ingest, pretrain, evaluate and report; whatever is done and unchanged is skipped.

    To train on several nodes, run the stages one by one.
    """
    from ppgssl.stages.study import stores_to_make

    set_data_folder(data)
    for cohort, store in stores_to_make(study, out):
        _announce(f"ingest {cohort.name}", json)
        ingest(cohort, out=store, jobs=jobs, scheduler=scheduler, json=json)
    _announce("pretrain", json)
    pretrain(study, out=out, jobs=jobs, scheduler=scheduler, devices=devices, json=json)
    _announce("evaluate", json)
    evaluate(study, out=out, jobs=jobs, scheduler=scheduler, json=json)


def _announce(stage: str, is_json: bool) -> None:
    if not is_json:
        typer.echo(f"\n{stage}")
