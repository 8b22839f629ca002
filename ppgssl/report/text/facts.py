"""What results hold, asked by methods text and checklists alike."""

from __future__ import annotations

from collections.abc import Iterable

from ppgssl.core.results.data import Exclusion
from ppgssl.core.results.performance import ArmResult
from ppgssl.core.results.study import Results
from ppgssl.report.text.rounding import plural


def regression_arms(arms: Iterable[ArmResult]) -> list[ArmResult]:
    """Arms that learn from columns of numbers."""
    return [arm for arm in arms if arm.learner != "network"]


def network_arms(arms: Iterable[ArmResult]) -> list[ArmResult]:
    return [arm for arm in arms if arm.learner == "network"]


def uses_covariates(results: Results) -> bool:
    return any(arm.clinical == "covariates" for arm in results.arms)


def has_calibration(results: Results) -> bool:
    """Whether the calibration of some arm is known, not only asked for."""
    return any(arm.calibration is not None and arm.calibration.slope.estimate is not None for arm in results.arms)


def measures(results: Results) -> dict[str, bool]:
    """Each kind of performance, and whether it was measured."""
    return {
        "discrimination": any(arm.auroc.estimate is not None for arm in results.arms),
        "calibration": has_calibration(results),
        "net benefit": any(arm.decision_curve is not None for arm in results.arms),
    }


def scheme_words(results: Results) -> str:
    """``5-fold cross-validation, 3 repeats``, or what else it was."""
    validation = results.validation
    return {
        "repeated-kfold": f"{validation.n_folds}-fold cross-validation, {plural(validation.n_repeats, 'repeat')}",
        "single-split": f"one split, {plural(validation.n_test_patients, 'patient')} tested",
        "leave-one-site-out": f"{plural(len(validation.sites) or validation.n_folds, 'site')}, each left out in turn",
        "predictions": f"risks from a file, {plural(validation.n_test_patients, 'patient')}",
        "external": f"a frozen model, {plural(validation.n_test_patients, 'patient')} of another cohort",
    }[validation.scheme]


def patients_left_out(results: Results) -> list[Exclusion]:
    """Reasons for which patients of the labelled cohort were not analysed, with counts."""
    labelled = [flow for flow in results.flow if flow.role == "labelled"]
    return [item for flow in labelled for item in flow.exclusions if item.unit == "patient"]
