"""Made-up children under five: hidden parts of illness drive vital signs, pulse shape, triage form and outcome."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.special import expit

from ppgssl.core.records import FloatArray
from ppgssl.simulate.findings import MWANIKI2023, SIGNS, Population

# What is possible: values beyond are those at the limits.
_RANGES = {
    "heart_rate_bpm": (60.0, 220.0),
    "resp_rate_per_min": (14.0, 85.0),
    "spo2_pct": (70.0, 100.0),
    "perfusion_index_pct": (0.2, 10.0),
    "vascular_tone": (-4.0, 4.0),
    "reflection": (-4.0, 4.0),
    "heart_rate_variability": (0.003, 0.1),
    "resp_modulation": (0.03, 0.6),
    "resp_amplitude": (0.1, 3.0),
    "sinus_arrhythmia": (0.02, 0.98),
    "spo2_variation_pct": (0.0, 6.0),
    "height_lag_rad": (-3.0, 3.0),
    "tone_coupling": (-0.98, 0.98),
    "alternans_coupling": (-0.98, 0.98),
    "weight_kg": (1.5, 35.0),
    "muac_cm": (8.0, 22.0),
    "temperature_c": (34.0, 42.0),
}
# Between two readings of one visit, and from admission to discharge, a child stays what it is by so much.
_SAME_VISIT, _OTHER_VISIT = 0.97, 0.7
_RECOVERED_PROPORTION = 0.5
_DECIMALS = {"weight_kg": 1, "muac_cm": 1, "temperature_c": 1}


def simulate_patients(
    n: int,
    *,
    prevalence: float | None = None,
    shift: float = 0.0,
    months: tuple[int, int] = (1, 59),
    population: Population = MWANIKI2023,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Draw children and their state during the recording.

    Parameters
    ----------
    prevalence : float, optional
        Expected proportion of events, in (0, 1), where ``shift`` is 0; that of the population by default. Each child's
        outcome is drawn, so that the proportion in a sample scatters about it.
    shift : float
        How much sicker than children seen as outpatients, in SDs of severity; the other parts shift by half of it.
    months : pair of int
        Youngest and oldest, 1..59.
    population : Population
        Whose children they are.

    Returns
    -------
    DataFrame, one row a child
        ``age_months``, ``is_female``, the hidden parts of illness such as ``severity`` (SD 1), ``event_probability``
        and ``is_event`` drawn from it, columns ``own_*`` (what is the child's own, SD 1), and the findings: those of
        the recording, which :mod:`ppgssl.simulate.findings` describes, with ``spo2_pct`` in place of its difference
        from 100 and proportions and correlations in place of their transforms, and ``weight_kg``, ``muac_cm``,
        ``temperature_c``.

    Raises
    ------
    ConfigError
        If ``prevalence`` does not lie between 0 and 1.
    """
    ages, weights = population.age_proportions(months)
    parts = rng.standard_normal((n, len(population.parts))) + population.part_means(shift)
    probability = population.outcome_probability(parts, prevalence)
    hidden = {
        "age_months": rng.choice(ages, size=n, p=weights).astype(int),
        "is_female": rng.random(n) < 0.5,
        **dict(zip(population.parts, parts.T, strict=True)),
        "event_probability": probability,
        "is_event": rng.random(n) < probability,
        **{f"own_{name}": rng.standard_normal(n) for name in population.findings},
    }
    return _with_findings(pd.DataFrame(hidden), population)


def simulate_reading(
    patients: pd.DataFrame, *, is_discharge: bool, population: Population = MWANIKI2023, rng: np.random.Generator
) -> pd.DataFrame:
    """The same children in another recording: minutes later, or days later when half of the illness is over."""
    kept = _OTHER_VISIT if is_discharge else _SAME_VISIT
    later = patients.copy()
    if is_discharge:
        later[list(population.parts)] *= _RECOVERED_PROPORTION
    for name in population.recorded:
        fresh = rng.standard_normal(len(later))
        later[f"own_{name}"] = kept * later[f"own_{name}"] + (1 - kept**2) ** 0.5 * fresh
    return _with_findings(later, population)


def simulate_clinical_table(
    patients: pd.DataFrame, *, missing_fraction: float, population: Population = MWANIKI2023, rng: np.random.Generator
) -> pd.DataFrame:
    """What a nurse writes down: measured values and signs, some of them missing, and the outcome.

    ``missing_fraction`` is the chance that a covariate's cell is empty, whatever its value; arm circumference is
    missing twice as often, age and sex never, nor the outcome. Numbers are text with the precision that the ward
    writes, signs ``yes`` and ``no``, empty where missing.
    """
    parts = patients[list(population.parts)].to_numpy()
    covariates = pd.DataFrame(
        {
            **{name: _text(patients[name].to_numpy(), decimals) for name, decimals in _DECIMALS.items()},
            # Spot checks, taken before or after the recording.
            "heart_rate_bpm": _text(_read_off(patients, "heart_rate_bpm", population, rng), 0),
            "resp_rate_per_min": _text(_read_off(patients, "resp_rate_per_min", population, rng), 0),
            "spo2_pct": _text(_read_off(patients, "desaturation_pct", population, rng), 0),
            **{
                name: np.where(rng.random(len(patients)) < sign.probability(parts), "yes", "no")
                for name, sign in SIGNS.items()
            },
        },
        index=patients.index,
    )
    chance = np.where(covariates.columns == "muac_cm", 2, 1) * missing_fraction
    covariates = covariates.mask(rng.random(covariates.shape) < chance, "")
    covariates.insert(0, "age_months", _text(patients["age_months"].to_numpy(), 0))
    covariates.insert(1, "sex", np.where(patients["is_female"], "F", "M"))
    covariates["hospitalized"] = np.where(patients["is_event"], "yes", "no")
    return covariates


def _with_findings(patients: pd.DataFrame, population: Population) -> pd.DataFrame:
    age, parts = patients["age_months"].to_numpy(float), patients[list(population.parts)].to_numpy()
    values = {
        name: finding.typical(age, parts) + finding.own_sd * patients[f"own_{name}"]
        for name, finding in population.findings.items()
    }
    return patients.assign(**_in_units(values, population))


def _in_units(values: Mapping[str, FloatArray], population: Population) -> dict[str, FloatArray]:
    """Findings on their scales -> physical units, within what is possible."""
    findings = population.findings
    units = {name: np.exp(value) if findings[name].is_log else value for name, value in values.items()}
    if "desaturation_pct" in units:
        units["spo2_pct"] = 100 - units.pop("desaturation_pct")
    if "sinus_arrhythmia" in units:
        units["sinus_arrhythmia"] = expit(units["sinus_arrhythmia"])
    units |= {name: np.tanh(value) for name, value in units.items() if name.endswith("_coupling")}
    return {name: np.clip(value, *_RANGES[name]) for name, value in units.items()}


def _read_off(patients: pd.DataFrame, name: str, population: Population, rng: np.random.Generator) -> FloatArray:
    """A finding of the recording, as another device shows it at triage."""
    finding = population.recorded[name]
    column = "spo2_pct" if name == "desaturation_pct" else name
    true = patients[column].to_numpy()
    scale = np.log(np.maximum(100 - true, 0.1)) if column == "spo2_pct" else np.log(true)
    return _in_units({name: scale + rng.normal(0, finding.reading_sd, len(patients))}, population)[column]


def _text(values: FloatArray, decimals: int) -> list[str]:
    return [f"{value:.{decimals}f}" for value in values]
