"""``ppgssl run``."""

from __future__ import annotations

import typer
from ppgssl.cli.console import DataOption, JobsOption, JsonOption, OutOption, set_data_folder, study_out
from ppgssl.cli.evaluate import evaluate
from ppgssl.cli.ingest import ingest
from ppgssl.cli.pretrain import DevicesOption, StudyArgument, pretrain


def run(
    study: StudyArgument,
    out: OutOption = None,
    data: DataOption = None,
    jobs: JobsOption = -1,
    devices: DevicesOption = 1,
    json: JsonOption = False,
) -> None:
    """Ingest, pretrain, evaluate and report; whatever is done and unchanged is skipped.

    To train on several nodes, run the stages one by one.
    """
    from ppgssl.config import load_study
    from ppgssl.store.study_data import cohort_file, store_folder

    description = load_study(study)
    folder = study_out(study, description.out, out)
    set_data_folder(data)
    for entry in description.cohorts:
        if entry.cohort is not None:
            _announce(f"ingest {entry.cohort}", json)
            ingest(cohort_file(entry, study), out=store_folder(entry, study, folder), jobs=jobs, json=json)
    _announce("pretrain", json)
    pretrain(study, out=folder, jobs=jobs, devices=devices, json=json)
    _announce("evaluate", json)
    evaluate(study, out=folder, jobs=jobs, json=json)


def _announce(stage: str, is_json: bool) -> None:
    if not is_json:
        typer.echo(f"\n{stage}")
