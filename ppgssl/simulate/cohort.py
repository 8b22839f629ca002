"""A simulated study on disk: raw files, clinical table, descriptions, and the truth about them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ppgssl.core.parallel import Progress, silent
from ppgssl.core.text import suggest
from ppgssl.simulate.descriptions import cohort_yaml, filled, truth_text
from ppgssl.simulate.findings import population_of
from ppgssl.simulate.layouts import LAYOUTS
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


def simulate_cohort(
    out: Path,
    *,
    n_labelled: int = 120,
    n_unlabelled: int = 120,
    layout: str = "ts",
    hospital: str = "",
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
    """Write a labelled cohort, an unlabelled cohort of sicker inpatients, and a study of both.

    Parameters
    ----------
    out : Path
        Folder to make; an existing one must be empty.
    n_labelled, n_unlabelled : int
        Recordings of each cohort. A child has one, but for the unlabelled in the layout ``text``, who have up to four:
        two at admission and two at discharge.
    layout : {"ts", "text", "wfdb"}
        Files of a recording: float32 samples and trends, or text and trends, both as published, or WFDB.
    hospital : str
        What the names of both cohorts begin with: small letters, digits, ``_`` and ``-``. Children of cohorts of the
        same name and number count as the same children, as when a model is validated on another cohort.
    shift, labelled_shift : float
        How much sicker the unlabelled and the labelled children are than outpatients, in SDs of severity, -3 to 3.
    duration_s : float
        Length of a recording, 10 s (one segment) to one hour.
    prevalence : float, optional
        Expected proportion of hospitalized children among the labelled if ``labelled_shift`` is 0; that of the
        population by default. Outcomes are drawn, so that the proportion scatters: among few children, too few for an
        evaluation may have the event.
    children : {"mwaniki2023", "garde2016"}
        The population, a key of :data:`ppgssl.simulate.findings.POPULATIONS`.
    hidden_dynamics : bool
        Whether the outcome also depends on what no hand-crafted feature measures, see
        :data:`ppgssl.simulate.findings.HIDDEN`.
    artefacts : {"none", "clinic", "finger", "wrist", "running"}
        How often signals are disturbed, a key of :data:`ppgssl.simulate.devices.ARTEFACTS`.
    seed : int
        Equal seeds and parameters write equal bytes, on one platform with one version of NumPy.
    progress : Progress
        Called with the numbers of recordings written and to be written.

    Returns
    -------
    list of Path
        Descriptions, truth and README; the raw files lie in the folders ``labelled`` and ``unlabelled``.

    Raises
    ------
    ConfigError
        If a parameter is out of range (all such are listed), or ``out`` is not an empty folder. Nothing is written.
    """
    shifts = {"shift": shift, "labelled_shift": labelled_shift}
    known = (layout in LAYOUTS, f"layout is {layout!r}{suggest(layout, LAYOUTS)}: it must be {', '.join(LAYOUTS)}")
    is_name = not hospital or re.fullmatch(r"[a-z0-9][a-z0-9_-]*", hospital) is not None
    named = (is_name, f"hospital is {hospital!r}: it must be small letters, digits, _ and -, such as clinic2")
    rules = common_rules(n_labelled, n_unlabelled, duration_s, prevalence, shifts, seed, children, artefacts)
    check_parameters([*rules, known, named], out)
    population = population_of(children, hidden_dynamics=hidden_dynamics)
    drawn = {"prevalence": prevalence, "population": population}
    n_inpatients = -(-n_unlabelled // len(READINGS)) if layout == "text" else n_unlabelled
    labelled = make_patients("L", n_labelled, shift=labelled_shift, seed=(seed, 0), **drawn)
    inpatients = make_patients("U", n_inpatients, shift=shift, seed=(seed, 1), **drawn)
    sources = [
        Source(name, out / name / "signals", layout, patients, n, (seed, stream), population, artefacts)
        for name, patients, n, stream in (
            ("labelled", labelled, n_labelled, 11),
            ("unlabelled", inpatients, n_unlabelled, 12),
        )
    ]
    write_sources(sources, out, duration_s=duration_s, progress=progress)
    rng = np.random.default_rng([seed, 2])
    clinical = simulate_clinical_table(labelled, missing_fraction=MISSING_FRACTION, population=population, rng=rng)
    clinical.to_csv(out / "labelled" / "clinical.csv", lineterminator="\n")
    texts = {
        "labelled.yaml": cohort_yaml(layout, seed=seed, n=n_labelled, is_labelled=True, hospital=hospital),
        "unlabelled.yaml": cohort_yaml(layout, seed=seed, n=n_unlabelled, is_labelled=False, hospital=hospital),
        "study.yaml": filled("study.yaml", seed=seed),
        "README.md": filled(
            "README.md",
            layout=layout,
            seed=seed,
            n_labelled=n_labelled,
            n_events=int(labelled["is_event"].sum()),
            n_unlabelled=n_unlabelled,
            duration_s=f"{duration_s:g}",
            missing_pct=f"{100 * MISSING_FRACTION:g}",
            truth=truth_text(
                (labelled_shift, shift), children=children, hidden_dynamics=hidden_dynamics, artefacts=artefacts
            ),
        ),
    }
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8", newline="\n")
    return [out / name for name in ("labelled.yaml", "unlabelled.yaml", "study.yaml", "truth.csv", "README.md")]
