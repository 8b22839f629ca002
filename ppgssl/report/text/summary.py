"""The first page, how sure it is, and limitations: rules for what is claimed; the words are those of the templates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

from ppgssl.core.results.base import Difference
from ppgssl.core.results.performance import ArmResult
from ppgssl.core.results.study import Results
from ppgssl.report.document import Text
from ppgssl.report.text import claims, families, rounding
from ppgssl.report.text.claims import DIRECTIONS, Direction, claim, direction, is_lost_to_adjustment, named
from ppgssl.report.text.facts import Facts
from ppgssl.report.text.prose import passages
from ppgssl.report.text.rounding import plural, short

_MOST_ARMS, _MOST_QUOTED, _MOST_COVARIATES, _MOST_VARIABLES = 2, 3, 6, 6


def summary(results: Results, channels: Sequence[str]) -> dict[str, list[Text]]:
    """``headline``, ``question``, ``findings`` and ``not shown``; ``channels`` may fill the inputs of the study."""
    facts = Facts(results)
    added = [arm for arm in facts.ssl if arm.clinical == "covariates" and not arm.has_hand_crafted]
    learners = [arm for arm in added if families.family(arm) == families.Family.LEARNERS]
    pretrained = [arm for arm in facts.ssl if arm.difference_from_untrained is not None]
    beyond = [arm for arm in facts.ssl if arm.difference_from_hand_crafted is not None]

    def of_family(family: families.Family) -> list[ArmResult]:
        return [arm for arm in results.arms if families.family(arm) == family]

    def lost_to_adjustment(arms: Sequence[ArmResult]) -> list[ArmResult]:
        return [arm for arm in arms if facts.is_reference_of_use and is_lost_to_adjustment(arm.difference)]

    def by_claim(arms: Sequence[ArmResult]) -> list[tuple[Direction, list[ArmResult]]]:
        if facts.is_reference_of_use:
            return _by_claim(arms, [claim(results, arm.difference) for arm in arms])
        return _by_claim(arms, [claims.chance_claim(results, arm) for arm in arms])

    return passages(
        "external" if results.validation.scheme == "external" else "summary",
        results=results,
        facts=facts,
        families=families.Family,
        named=named,
        TOO_FEW_EVENTS=claims.TOO_FEW_EVENTS,
        added=_compared(results, added),
        alone=_compared(results, of_family(families.Family.SSL_ALONE) or facts.ssl),
        # Whether self-supervised learning itself helped: SSL against the same arm with an untrained encoder.
        pretrained=_compared(results, pretrained, "difference_from_untrained"),
        learners=_compared(results, learners),
        beyond_hand_crafted=_by_claim(beyond, [claim(results, arm.difference_from_hand_crafted) for arm in beyond]),
        decisions=_decisions(results),
        signals=list(dict.fromkeys(channel.split("_", 1)[0] for channel in channels)),
        covariates=_first([short(label, 40) for label in results.covariate_labels]),
        of_family=of_family,
        by_claim=by_claim,
        lost_to_adjustment=lost_to_adjustment,
        listed=lambda arms, difference: _listed(arms, difference, facts.auroc_decimals),
        **_external(results),
    )


def _compared(results: Results, arms: Sequence[ArmResult], field: str = "difference") -> SimpleNamespace:
    """Arms with those that were better and worse than what they are compared with, and why nothing is claimed."""
    differences: list[Difference | None] = [getattr(arm, field) for arm in arms]
    found = dict(_by_claim(arms, [claim(results, one) for one in differences]))
    better = found.get("higher", [])
    return SimpleNamespace(
        arms=arms,
        better=better,
        worse=found.get("lower", []),
        is_undefined=all(direction(one) == "undefined" for one in differences),
        is_lost_to_adjustment=any(map(is_lost_to_adjustment, differences)),
        # A gain that an untrained encoder gives as well is no merit of self-supervised learning.
        unproven=[arm for arm in better if claim(results, arm.difference_from_untrained) != "higher"],
    )


def _by_claim(arms: Sequence[ArmResult], made: Sequence[Direction]) -> list[tuple[Direction, list[ArmResult]]]:
    """Arms by what may be claimed, better ones first."""
    found = [(kind, [arm for arm, one in zip(arms, made, strict=True) if one == kind]) for kind in DIRECTIONS]
    return [(kind, members) for kind, members in found if members]


def _decisions(results: Results) -> SimpleNamespace:
    """Whether signals change the net benefit of decisions, at the thresholds of the study."""
    rows = [row for row in results.added_value if row.reference == "covariates" and row.net_benefit]
    better = []
    for row in rows:
        pairs = zip(row.thresholds, row.net_benefit, strict=True)
        where = [rounding.risk(at) for at, value in pairs if claim(results, value) == "higher"]
        if where:
            better.append(f"for “{families.arm_label(results, row.arm)}” at {rounding.enumeration(where)}")
    thresholds = sorted({value for row in rows for value in row.thresholds})
    return SimpleNamespace(
        rows=rows,
        better=better[:_MOST_ARMS],
        n_more=max(len(better) - _MOST_ARMS, 0),
        thresholds=[rounding.risk(threshold) for threshold in thresholds],
    )


def _listed(arms: Sequence[ArmResult], difference: str | None, decimals: int) -> str:
    """Arms with their numbers; of more than three, the first two."""
    shown = arms if len(arms) <= _MOST_ARMS + 1 else arms[:_MOST_ARMS]
    more = f"; and {plural(len(arms) - len(shown), 'more arm')}" if len(arms) > len(shown) else ""
    return "; ".join(f"{arm.label} {_numbers(arm, difference, decimals)}" for arm in shown) + more


def _numbers(arm: ArmResult, difference: str | None, decimals: int) -> str:
    """AUROC with its interval; or with the difference from the covariates; or another difference alone."""
    if difference is None:
        return rounding.interval(arm.auroc, decimals)
    estimate = rounding.number(arm.auroc.estimate, decimals) if difference == "difference" else ""
    value = getattr(arm, difference)
    brackets = (
        "" if estimate and direction(value) == "undefined" else f"[{rounding.interval(value, decimals, signed=True)}]"
    )
    return f"{estimate} {brackets}".strip()


def _first(words: Sequence[str]) -> list[str]:
    if len(words) <= _MOST_COVARIATES:
        return list(words)
    return [*words[: _MOST_COVARIATES - 1], f"{len(words) - _MOST_COVARIATES + 1} more"]


def _external(results: Results) -> dict[str, Any]:
    """What a frozen model is worth in other patients: its own arm comes first, those of its recalibration follow."""
    if results.validation.scheme != "external":
        return {}
    frozen, *others = results.arms
    found = frozen.calibration
    return {
        "frozen": frozen,
        "others": others,
        "discrimination": direction(frozen.auroc, 0.5),
        "intercept": direction(found.intercept if found else None, 0.0),
        "slope": direction(found.slope if found else None, 1.0),
        "shifted": sum(one.is_warning for one in results.shift),
    }


def certainty(results: Results) -> tuple[Text, ...]:
    """How sure this is: numbers of events, validation, calibration, data defects, sensitivity."""
    facts = Facts(results)
    slopes = [(arm, arm.calibration.slope) for arm in results.arms if arm.calibration is not None]
    found = passages(
        "certainty",
        results=results,
        facts=facts,
        FEW_EVENTS=claims.FEW_EVENTS,
        VERY_FEW_EVENTS=claims.VERY_FEW_EVENTS,
        has_slope=any(direction(slope) != "undefined" for _, slope in slopes),
        extreme=[pair for pair in slopes if direction(pair[1], 1.0) == "lower"],
        timid=[pair for pair in slopes if direction(pair[1], 1.0) == "higher"],
        slopes=_slopes,
        cautions=list(dict.fromkeys(one.kind.heading for one in results.findings if one.severity == "caution")),
        quoted=_quoted,
        changed=_most_changed(results),
    )
    return tuple(found[""])


def _slopes(pairs: Sequence[tuple[ArmResult, Any]]) -> list[str]:
    shown = [f"“{arm.label}” ({rounding.interval_words(slope)})" for arm, slope in pairs[:_MOST_ARMS]]
    return [*shown, *([plural(len(pairs) - _MOST_ARMS, "more arm")] if len(pairs) > _MOST_ARMS else [])]


def _quoted(words: Iterable[str]) -> list[str]:
    every = list(dict.fromkeys(words))
    rest = [f"{len(every) - _MOST_QUOTED} more"] if len(every) > _MOST_QUOTED else []
    return [*(f"“{short(word)}”" for word in every[:_MOST_QUOTED]), *rest]


def _most_changed(results: Results) -> ArmResult | None:
    """The arm whose AUROC changes most in the sensitivity analysis."""
    changes = [
        (abs(arm.auroc_sensitivity.estimate - arm.auroc.estimate), arm)
        for arm in results.arms
        if arm.auroc_sensitivity and arm.auroc_sensitivity.estimate is not None and arm.auroc.estimate is not None
    ]
    if results.validation.sensitivity is None:
        return None
    return max(changes, key=lambda change: change[0], default=(0.0, None))[1]


def limitations(results: Results) -> tuple[Text, ...]:
    """Limitations for the statistician, the most general first; each holds for the results at hand."""
    facts = Facts(results)
    assessed = {
        "calibration": facts.has("calibration"),
        "classification at thresholds": facts.has("operating_points"),
        "net benefit": facts.has("decision_curve"),
    }
    incomplete = list(dict.fromkeys(row.label for row in results.table_one if row.overall.n_missing))
    found = passages(
        "limitations",
        results=results,
        facts=facts,
        named=named,
        not_assessed=[name for name, is_there in assessed.items() if not is_there],
        incomplete=[*incomplete[:_MOST_VARIABLES], *(["others"] if len(incomplete) > _MOST_VARIABLES else [])],
        notes=[*results.validation.notes, *results.refitting_notes],
        has_undefined=any(direction(arm.auroc) == "undefined" for arm in results.arms),
    )
    return tuple(found[""])
