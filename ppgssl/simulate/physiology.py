"""Made-up children under five: one latent severity drives vital signs, pulse shape, covariates and outcome.

Given age and severity, everything a child shows is drawn independently. Each finding is then one more noisy reading of
severity, so that the waveform (perfusion, pulse shape, variability, breathing) tells of the outcome what covariates,
heart rate and SpO2 leave open. Where no source is named, a number is a plausible choice and not an estimate.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit

from ppgssl.errors import ConfigError
from ppgssl.records import FloatArray

SEVERITY_LOG_ODDS = 2.5
"""Log-odds of the event per unit (one SD in the labelled population) of severity."""

# Age in months -> median. The values at 1 and 24 months (and 0, for breathing) are those of Fleming's abstract, the
# others approximate readings of its charts.
_HEART_RATE_BPM = ([1, 3, 6, 12, 18, 24, 36, 48, 60], [145, 142, 137, 126, 119, 113, 107, 101, 98])
_RESP_RATE_PER_MIN = ([0, 3, 6, 12, 18, 24, 36, 48, 60], [44, 42, 40, 35, 30, 26, 25, 24, 23])
# Weight: near the medians of the WHO Child Growth Standards, both sexes together. MUAC: plausible for well children.
_WEIGHT_KG = ([0, 3, 6, 12, 24, 36, 48, 60], [3.3, 6.1, 7.6, 9.3, 11.8, 14.1, 16.2, 18.2])
_MUAC_CM = ([0, 6, 12, 24, 60], [12.0, 14.0, 14.6, 15.3, 16.8])


def simulate_patients(
    n: int, *, prevalence: float, mean_severity: float = 0.0, rng: np.random.Generator
) -> pd.DataFrame:
    """Draw children and their state during the recording.

    Parameters
    ----------
    n : int
        Number of children.
    prevalence : float
        Expected share of events, in (0, 1), where severity has mean 0. Each child's outcome is drawn, so that the
        share in a sample scatters about it.
    mean_severity : float
        Mean of the normal, SD 1, that severity is drawn from: 0 for children seen as outpatients, above for inpatients.
    rng : Generator
        The only source of randomness.

    Returns
    -------
    DataFrame, one row a child
        ``age_months`` 1..59, ``is_female``, ``severity``, ``temperature_c``, ``heart_rate_bpm``,
        ``resp_rate_per_min``, ``spo2_pct`` (70..100), ``perfusion_index_pct`` (peak-to-trough pulse over baseline,
        infrared), ``vascular_tone`` (about SD 1, high = constricted), ``heart_rate_variability`` (SD over mean of the
        instantaneous rate), ``resp_modulation`` (breathing's share of the pulse amplitude), ``event_probability``
        and ``is_event``, drawn from logit P = intercept + 2.5 severity.

    Raises
    ------
    ConfigError
        If ``prevalence`` does not lie between 0 and 1.

    References
    ----------
    Medians of heart and respiratory rate by age: Fleming et al., Normal ranges of heart rate and respiratory rate in
    children from birth to 18 years of age, Lancet 377:1011, 2011, 10.1016/S0140-6736(10)62226-X.
    Rise of heart rate by about 10 bpm per degree of fever: Thompson et al., Deriving temperature and age appropriate
    heart rate centiles for children with acute infections, Arch Dis Child 94:361, 2009, 10.1136/adc.2008.145011.
    Skewed perfusion index with a median near 1.4 %, low in poor perfusion (adults): Lima, Beale, Bakker, Use of a
    peripheral perfusion index derived from the pulse oximetry signal, Crit Care Med 30:1210, 2002.
    """
    intercept = _intercept(prevalence)
    age = np.clip(np.round(rng.lognormal(np.log(18), 0.8, n)), 1, 59)
    severity = rng.normal(mean_severity, 1, n)
    temperature = np.clip(rng.normal(37.3 + 0.35 * severity, 0.8), 35, 41)
    fever_bpm = 10 * np.maximum(temperature - 37, 0)
    tone = rng.normal(0.8 * severity, 0.6)
    probability = expit(intercept + SEVERITY_LOG_ODDS * severity)
    return pd.DataFrame(
        {
            "age_months": age.astype(int),
            "is_female": rng.random(n) < 0.5,
            "severity": severity,
            "temperature_c": temperature,
            "heart_rate_bpm": np.clip(
                np.interp(age, *_HEART_RATE_BPM) * rng.lognormal(0.03 * severity, 0.09) + fever_bpm, 60, 220
            ),
            "resp_rate_per_min": np.clip(
                np.interp(age, *_RESP_RATE_PER_MIN) * rng.lognormal(0.10 * severity, 0.15), 14, 85
            ),
            "spo2_pct": np.clip(99 - rng.lognormal(0.4 + 0.5 * severity, 0.5), 70, 100),
            "perfusion_index_pct": np.clip(rng.lognormal(np.log(1.6) - 0.30 * tone, 0.4), 0.3, 8),
            "vascular_tone": tone,
            "heart_rate_variability": np.clip(rng.lognormal(np.log(0.03) - 0.25 * severity, 0.35), 0.003, 0.1),
            "resp_modulation": np.clip(rng.lognormal(np.log(0.15) + 0.2 * severity, 0.35), 0.03, 0.6),
            "event_probability": probability,
            "is_event": rng.random(n) < probability,
        }
    )


def simulate_clinical_table(
    patients: pd.DataFrame, *, missing_fraction: float, rng: np.random.Generator
) -> pd.DataFrame:
    """What a nurse writes down: measured values and signs, some of them missing, and the outcome.

    Parameters
    ----------
    patients : DataFrame
        From :func:`simulate_patients`.
    missing_fraction : float
        Chance that a covariate's cell is empty, whatever its value; the outcome is never missing.

    Returns
    -------
    DataFrame, index as ``patients``
        Numbers as text with the precision that the ward writes, signs as ``yes`` and ``no``, empty where missing.

    References
    ----------
    Median weight by age: WHO Child Growth Standards, World Health Organization, 2006.
    """
    age, severity = patients["age_months"].to_numpy(), patients["severity"].to_numpy()
    muac = np.interp(age, *_MUAC_CM) - 0.35 * severity + rng.normal(0, 0.9, len(patients))
    weight = np.interp(age, *_WEIGHT_KG) * rng.lognormal(-0.02 * severity, 0.12)
    table = pd.DataFrame(
        {
            "age_months": _text(age, 0),
            "sex": np.where(patients["is_female"], "F", "M"),
            "weight_kg": _text(weight, 1),
            "muac_cm": _text(muac, 1),
            "temperature_c": _text(patients["temperature_c"].to_numpy(), 1),
            # Spot checks, taken before or after the recording.
            "heart_rate_bpm": _text(rng.normal(patients["heart_rate_bpm"], 5), 0),
            "resp_rate_per_min": _text(rng.normal(patients["resp_rate_per_min"], 4), 0),
            "spo2_pct": _text(np.minimum(rng.normal(patients["spo2_pct"], 1), 100), 0),
            "difficulty_breathing": _sign(-0.8 + 1.2 * severity, rng),
            "can_drink_or_breastfeed": _sign(2.4 - 1.2 * severity, rng),
            "irritability": _sign(-0.8 + 1.0 * severity, rng),
        },
        index=patients.index,
    )
    is_missing = rng.random(table.shape) < missing_fraction
    table = table.mask(is_missing, "")
    table["hospitalized"] = np.where(patients["is_event"], "yes", "no")
    return table


def _intercept(prevalence: float) -> float:
    """Intercept that gives ``prevalence`` where severity is standard normal."""
    if not 0 < prevalence < 1:
        raise ConfigError(f"prevalence is {prevalence:g}: it must lie between 0 and 1, for example 0.3")
    nodes, weights = np.polynomial.hermite_e.hermegauss(64)
    weights = weights / weights.sum()
    return float(brentq(lambda b: weights @ expit(b + SEVERITY_LOG_ODDS * nodes) - prevalence, -100, 100))


def _text(values: FloatArray, decimals: int) -> list[str]:
    return [f"{value:.{decimals}f}" for value in values]


def _sign(log_odds: FloatArray, rng: np.random.Generator) -> np.ndarray:
    return np.where(rng.random(len(log_odds)) < expit(log_odds), "yes", "no")
