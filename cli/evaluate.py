"""``ppgssl evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from ppgssl.cli.console import print_summary, print_warnings, set_data_folder
from ppgssl.cli.options import DataOption, JobsOption, JsonOption, OutOption, SchedulerOption
from ppgssl.cli.progress import progress_bar
from ppgssl.cli.report import paths

if TYPE_CHECKING:
    from ppgssl.core.results.study import Results


def evaluate(
    study: Annotated[
        Path | None,
        typer.Argument(
            help="Description of the study: study.yaml. With --model: cohort.yaml, or a store.", show_default=False
        ),
    ] = None,
    out: OutOption = None,
    jobs: JobsOption = -1,
    scheduler: SchedulerOption = None,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            help="A model of `ppgssl fit`, to be evaluated as it is on a cohort (external validation).",
            show_default=False,
        ),
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            "--predictions",
            help="Risks made elsewhere (CSV, Parquet): patient, repeat, fold, y_true, and a column for each model.",
            show_default=False,
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            "--reference", help="With --predictions: the model that others are compared with, the first by default."
        ),
    ] = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Fit every arm of a study on each training fold, test it, and write results.json and the report.

    With --model, evaluate a frozen model on a cohort instead; with --predictions, risks that R or anything else made.
    """
    set_data_folder(data)
    if predictions is not None:
        _evaluate_predictions(predictions, study, model, out, reference, json=json)
        return
    if study is None:
        raise typer.BadParameter("name the study.yaml, or give --predictions FILE", param_hint="STUDY")
    if model is not None:
        _evaluate_model(model, study, out, jobs=jobs, scheduler=scheduler, json=json)
        return
    from ppgssl.stages.evaluate.evaluate import evaluate as run_evaluate
    from ppgssl.stages.study import open_study

    study_data, folder = open_study(study, out)
    with progress_bar("evaluate") as progress:
        results = run_evaluate(study_data, folder, n_jobs=jobs, scheduler=scheduler, progress=progress)
    _deliver(results, folder, [results.probe_note] if results.probe_note else [], json=json)


def _evaluate_model(
    model: Path, source: Path, out: Path | None, *, jobs: int, scheduler: str | None, json: bool
) -> None:
    from ppgssl.core.errors import ConfigError
    from ppgssl.stages.deploy.validate import validate_model

    if out is None:
        raise ConfigError("`ppgssl evaluate --model` needs --out: the folder of its results")
    with progress_bar("ingest") as progress:
        validation = validate_model(model, source, out, n_jobs=jobs, scheduler=scheduler, progress=progress)
    _deliver(validation.results, out, validation.warnings, json=json)


def _evaluate_predictions(
    file: Path, study: Path | None, model: Path | None, out: Path | None, reference: str | None, *, json: bool
) -> None:
    from ppgssl.core.errors import ConfigError
    from ppgssl.stages.evaluate.external_predictions import evaluate_predictions

    if study is not None or model is not None:
        raise ConfigError("`ppgssl evaluate --predictions` takes the table alone: leave out the study and --model")
    folder = file.with_suffix("") if out is None else out
    _deliver(evaluate_predictions(file, folder, reference=reference), folder, [], json=json)


def _deliver(results: Results, folder: Path, warnings: list[str] | tuple[str, ...], *, json: bool) -> None:
    from ppgssl.core.results.study import RESULTS_FILE
    from ppgssl.stages.report import arms_summary, write_report

    delivery = write_report(results, folder)
    print_warnings([*warnings, *delivery.warnings])
    print_summary({**arms_summary(results), "results": str(folder / RESULTS_FILE), **paths(delivery)}, as_json=json)
