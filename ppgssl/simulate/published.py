"""The three data sets of the published study, simulated: files, names and headings as the recipe reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ppgssl.core.parallel import Progress, silent
from ppgssl.simulate.descriptions import filled, truth_text
from ppgssl.simulate.findings import Population, population_of
from ppgssl.simulate.physiology import simulate_clinical_table
from ppgssl.simulate.sources import (
    MISSING_FRACTION,
    READINGS,
    Source,
    check_parameters,
    common_rules,
    make_patients,
    write_sources,
)

N_LABELLED, N_UNLABELLED = 1031, 6547
"""Recordings of the published study."""

LAYOUT = "mwaniki2023"
# How the unlabelled recordings divide between children of six months and more, and younger ones: a guess.
_OLDER_PROPORTION = 0.6
# Covariate -> heading in the table of the first data set, as the authors' public analysis code has it
# (github.com/pmwaniki/ppg-analysis), blanks at the end and all.
HEADINGS = {
    "patient_id": "Study No",
    "age_years": "Age (years)",
    "sex": "Sex",
    "weight_kg": "Weight (kgs)",
    "muac_cm": "MUAC (Mid-upper arm circumference) cm",
    "temperature_c": "Temperature (degrees celsius)",
    "heart_rate_bpm": "Heart rate(HR) ",
    "resp_rate_per_min": "Respiratory rate- RR (per minute)",
    "spo2_pct": "Oxygen saturation",
    "difficulty_breathing": "Difficulty breathing",
    "can_drink_or_breastfeed": "Can drink / breastfeed?",
    "irritability": "Irritable/restlessness ",
    "hospitalized": "Was child admitted (this illness)?",
}
_LEVELS = {"yes": "Yes", "no": "No", "F": "Female", "M": "Male"}


def simulate_published(
    out: Path,
    *,
    n_labelled: int = N_LABELLED,
    n_unlabelled: int = N_UNLABELLED,
    shift: float = 1.0,
    labelled_shift: float = 0.0,
    duration_s: float = 60.0,
    prevalence: float | None = None,
    children: str = "mwaniki2023",
    hidden_dynamics: bool = False,
    artefacts: str = "clinic",
    seed: int = 1,
    progress: Progress = silent,
) -> list[Path]:
    """Write files as in the three published data sets; parameters and errors as of :func:`simulate_cohort`.

    Outpatients with float32 files and trends; inpatients of six months and more, and younger ones, at least one of
    each, with text and trends. Returned are ``truth.csv`` and ``README.md``: the descriptions are those of the recipe.
    """
    shifts = {"shift": shift, "labelled_shift": labelled_shift}
    rules = common_rules(n_labelled, n_unlabelled, duration_s, prevalence, shifts, seed, children, artefacts)
    two = (n_unlabelled >= 2, f"n_unlabelled is {n_unlabelled}: two unlabelled cohorts need at least 2 recordings")
    check_parameters([*rules, two], out)
    population = population_of(children, hidden_dynamics=hidden_dynamics)
    drawn = {"prevalence": prevalence, "population": population}
    kind = (population, artefacts)
    n_older = min(max(round(_OLDER_PROPORTION * n_unlabelled), 1), n_unlabelled - 1)
    n_younger = n_unlabelled - n_older
    labelled = make_patients("M", n_labelled, shift=labelled_shift, seed=(seed, 0), **drawn)
    sources = [Source("triage", out / "triage" / "documents", "ts", labelled, n_labelled, (seed, 3), *kind)]
    for name, prefix, n, months, stream in (
        ("sepsis_6_60_months", "S", n_older, (6, 59), 1),
        ("sepsis_0_6_months", "N", n_younger, (1, 5), 2),
    ):
        patients = make_patients(
            prefix, -(-n // len(READINGS)), shift=shift, months=months, seed=(seed, stream), **drawn
        )
        sources.append(Source(name, out / name, "text", patients, n, (seed, 3 + stream), *kind))
    write_sources(sources, out, duration_s=duration_s, progress=progress)
    table = _published_table(labelled, population, np.random.default_rng([seed, 6]))
    table.to_csv(out / "triage" / "data.csv", index=False, lineterminator="\n")
    readme = filled(
        "README_published.md",
        seed=seed,
        n_labelled=n_labelled,
        n_events=int(labelled["is_event"].sum()),
        n_older=n_older,
        n_younger=n_younger,
        truth=truth_text(
            (labelled_shift, shift), children=children, hidden_dynamics=hidden_dynamics, artefacts=artefacts
        ),
    )
    (out / "README.md").write_text(readme, encoding="utf-8", newline="\n")
    return [out / "truth.csv", out / "README.md"]


def _published_table(labelled: pd.DataFrame, population: Population, rng: np.random.Generator) -> pd.DataFrame:
    """The clinical table with the published headings and levels."""
    table = simulate_clinical_table(
        labelled, missing_fraction=MISSING_FRACTION, population=population, rng=rng
    ).reset_index()
    table["age_years"] = [f"{int(months) / 12:.1f}" for months in table["age_months"]]
    return table[list(HEADINGS)].replace(_LEVELS).rename(columns=HEADINGS)
