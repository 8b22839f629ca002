"""The stated models of children: hidden parts of illness, and how each finding and the outcome depend on them.

Given age, every finding is linear in the parts on a scale of its own (most on a logarithmic one) with normal scatter,
and every sign and the outcome are logistic in them. That makes the best possible prediction from any set of findings
computable (:mod:`ppgssl.simulate.oracle`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from ppgssl.core.errors import ConfigError
from ppgssl.core.records import FloatArray

PREVALENCE = 0.126
"""Proportion of hospitalized children in the published test set: 26 of 207 (Mwaniki et al. 2023)."""

PARTS = ("severity", "respiratory", "circulatory", "febrile")
"""Hidden parts of illness, independent, SD 1: what all findings share, and what concerns one system alone."""

OUTCOME_LOG_ODDS = (2.7, 1.0, 1.2, 0.4)
"""Log-odds of hospitalization per unit of each part."""


@dataclass(frozen=True)
class Finding:
    """One measured quantity, on the scale on which it is linear; that of natural logarithms if ``is_log``.

    ``medians`` are those of children in whom all parts are 0, at ``ages_months`` and, straight, between them; one
    value: at all ages. ``loads`` is the change per unit of each part, ``own_sd`` the scatter of children with the same
    age and parts, and ``reading_sd`` the further scatter where it is read off at triage, minutes later, by
    another device.
    """

    medians: tuple[float, ...]
    loads: tuple[float, ...]
    own_sd: float
    reading_sd: float = 0.0
    ages_months: tuple[float, ...] = (0,)
    is_log: bool = True

    def median(self, age_months: FloatArray) -> FloatArray:
        """On the finding's scale, shape as ``age_months``."""
        values = np.interp(age_months, self.ages_months, self.medians)
        return np.asarray(np.log(values) if self.is_log else values)

    def typical(self, age_months: FloatArray, parts: FloatArray) -> FloatArray:
        """On the finding's scale, of children of this age, shape (n,), and these parts, shape (n, n_parts)."""
        return np.asarray(self.median(age_months) + parts[:, : len(self.loads)] @ np.array(self.loads))


@dataclass(frozen=True)
class Sign:
    """One yes-or-no item of a triage form: its log-odds where all parts are 0, and per unit of each part."""

    intercept: float
    loads: tuple[float, float, float, float]

    def probability(self, parts: FloatArray) -> FloatArray:
        """Of ``yes``; ``parts`` has shape (n, n_parts)."""
        return np.asarray(expit(self.intercept + parts[:, : len(self.loads)] @ np.array(self.loads)))


