"""The descriptions of a simulated study, written as an analyst would write them."""

from __future__ import annotations

from importlib.resources import files
from string import Template

from ppgssl.simulate.findings import population_of
from ppgssl.simulate.layouts import FS_HZ


def filled(template: str, **values: object) -> str:
    """A file of ``templates/``, with ``$fs_hz`` and these names filled in."""
    text = files("ppgssl.simulate").joinpath("templates", template).read_text(encoding="utf-8")
    return Template(text).substitute(fs_hz=FS_HZ, **values)


def cohort_yaml(layout: str, *, seed: int, n: int, is_labelled: bool, hospital: str = "") -> str:
    """Text of a ``cohort.yaml``; the hospital begins the cohort's name."""
    if is_labelled:
        name, title = "labelled", "Simulated outpatient children"
        description = f"{n} made-up children under five, seen as outpatients; some are hospitalized."
    else:
        name, title = "unlabelled", "Simulated inpatient children"
        description = f"{n} recordings of made-up children under five, sicker inpatients; no clinical table."
    return filled(
        "cohort.yaml",
        seed=seed,
        name=f"{hospital}_{name}" if hospital else name,
        folder=name,
        title=title,
        description=description,
        signals=filled(f"signals_{layout}.yaml").rstrip("\n"),
        clinical="\n" + filled("clinical.yaml") if is_labelled else "",
    )


def truth_text(shifts: tuple[float, float], *, children: str, hidden_dynamics: bool, artefacts: str) -> str:
    """How the outcome came about, and what ``truth.csv`` holds; shifts of the labelled and the unlabelled."""
    population = population_of(children, hidden_dynamics=hidden_dynamics)
    terms = zip(population.outcome_log_odds, population.parts, strict=True)
    options = [f"--children {children}"] * (children != "mwaniki2023") + ["--hidden-dynamics"] * hidden_dynamics
    options += [f"--artefacts {artefacts}"] * (artefacts != "clinic")
    return filled(
        "truth.md",
        options=f"Options: `{' '.join(options)}`.\n\n" if options else "",
        n_parts={4: "Four", 5: "Five"}[len(population.parts)],
        terms=" + ".join(f"{odds:g} {part}" for odds, part in terms),
        labelled_shift=f"{shifts[0]:g}",
        shift=f"{shifts[1]:g}",
    )
