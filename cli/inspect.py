"""``ppgssl inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from ppgssl.cli.console import print_summary
from ppgssl.cli.options import JsonOption
from ppgssl.cli.progress import progress_bar


def inspect(
    store: Annotated[Path, typer.Argument(help="Folder made by `ppgssl ingest`.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option("--out", help="Page to write; `inspect.html` in the store by default.")
    ] = None,
    recordings: Annotated[
        int, typer.Option("--recordings", min=0, help="Most recordings drawn on the page, from the worst to the best.")
    ] = 200,
    json: JsonOption = False,
) -> None:
    """Summarise a store, and write a page to look through recordings, segments and vitals by quality."""
    from ppgssl.stages.inspect import inspect_store, store_facts, store_tables

    with progress_bar(f"inspect {store.name}") as progress:
        inspection = inspect_store(store, out, n_recordings=recordings, progress=progress)
    if json:
        print_summary(inspection.summary | {"page": str(inspection.page), "drawn": inspection.n_drawn}, as_json=True)
        return
    print_summary(store_facts(inspection.summary), as_json=False)
    typer.echo("\n".join(store_tables(inspection.summary)))
    typer.echo(
        f"\nwrote {inspection.page}: {inspection.n_drawn} of {inspection.summary['recordings']} recordings drawn"
    )
