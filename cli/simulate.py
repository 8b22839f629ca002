"""``ppgssl simulate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from ppgssl.cli.console import JsonOption, print_summary


def simulate(
    out: Annotated[Path, typer.Option("--out", help="New folder for the simulated raw files and descriptions.")],
    patients: Annotated[int, typer.Option("--patients", help="Labelled patients.")] = 60,
    unlabelled: Annotated[int, typer.Option("--unlabelled", help="Patients of the unlabelled cohort.")] = 60,
    seconds: Annotated[float, typer.Option("--seconds", help="Length of a recording.")] = 60.0,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same bytes.")] = 1,
    json: JsonOption = False,
) -> None:
    """Write a cohort of simulated children with a known truth, as raw files, ready for `ppgssl run`."""
    from ppgssl.simulate.cohort import simulate_cohort

    simulate_cohort(out, n_labelled=patients, n_unlabelled=unlabelled, duration_s=seconds, seed=seed)
    summary = {"folder": str(out), "patients": patients, "unlabelled_patients": unlabelled}
    print_summary(summary, as_json=json, next_command=f"ppgssl run {out / 'study.yaml'}")
