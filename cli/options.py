"""Options that several commands have, and that mean the same in each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

CohortArgument = Annotated[Path, typer.Argument(help="Description of the cohort: cohort.yaml.", show_default=False)]
StudyArgument = Annotated[Path, typer.Argument(help="Description of the study: study.yaml.", show_default=False)]
DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="Folder of raw data: the value of ${PPGSSL_DATA} in cohort.yaml.", show_default=False),
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", help="Folder of the study's outputs, instead of `out` in study.yaml.", show_default=False),
]
JobsOption = Annotated[int, typer.Option("--jobs", help="Processes side by side; -1 is one a core.")]
SchedulerOption = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        help="Dask scheduler whose workers do the work: tcp://HOST:8786. They must see the folders of data and outputs "
        "under the same path.",
        show_default=False,
    ),
]
DevicesOption = Annotated[
    int, typer.Option("--devices", min=1, help="GPUs (or, without one, processes) on each node that train together.")
]
NodesOption = Annotated[
    int, typer.Option("--nodes", min=1, help="Machines that train together, each started by torchrun or srun.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the summary as JSON, for machines.")]
