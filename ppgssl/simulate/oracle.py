"""What the best possible prediction from each set of findings would reach: the ceiling of every arm of a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, ndtri
from scipy.stats import qmc

from ppgssl.core.records import BoolArray, FloatArray
from ppgssl.simulate.findings import HIDDEN, MEASURED, MWANIKI2023, SIGNS, Finding, Population

_PUBLISHED_SIGNS = ("difficulty_breathing", "can_drink_or_breastfeed", "irritability")
_N_NODES = 256


@dataclass(frozen=True)
class InformationSet:
    """Findings that a prediction may use: from the recording, read off at triage, and signs. Age is in none of them."""

    recorded: tuple[str, ...] = ()
    read_off: tuple[str, ...] = ()
    signs: tuple[str, ...] = ()

    def findings(self, population: Population = MWANIKI2023) -> list[tuple[str, Finding, float]]:
        """Name, finding, and SD of the value that is known, about what age and parts explain."""
        known = [(name, population.recorded[name], population.recorded[name].own_sd) for name in self.recorded]
        return known + [
            (name, finding, float(np.hypot(finding.own_sd, finding.reading_sd)))
            for name in self.read_off
            for finding in [population.findings[name]]
        ]


def information_sets(population: Population = MWANIKI2023) -> dict[str, InformationSet]:
    """Information sets, by the words of the arms that use them (``waveform``: SSL features, networks).

    Of a population with hidden dynamics, ``named waveform`` is the waveform without them: what hand-crafted features
    could know at best.
    """
    recorded = tuple(population.recorded)
    named = {"named waveform": InformationSet(tuple(name for name in recorded if name not in HIDDEN))}
    return {
        "vitals": InformationSet(recorded=("heart_rate_bpm", "desaturation_pct")),
        "covariates": InformationSet(
            read_off=("heart_rate_bpm", "desaturation_pct", *MEASURED), signs=_PUBLISHED_SIGNS
        ),
        **(named if HIDDEN.keys() & population.recorded else {}),
        "waveform": InformationSet(recorded=recorded),
        # The recording shows heart rate and SpO2 better than triage does, and triage adds nothing to it there.
        "covariates+waveform": InformationSet(recorded=recorded, read_off=tuple(MEASURED), signs=_PUBLISHED_SIGNS),
    }


def oracle_risks(
    *,
    n: int,
    prevalence: float | None = None,
    shift: float = 0.0,
    sets: Mapping[str, InformationSet] | None = None,
    population: Population = MWANIKI2023,
    rng: np.random.Generator,
) -> dict[str, FloatArray]:
    """Exact probability of the outcome given each information set, of ``n`` children, each of shape (n,).

    For each child, the probability given what is known of it follows from the stated model by Bayes' rule: normal in
    the parts for each age, then weighted by the signs, on quasi-random nodes. ``prevalence`` is the proportion of
    events where ``shift`` is 0; the prediction knows the shift, which is that of
    :func:`ppgssl.simulate.physiology.simulate_patients`. ``sets`` are :func:`information_sets` by default.

    The keys are those of ``sets``, and ``parts``: of who knows the hidden parts themselves. An outcome that is drawn
    with the probability in ``parts`` agrees with all of them.
    """
    ages, weights = population.age_proportions()
    age = rng.choice(ages, size=n, p=weights)
    parts = rng.standard_normal((n, len(population.parts))) + population.part_means(shift)
    own = {name: rng.standard_normal(n) for name in population.findings}
    read = {name: rng.standard_normal(n) for name in population.findings}
    signs = {name: rng.random(n) < sign.probability(parts) for name, sign in SIGNS.items()}
    risks = {}
    for name, known in (information_sets(population) if sets is None else sets).items():
        values = np.stack(
            [
                finding.typical(age, parts)
                + finding.own_sd * own[which]
                + (sd**2 - finding.own_sd**2) ** 0.5 * read[which]
                for which, finding, sd in known.findings(population)
            ],
            axis=1,
        )
        is_yes = np.stack([signs[sign] for sign in known.signs], axis=1) if known.signs else np.zeros((n, 0), bool)
        risks[name] = posterior_risk(known, values, is_yes, prevalence=prevalence, shift=shift, population=population)
    return risks | {"parts": population.outcome_probability(parts, prevalence)}


def oracle_aucs(
    *,
    n: int = 20_000,
    prevalence: float | None = None,
    shift: float = 0.0,
    sets: Mapping[str, InformationSet] | None = None,
    population: Population = MWANIKI2023,
    rng: np.random.Generator,
) -> dict[str, float]:
    """AUROC of the exact probability of the outcome given each information set, and of ``parts``; see
    :func:`oracle_risks`.

    Each child is counted as an event by its probability, which leaves out the chance of drawing events; the standard
    error is about 0.2 / sqrt(n). A recording shows its findings with an error, and a table rounds: what a study reaches
    lies below, by that too.
    """
    risks = oracle_risks(n=n, prevalence=prevalence, shift=shift, sets=sets, population=population, rng=rng)
    return {name: expected_auc(risk) for name, risk in risks.items()}


def posterior_risk(
    known: InformationSet,
    values: FloatArray,
    is_yes: BoolArray,
    *,
    prevalence: float | None = None,
    shift: float = 0.0,
    population: Population = MWANIKI2023,
) -> FloatArray:
    """Probability of the outcome given an information set, age unknown, shape (n,).

    ``values``, shape (n, n_findings), are in the order of ``known.findings()``, on their scales; ``is_yes``, bool,
    shape (n, n_signs), in that of ``known.signs``.
    """
    means, log_weights, root = _posterior_by_age(known, values, population.part_means(shift), population)
    weight_of_age = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
    cumulated = np.cumsum(weight_of_age / weight_of_age.sum(axis=1, keepdims=True), axis=1)
    nodes = qmc.Sobol(len(population.parts) + 1, seed=0).random(_N_NODES)
    normal = ndtri(np.clip(nodes[:, 1:], 1e-9, 1 - 1e-9)) @ root.T
    intercept = population.outcome_intercept(prevalence)
    events, total = np.zeros(len(values)), np.zeros(len(values))
    for uniform, offset in zip(nodes[:, 0], normal, strict=True):
        which = np.minimum((cumulated < uniform).sum(axis=1), means.shape[1] - 1)
        parts = means[np.arange(len(values)), which] + offset
        weight = np.ones(len(values))
        for column, name in enumerate(known.signs):
            yes = SIGNS[name].probability(parts)
            weight *= np.where(is_yes[:, column], yes, 1 - yes)
        events += weight * expit(intercept + parts @ np.array(population.outcome_log_odds))
        total += weight
    return events / total


def _posterior_by_age(
    known: InformationSet, values: FloatArray, prior_mean: FloatArray, population: Population
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Of the parts given the findings and each age: means (n, n_ages, n_parts), log weights of the ages (n, n_ages),
    and a root (n_parts, n_parts) of the one covariance."""
    findings = [finding for _, finding, _ in known.findings(population)]
    precision = 1 / np.array([sd for _, _, sd in known.findings(population)]) ** 2
    loads = population.loads_of(findings)
    covariance = np.linalg.inv(np.eye(len(population.parts)) + (loads.T * precision) @ loads)
    ages, weights = population.age_proportions()
    expected = np.stack([finding.median(ages) for finding in findings], axis=-1) + loads @ prior_mean
    residual = values[:, None] - expected
    pull = (residual * precision) @ loads
    # Log density of the findings, the parts integrated out (matrix inversion lemma), but for a constant.
    fit = ((residual**2) @ precision) - np.einsum("nai,ij,naj->na", pull, covariance, pull)
    return prior_mean + pull @ covariance, np.log(weights) - 0.5 * fit, np.linalg.cholesky(covariance)


def expected_auc(risk: FloatArray) -> float:
    """AUROC of calibrated risks, each child counted as an event with its risk; shape (n,)."""
    order = np.argsort(risk, kind="stable")
    event, none = risk[order], 1 - risk[order]
    below = np.cumsum(none) - none
    # A child against itself counts half, as a tie: without it the AUROC of equal risks would not be 1/2.
    return float(event @ (below + none / 2) / (event.sum() * none.sum()))
