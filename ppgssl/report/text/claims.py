"""What may be claimed: it depends on the interval, on the adjusted p-value and on the number of events, never on an
estimate alone.

A difference is claimed only where its whole 95 % interval lies on one side of zero, its p-value, adjusted by Holm for
all comparisons of its kind, is below 0.05, and enough patients were tested. Otherwise there is no evidence of a
difference, which is not the same as equality.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from ppgssl.core.results.base import Difference, Interval
from ppgssl.core.results.performance import ArmResult
from ppgssl.core.results.study import Results
from ppgssl.report.text.families import reference_arm
from ppgssl.report.text.rounding import enumeration

Direction = Literal["higher", "lower", "unclear", "undefined"]
DIRECTIONS: tuple[Direction, ...] = ("higher", "unclear", "lower", "undefined")

SIGNIFICANCE = 0.05
TOO_FEW_EVENTS = 10
"""Below this many patients with (or without) the event, nothing is claimed: bootstrap intervals are not to be trusted
and one patient more would change the answer."""
VERY_FEW_EVENTS = 20
"""Below this many the intervals themselves are rough."""
FEW_EVENTS = 100
"""Below this many events a validation is imprecise (Collins, Ogundimu and Altman, Stat Med 35:214-26, 2016)."""


def n_rare(results: Results) -> int:
    """Tested patients in the smaller outcome group; of a stratified single split, those to be expected."""
    validation = results.validation
    rare = min(validation.n_events, validation.n_patients - validation.n_events)
    return round(rare * validation.n_test_patients / validation.n_patients) if validation.n_patients else 0


def direction(value: Interval | None, null: float = 0.0) -> Direction:
    """Where the interval lies: ``higher`` and ``lower`` leave ``null`` out, ``unclear`` contains it."""
    low, high = (None, None) if value is None else (value.ci_low, value.ci_high)
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return "undefined"
    return "higher" if low > null else "lower" if high < null else "unclear"


def claim(results: Results, difference: Difference | None) -> Direction:
    """What may be said of a paired difference: ``higher`` and ``lower`` are claims, ``unclear`` is none."""
    side = direction(difference)
    if difference is None or side in ("unclear", "undefined"):
        return side
    return side if _is_significant(difference) and n_rare(results) >= TOO_FEW_EVENTS else "unclear"


def _is_significant(difference: Difference) -> bool:
    p_value = difference.p_value if difference.p_adjusted is None else difference.p_adjusted
    return p_value is not None and p_value < SIGNIFICANCE


def is_lost_to_adjustment(difference: Difference | None) -> bool:
    """Whether the interval leaves zero out, but the p-value, adjusted for the number of comparisons, is no evidence."""
    return difference is not None and direction(difference) in ("higher", "lower") and not _is_significant(difference)


def chance_claim(results: Results, arm: ArmResult) -> Direction:
    """What may be said of the AUROC of one arm against guessing."""
    side = direction(arm.auroc, 0.5)
    return "unclear" if side in ("higher", "lower") and n_rare(results) < TOO_FEW_EVENTS else side


def is_reference_of_use(results: Results) -> bool:
    """Whether a difference from the covariates arm can show added value: not where that arm itself lies below 0.5.

    A model without information falls below 0.5 in cross-validation, since what it learns by chance from training
    patients is reversed in those left out; whatever is compared with it then looks like an improvement.
    """
    arm = reference_arm(results)
    return arm is not None and arm.auroc.estimate is not None and arm.auroc.estimate >= 0.5


def named(arms: Sequence[ArmResult]) -> str:
    """Labels in quotation marks; of more than three, the first two and the number of the others."""
    words = [f"“{arm.label}”" for arm in arms]
    return enumeration(words if len(words) <= 3 else [*words[:2], f"{len(words) - 2} more"])