RECORDED: dict[str, Finding] = {
    # 60..220 beats/min. Medians: Fleming et al. [1]; about 10 beats/min per degree of fever [2].
    "heart_rate_bpm": Finding(
        (145, 142, 137, 126, 119, 113, 107, 101, 98),
        (0.022, 0.010, 0.025, 0.055),
        0.085,
        0.04,
        (1, 3, 6, 12, 18, 24, 36, 48, 60),
    ),
    # 14..85 breaths/min. Medians: Fleming et al. [1]; about 2 breaths/min per degree of fever [3].
    "resp_rate_per_min": Finding(
        (44, 42, 40, 35, 30, 26, 25, 24, 23), (0.06, 0.14, 0.02, 0.05), 0.13, 0.10, (0, 3, 6, 12, 18, 24, 36, 48, 60)
    ),
    # 100 - SpO2, so that SpO2 is 97..98 % in well children near sea level [4] and 70..100 % in all.
    "desaturation_pct": Finding((2.4,), (0.16, 0.33, 0.05, 0.0), 0.45, 0.25),
    # Peak to trough of the infrared pulse over its baseline, 0.2..10 %: median near 1.4 %, skewed, and low in poor
    # perfusion (adults [5]).
    "perfusion_index_pct": Finding((1.6,), (-0.08, 0.0, -0.32, 0.12), 0.40),
    # High: constricted. A number without a unit that shapes the pulse; about -3..3.
    "vascular_tone": Finding((0.0,), (0.12, 0.0, 0.65, -0.25), 0.70, is_log=False),
    # Height and earliness of the reflected wave beyond what tone explains; about -3..3.
    "reflection": Finding((0.0,), (0.10, 0.0, 0.40, 0.0), 0.90, is_log=False),
    # SD over mean of the instantaneous heart rate, 0.3..10 %: less in sepsis [6].
    "heart_rate_variability": Finding((0.030,), (-0.20, 0.0, -0.12, -0.10), 0.33),
    # Movement of the baseline with breathing, over the pulse height, 0.03..0.6: more with more respiratory effort [7].
    "resp_modulation": Finding((0.15,), (0.10, 0.25, 0.0, 0.0), 0.33),
    # Modulation of the pulse height by breathing, over that of the baseline, 0.1..3: more in hypovolaemia [8].
    "resp_amplitude": Finding((0.5,), (0.05, 0.0, 0.30, 0.0), 0.35),
    # Proportion of heart-rate variability that goes with breathing, as log-odds; less under stress.
    "sinus_arrhythmia": Finding((0.0,), (-0.20, 0.0, -0.10, 0.0), 0.6, is_log=False),
}
"""What a recording shows. Where no source is named, a number is a plausible choice and no estimate.

References
----------
.. [1] Fleming et al., Normal ranges of heart rate and respiratory rate in children from birth to 18 years of age,
   Lancet 377:1011, 2011, 10.1016/S0140-6736(10)62226-X. The values at 1 and 24 months (and 0, for breathing) are those
   of the abstract, the others approximate readings of the charts.
.. [2] Thompson et al., Deriving temperature and age appropriate heart rate centiles for children with acute
   infections, Arch Dis Child 94:361, 2009, 10.1136/adc.2008.145011.
.. [3] Nijman et al., Derivation and validation of age and temperature specific reference values and centile charts to
   predict lower respiratory tract infection in children with fever, BMJ 345:e4224, 2012, 10.1136/bmj.e4224.
.. [4] Subhi et al., The prevalence of hypoxaemia among ill children in developing countries: a systematic review,
   Lancet Infect Dis 9:219, 2009, 10.1016/S1473-3099(09)70071-4.
.. [5] Lima, Beale, Bakker, Use of a peripheral perfusion index derived from the pulse oximetry signal as a noninvasive
   indicator of perfusion, Crit Care Med 30:1210, 2002, 10.1097/00003246-200206000-00006.
.. [6] Griffin and Moorman, Toward the early diagnosis of neonatal sepsis and sepsis-like illness using novel heart rate
   analysis, Pediatrics 107:97, 2001, 10.1542/peds.107.1.97.
.. [7] Charlton et al., Breathing rate estimation from the electrocardiogram and photoplethysmogram: a review, IEEE Rev
   Biomed Eng 11:2, 2018, 10.1109/RBME.2017.2763681.
.. [8] Cannesson et al., Pleth variability index to monitor the respiratory variations in the pulse oximeter
   plethysmographic waveform amplitude and predict fluid responsiveness, Br J Anaesth 101:200, 2008, 10.1093/bja/aen133.
"""

MEASURED: dict[str, Finding] = {
    # 1.5..35 kg: near the medians of the WHO Child Growth Standards (2006), both sexes together.
    "weight_kg": Finding(
        (3.3, 6.1, 7.6, 9.3, 11.8, 14.1, 16.2, 18.2),
        (-0.03, 0.0, 0.0, 0.0),
        0.12,
        ages_months=(0, 3, 6, 12, 24, 36, 48, 60),
    ),
    # 8..22 cm; under 12.5 cm counts as acute malnutrition from 6 months on (WHO and UNICEF, 2009).
    "muac_cm": Finding(
        (12.0, 14.0, 14.6, 15.3, 16.8), (-0.45, 0.0, 0.0, 0.0), 0.9, ages_months=(0, 6, 12, 24, 60), is_log=False
    ),
    # 34..42 degrees, axillary.
    "temperature_c": Finding((37.2,), (0.20, 0.0, 0.0, 0.62), 0.35, is_log=False),
}
"""What is measured at triage and leaves no trace of its own in a recording."""

