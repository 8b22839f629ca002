"""What a probe might have found, built through the real model."""

from __future__ import annotations

import numpy as np

from ppgssl.core.results.base import Difference, Interval
from ppgssl.core.results.probe import ProbeMeasure, ProbeQuantity, ProbeRepresentation, ProbeResults

_DEPTHS = {"moments": 96, "depth-1": 32, "depth-2": 64, "last": 32}
_REPRESENTATIONS = (
    ProbeRepresentation(name="vicreg", label="VICReg", kind="ssl", parts=_DEPTHS, own_part="moments"),
    ProbeRepresentation(
        name="untrained", label="Untrained encoder", kind="baseline", parts=_DEPTHS, own_part="moments"
    ),
    ProbeRepresentation(name="pca", label="Principal components", kind="baseline", parts={"all": 128}, own_part="all"),
)
_STATISTICS = {"heart_rate": ("r2", "mae"), "retrieval": ("top1", "reciprocal_rank"), "outcome": ("auroc",)}


def make_probe(cohorts: tuple[str, ...] = ("cohort-0",), *, is_defined: bool = True, suffix: str = "") -> ProbeResults:
    """Results for cohorts of :func:`tests.fake_results.make_results`; heart rate is known, saturation is not."""
    rng = np.random.default_rng(0)
    return ProbeResults(
        made_of="0" * 64,
        n_folds=3,
        n_repeats=1,
        n_bootstrap=2000,
        n_draws=20,
        segment_s=10,
        seconds=12.5,
        representations=[one.model_copy(update={"label": one.label + suffix}) for one in _REPRESENTATIONS],
        quantities=[quantity for cohort in cohorts for quantity in _quantities(cohort, suffix)],
        measures=[
            _measure(cohort, name, statistic, one, part, rng, is_defined=is_defined)
            for cohort in cohorts
            for name, statistics in _STATISTICS.items()
            for statistic in statistics
            for one in _REPRESENTATIONS
            for part in one.parts
        ],
    )


def _quantities(cohort: str, suffix: str) -> list[ProbeQuantity]:
    common = {"cohort": cohort, "n_patients": 146, "is_measured": True}
    return [
        ProbeQuantity(
            name="heart_rate",
            label="Heart rate" + suffix,
            unit="/min",
            source="device's display",
            mean=81.2,
            sd=11.9,
            **common,
        ),
        ProbeQuantity(
            cohort=cohort, name="spo2", label="SpO2", unit="%", n_patients=4, n_unknown=142, is_measured=False
        ),
        ProbeQuantity(
            name="retrieval", label="Same patient found", chance={"top1": 0.02, "reciprocal_rank": 0.09}, **common
        ),
        ProbeQuantity(name="outcome", label="Hypertension" + suffix, chance={"auroc": 0.5}, **common),
    ]


def _measure(
    cohort: str,
    quantity: str,
    statistic: str,
    one: ProbeRepresentation,
    part: str,
    rng: np.random.Generator,
    *,
    is_defined: bool,
) -> ProbeMeasure:
    value = float(rng.uniform(0.3, 0.9))
    limits = {"estimate": value, "ci_low": value - 0.1, "ci_high": value + 0.1}
    limits = limits if is_defined else dict.fromkeys(limits)
    difference = Difference(**limits, p_value=0.5 if is_defined else None, reference="untrained")
    return ProbeMeasure(
        cohort=cohort,
        quantity=quantity,
        statistic=statistic,
        representation=one.name,
        part=part,
        value=Interval(**limits),
        differences=[difference] if one.kind == "ssl" and statistic != "mae" else [],
    )
