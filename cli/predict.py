"""``ppgssl predict``."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from ppgssl.cli.console import print_warnings, set_data_folder
from ppgssl.cli.options import DataOption


class Format(StrEnum):
    """How predictions are written."""

    CSV = "csv"
    JSON = "json"


def predict(
    model: Annotated[Path, typer.Argument(help="Folder that `ppgssl fit` made.", show_default=False)],
    files: Annotated[
        list[Path] | None, typer.Argument(help="Raw files; by default everybody in the cohort.", show_default=False)
    ] = None,
    cohort: Annotated[
        Path | None,
        typer.Option(
            "--cohort",
            help="Description of where the files are from; by default they are read as the training cohort's were.",
            show_default=False,
        ),
    ] = None,
    clinical: Annotated[
        Path | None,
        typer.Option("--clinical", help="Table of clinical values, instead of the cohort's.", show_default=False),
    ] = None,
    recalibration: Annotated[
        Path | None,
        typer.Option(
            "--recalibration",
            help="recalibration-*.json of `ppgssl evaluate --model`: its risk is reported next to the model's.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[Format, typer.Option("--format", help="Of the predictions.")] = Format.CSV,
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write; by default they are printed.", show_default=False)
    ] = None,
    data: DataOption = None,
) -> None:
    """Predict patients from raw files: a risk with its interval and reasons to distrust it, or a refusal."""
    from ppgssl.core.provenance import write_atomically
    from ppgssl.stages.deploy.predict import predict as run_predict

    set_data_folder(data)
    if out is not None:
        _check_out(out)
    predictions = run_predict(model, files or [], cohort_file=cohort, clinical=clinical, recalibration=recalibration)
    is_json = output is Format.JSON
    text = predictions.model_dump_json(indent=1) + "\n" if is_json else predictions.table().to_csv(index=False)
    print_warnings(predictions.warnings)
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_atomically(out, text)


def _check_out(out: Path) -> None:
    """Refuse a file that could not be written, before anybody is predicted."""
    from ppgssl.core.errors import ConfigError

    folder = out.absolute().parent
    if out.is_dir():
        raise ConfigError(f"--out {out} is a folder: name a file in it")
    if not folder.is_dir():
        raise ConfigError(f"--out {out}: there is no folder {folder}. Make it first")
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"--out {out}: you may not write into {folder}")