SIGNS: dict[str, Sign] = {
    "difficulty_breathing": Sign(-1.6, (1.3, 1.6, 0.0, 0.0)),
    "can_drink_or_breastfeed": Sign(4.2, (-2.4, 0.0, -0.4, -0.2)),
    "irritability": Sign(-1.6, (2.2, 0.0, 0.3, 0.4)),
    # Signs of a triage form that the published model does not use.
    "chest_indrawing": Sign(-2.6, (0.7, 1.5, 0.0, 0.0)),
    "prolonged_capillary_refill": Sign(-3.2, (0.6, 0.0, 1.3, 0.0)),
    "lethargy": Sign(-3.2, (1.3, 0.0, 0.6, 0.0)),
    "convulsions": Sign(-3.4, (0.6, 0.0, 0.0, 0.6)),
    "diarrhoea": Sign(-1.3, (0.1, -0.4, 0.5, 0.1)),
}
"""Signs and symptoms that triage forms ask for."""


HIDDEN: dict[str, Finding] = {
    # Lag of the pulse height's modulation by breathing behind that of the heart rate, radians: nerves drive the one,
    # filling and vessels the other, and illness uncouples them [1].
    "height_lag_rad": Finding((0.0,), (0, 0, 0, 0, 0.7), 0.4, is_log=False),
    # Correlation of what wavers in pulse height and in tone, as Fisher's z: high where vessels drive both, low where
    # the stroke volume drives the height.
    "tone_coupling": Finding((0.0,), (0, 0, 0, 0, 0.9), 0.4, is_log=False),
    # How much more strong and weak beats alternate where breathing raises the heart rate than where it lowers it, as
    # inverse hyperbolic tangent: alternation shows a failing heart, and depends on filling [2].
    "alternans_coupling": Finding((0.0,), (0, 0, 0, 0, 0.9), 0.4, is_log=False),
}
"""Relations between what varies. Levels, spreads and rhythms do not depend on them. All numbers are plausible choices.

References
----------
.. [1] Godin and Buchman, Uncoupling of biological oscillators: a complementary hypothesis concerning the pathogenesis
   of multiple organ dysfunction syndrome, Crit Care Med 24:1107, 1996, 10.1097/00003246-199607000-00008.
.. [2] Euler, Cardiac alternans: mechanisms and pathophysiological significance, Cardiovasc Res 42:583, 1999.
"""


