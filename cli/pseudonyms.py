"""``ppgssl pseudonyms``."""

from __future__ import annotations

from typing import Annotated

import typer
from ppgssl.cli.console import print_summary, set_data_folder
from ppgssl.cli.options import CohortArgument, DataOption, JsonOption


def pseudonyms(
    cohort: CohortArgument,
    names: Annotated[
        list[str],
        typer.Argument(help="Pseudonyms of patients, recordings or files; or their names.", show_default=False),
    ],
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Print the names behind pseudonyms, or the pseudonyms of names: for those who hold the raw files and the key.

    What is printed names patients.
    """
    from ppgssl.core.errors import ConfigError
    from ppgssl.stages.ingest.ingest import original_names

    set_data_folder(data)
    originals = original_names(cohort)
    known = {original: pseudonym for pseudonym, original in originals.items()} | originals
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError(
            f"neither a pseudonym nor a name of the raw files of {cohort}: {', '.join(unknown)}. Is it of another "
            "cohort, or made with another key? Of a recording, give the part before # and @."
        )
    if json:
        print_summary({name: known[name] for name in names}, as_json=True)
        return
    for name in names:
        typer.echo(f"{name}  {known[name]}")
