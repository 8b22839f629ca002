"""``ppgssl simulate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from ppgssl.cli.console import print_summary
from ppgssl.cli.options import JsonOption
from ppgssl.cli.progress import progress_bar


def simulate(
    out: Annotated[Path, typer.Option("--out", help="New folder for the simulated raw files and descriptions.")],
    layout: Annotated[
        str,
        typer.Option(
            "--layout",
            help="Files of a recording: ts (float32 and trends), text (and trends), wfdb; or mwaniki2023, the three "
            "published data sets as the recipe in data_schemas/examples/mwaniki2023 reads them.",
        ),
    ] = "ts",
    patients: Annotated[
        int | None,
        typer.Option("--patients", help="Labelled patients, a recording each.  [default: 120; mwaniki2023: 1031]"),
    ] = None,
    unlabelled: Annotated[
        int | None, typer.Option("--unlabelled", help="Recordings without labels.  [default: 120; mwaniki2023: 6547]")
    ] = None,
    prevalence: Annotated[
        float | None,
        typer.Option(
            "--prevalence", help="Expected proportion of hospitalized patients.  [default: 0.126; garde2016: 0.3]"
        ),
    ] = None,
    children: Annotated[
        str,
        typer.Option(
            "--children",
            help="mwaniki2023: discrimination as in that study; or garde2016: heart rate, its variability and SpO2 "
            "as in that one.",
        ),
    ] = "mwaniki2023",
    hidden_dynamics: Annotated[
        bool,
        typer.Option(
            "--hidden-dynamics", help="The outcome also depends on dynamics that no hand-crafted feature measures."
        ),
    ] = False,
    artefacts: Annotated[
        str,
        typer.Option(
            "--artefacts",
            help="Disturbances of the signal: none, clinic, or as in real recordings of a finger at rest (finger), "
            "a wrist in daily life (wrist) or while running (running).",
        ),
    ] = "clinic",
    shift: Annotated[
        float, typer.Option("--shift", help="How much sicker the unlabelled patients are, in SDs of severity.")
    ] = 1.0,
    labelled_shift: Annotated[
        float,
        typer.Option(
            "--labelled-shift", help="Severity of the labelled patients above the reference, for new cohorts."
        ),
    ] = 0.0,
    hospital: Annotated[
        str, typer.Option("--hospital", help="What the cohorts' names begin with; give new cohorts one of their own.")
    ] = "",
    seconds: Annotated[float, typer.Option("--seconds", help="Length of a recording.")] = 60.0,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same bytes.")] = 1,
    json: JsonOption = False,
) -> None:
    """Write a cohort of simulated children with a known truth, as raw files, ready for `ppgssl run`."""
    from ppgssl.data_schemas import FOLDER

    from ppgssl.stages.simulate import LAYOUT
    from ppgssl.stages.simulate import simulate as run_simulate

    with progress_bar("simulate") as progress:
        n_labelled, n_unlabelled = run_simulate(
            out,
            layout=layout,
            hospital=hospital,
            n_labelled=patients,
            n_unlabelled=unlabelled,
            shift=shift,
            labelled_shift=labelled_shift,
            duration_s=seconds,
            prevalence=prevalence,
            children=children,
            hidden_dynamics=hidden_dynamics,
            artefacts=artefacts,
            seed=seed,
            progress=progress,
        )
    recipe = f"{FOLDER / 'examples' / LAYOUT / 'study.yaml'} --data {out} --out RUN"
    print_summary(
        {"folder": str(out), "layout": layout, "patients": n_labelled, "unlabelled_recordings": n_unlabelled},
        as_json=json,
        next_command=f"ppgssl run {recipe if layout == LAYOUT else out / 'study.yaml'}",
    )