@dataclass(frozen=True)
class Population:
    """Children under five who are seen at one kind of hospital.

    Attributes
    ----------
    recorded : dict of name to Finding
        What a recording shows.
    prevalence : float
        Expected proportion of hospitalized children.
    ages_months : (centre, spread)
        Of the log-normal distribution of ages, before it is cut off at five years.
    outcome_log_odds : tuple of float
        Log-odds of hospitalization per unit of each part.
    parts : tuple of str
        Hidden parts of illness.
    """

    recorded: dict[str, Finding]
    prevalence: float = PREVALENCE
    ages_months: tuple[float, float] = (18.0, 0.8)
    outcome_log_odds: tuple[float, ...] = OUTCOME_LOG_ODDS
    parts: tuple[str, ...] = PARTS

    @property
    def findings(self) -> dict[str, Finding]:
        """What is recorded, and what is measured at triage."""
        return self.recorded | MEASURED

    def with_hidden_dynamics(self) -> Population:
        """The same, and a fifth part of illness that no named finding depends on, but the relations of ``HIDDEN``."""
        return replace(
            self,
            recorded=self.recorded | HIDDEN,
            outcome_log_odds=(*self.outcome_log_odds, 1.6),
            parts=(*self.parts, "autonomic"),
        )

    def part_means(self, shift: float) -> FloatArray:
        """Of children who are sicker by ``shift``: severity by all of it, the other parts by half."""
        return shift * np.array([1.0] + [0.5] * (len(self.parts) - 1))

    def outcome_probability(self, parts: FloatArray, prevalence: float | None = None) -> FloatArray:
        """Of hospitalization; ``parts`` has shape (..., n_parts), ``prevalence`` is that where all have mean 0."""
        return np.asarray(expit(self.outcome_intercept(prevalence) + parts @ np.array(self.outcome_log_odds)))

    def outcome_intercept(self, prevalence: float | None = None) -> float:
        """Log-odds of hospitalization where all parts are 0, that make ``prevalence``, in (0, 1), that of the event."""
        prevalence = self.prevalence if prevalence is None else prevalence
        if not 0 < prevalence < 1:
            raise ConfigError(f"prevalence is {prevalence:g}: it must lie between 0 and 1, for example {PREVALENCE:g}")
        nodes, weights = np.polynomial.hermite_e.hermegauss(64)
        scores, weights = np.linalg.norm(self.outcome_log_odds) * nodes, weights / weights.sum()
        return float(brentq(lambda intercept: weights @ expit(intercept + scores) - prevalence, -100, 100))

    def age_proportions(self, months: tuple[int, int] = (1, 59)) -> tuple[FloatArray, FloatArray]:
        """Ages in months, and the proportion of children of each."""
        ages = np.arange(months[0], months[1] + 1)
        centre, spread = self.ages_months
        weights = np.exp(-0.5 * (np.log(ages / centre) / spread) ** 2) / ages
        return ages.astype(float), weights / weights.sum()

    def loads_of(self, findings: Sequence[Finding]) -> FloatArray:
        """Shape (n_findings, n_parts)."""
        return np.array([(*finding.loads, *[0.0] * (len(self.parts) - len(finding.loads))) for finding in findings])


MWANIKI2023 = Population(RECORDED)
"""Most are infants and toddlers (median 17 months)."""

GARDE2016 = Population(
    RECORDED
    | {
        "heart_rate_bpm": Finding(
            (142, 140, 137, 130, 126, 122, 118, 114, 112),
            (0.041, 0.018, 0.046, 0.10),
            0.08,
            0.04,
            (1, 3, 6, 12, 18, 24, 36, 48, 60),
        ),
        "desaturation_pct": Finding((2.4,), (0.22, 0.38, 0.05, 0.0), 0.40, 0.25),
        "heart_rate_variability": Finding((0.0435,), (-0.13, 0.0, -0.06, -0.05), 0.60),
        "sinus_arrhythmia": Finding((0.1,), (0.0, 0.0, 0.0, 0.0), 0.6, is_log=False),
        # SD of the saturation within a minute, points: more in admitted children [1]; how much is not known here.
        "spo2_variation_pct": Finding((0.5,), (0.12, 0.10, 0.0, 0.0), 0.5),
    },
    prevalence=0.30,
    ages_months=(15.0, 1.3),
)
"""Admitted and other children have the medians of heart rate, SDNN and RMSSD of Garde et al. [1]_, and time with SpO2
under 98 and 94 % has their odds ratios. Ages are those that Raihana et al. [2]_ give for these children. The other
numbers are as by default; docs/simulator.md compares what is measured.

References
----------
.. [1] Garde et al., Respiratory rate and pulse oximetry derived information as predictors of hospital admission in
   young children in Bangladesh: a prospective observational study, BMJ Open 6:e011094, 2016,
   10.1136/bmjopen-2016-011094.
.. [2] Raihana et al., Development and internal validation of a predictive model including pulse oximetry for
   hospitalization of under-five children in Bangladesh, PLoS ONE, 2015, PMC4651571.
"""

POPULATIONS: dict[str, Population] = {"mwaniki2023": MWANIKI2023, "garde2016": GARDE2016}


def population_of(children: str, *, hidden_dynamics: bool = False) -> Population:
    """The population of this name."""
    population = POPULATIONS[children]
    return population.with_hidden_dynamics() if hidden_dynamics else population
