"""What results hold, asked by methods text, checklists and limitations alike."""

from __future__ import annotations

import math
from functools import cached_property

from ppgssl.core.config.arms import HAND_CRAFTED
from ppgssl.core.results.data import Exclusion
from ppgssl.core.results.performance import ArmResult
from ppgssl.core.results.study import Results
from ppgssl.report.text import rounding
from ppgssl.report.text.claims import Direction, chance_claim, direction, is_reference_of_use, n_rare
from ppgssl.report.text.families import reference_arm, reference_words, ssl_arms
from ppgssl.report.text.rounding import plural

COMPARISONS = {
    "difference_from_untrained": "the untrained encoder",
    "difference_from_clinical": "the clinical input alone",
    "difference_from_hand_crafted": "hand-crafted features alone",
}


class Facts:
    """Of one set of results: which arms, inputs and measures there are. Templates and rules read it by name."""

    def __init__(self, results: Results) -> None:
        self.results = results
        self._arms = arms = results.arms
        self.regressions = [arm for arm in arms if arm.learner not in ("network", "external")]
        self.networks = [arm for arm in arms if arm.learner == "network"]
        self.ssl = ssl_arms(results)
        self.transductive = [arm for arm in arms if arm.is_transductive]
        self.learners = {arm.learner for arm in arms}
        self.regression_learners = self.learners - {"network", "external"}
        self.clinical = {arm.clinical for arm in arms}
        self.features = {kind for arm in self.regressions for kind in (arm.features, *arm.added)}
        self.has_hand_crafted_alone = any(arm.features in HAND_CRAFTED for arm in self.regressions)
        self.other_learners = self.regression_learners - {"ridge"}
        self.has_embeddings = bool(self.features & {"untrained", "ssl-labelled", "ssl-all"})
        self.uses_covariates = "covariates" in self.clinical
        self.has_hand_crafted = any(arm.has_hand_crafted for arm in arms)
        self.is_stacking = any(arm.is_stacking for arm in arms)
        self.is_beyond_hand_crafted = any(arm.difference_from_hand_crafted for arm in self.ssl)
        self.has_clinical_regression = any(arm.clinical for arm in self.regressions)

    @cached_property
    def n_rare(self) -> int:
        return n_rare(self.results)

    @cached_property
    def reference(self) -> ArmResult | None:
        return reference_arm(self.results)

    @cached_property
    def reference_words(self) -> str:
        return reference_words(self.results)

    @cached_property
    def is_given(self) -> bool:
        """Whether the risks were read from a file: how they were made is then not known."""
        return self.results.validation.scheme == "predictions"

    @cached_property
    def reference_claim(self) -> Direction:
        return "undefined" if self.reference is None else chance_claim(self.results, self.reference)

    @cached_property
    def is_reference_of_use(self) -> bool:
        return is_reference_of_use(self.results)

    @cached_property
    def ssl_above_chance(self) -> list[ArmResult]:
        return [arm for arm in self.ssl if chance_claim(self.results, arm) == "higher"]

    @cached_property
    def control_arms(self) -> list[ArmResult]:
        return [arm for arm in self._arms if arm.is_control]

    @cached_property
    def n_comparisons(self) -> int:
        return sum(arm.difference is not None for arm in self._arms)

    def has(self, measure: str) -> bool:
        """Whether some arm has a value in the field ``measure``."""
        return any(getattr(arm, measure) for arm in self._arms)

    @cached_property
    def measures(self) -> dict[str, bool]:
        """Each kind of performance, and whether it was measured, not only asked for."""
        return {
            "discrimination": any(arm.auroc.estimate is not None for arm in self._arms),
            "calibration": any(arm.calibration and arm.calibration.slope.estimate is not None for arm in self._arms),
            "net benefit": any(arm.decision_curve is not None for arm in self._arms),
        }

    @cached_property
    def measured(self) -> list[str]:
        return [name for name, is_there in self.measures.items() if is_there]

    @cached_property
    def not_measured(self) -> list[str]:
        return [name for name, is_there in self.measures.items() if not is_there]

    @cached_property
    def with_interval(self) -> list[ArmResult]:
        return [arm for arm in self._arms if arm.auroc.ci_low is not None]

    @cached_property
    def threshold_rules(self) -> set[str]:
        return {point.rule for arm in self._arms for point in arm.operating_points}

    @cached_property
    def given_thresholds(self) -> list[str]:
        points = [point for arm in self._arms for point in arm.operating_points if point.rule == "given"]
        return [f"{100 * threshold:g}%" for threshold in sorted({point.threshold for point in points})]

    @cached_property
    def adjusted_comparisons(self) -> list[str]:
        """Kinds of comparison whose p-values were adjusted for the number of arms."""
        words = {"difference": self.reference_words} | COMPARISONS
        found = {kind: [getattr(arm, kind) for arm in self._arms] for kind in words}
        return [words[kind] for kind, members in found.items() if any(d and d.p_adjusted is not None for d in members)]

    @cached_property
    def is_adjusted(self) -> bool:
        """Whether p-values of differences from the reference are."""
        return self.reference_words in self.adjusted_comparisons

    @cached_property
    def scheme(self) -> str:
        """``5-fold cross-validation, 3 repeats``, or what else it was."""
        validation = self.results.validation
        tested = plural(validation.n_test_patients, "patient")
        return {
            "repeated-kfold": f"{validation.n_folds}-fold cross-validation, {plural(validation.n_repeats, 'repeat')}",
            "single-split": f"one split, {tested} tested",
            "leave-one-site-out": f"{self.sites}, each left out in turn",
            "predictions": f"risks from a file, {tested}",
            "external": f"a frozen model, {tested} of another cohort",
        }[validation.scheme]

    @cached_property
    def sites(self) -> str:
        return plural(len(self.results.validation.sites) or self.results.validation.n_folds, "site")

    @cached_property
    def patients_left_out(self) -> list[Exclusion]:
        """Reasons for which patients of the labelled cohort were not analysed, with counts."""
        labelled = [flow for flow in self.results.flow if flow.role == "labelled"]
        return [item for flow in labelled for item in flow.exclusions if item.unit == "patient"]

    @cached_property
    def n_left_out(self) -> int:
        return sum(item.n for item in self.patients_left_out)

    @cached_property
    def left_out_beforehand(self) -> str:
        n = self.n_left_out
        return f"{plural(n, 'patient')} {'was' if n == 1 else 'were'} left out beforehand." if n else ""

    @cached_property
    def incomplete(self) -> str:
        """How many patients lack a covariate."""
        missing = self.results.missing
        return rounding.n_percent(missing.n_patients - missing.n_complete, missing.n_patients) if missing else ""

    @cached_property
    def shortcuts(self) -> list[str]:
        """Properties of acquisition that go with the outcome."""
        checks = self.results.acquisition
        return [one.name for one in checks if one.threshold is not None or direction(one.auroc, 0.5) == "higher"]

    @cached_property
    def events_per_parameter(self) -> float:
        size = self.results.sample_size
        return size.n_events_available / max(size.n_parameters, 1) if size else math.nan

    @cached_property
    def larger(self) -> list[ArmResult]:
        """Arms with more columns than the model whose minimum sample size is known, networks among them."""
        size = self.results.sample_size
        n = size.n_parameters if size else 0
        return [arm for arm in self._arms if arm.n_features is None or arm.n_features > n]

    @cached_property
    def shared(self) -> list[str]:
        return [check.what for check in self.results.leakage if check.n_shared]

    @cached_property
    def auroc_decimals(self) -> int:
        return rounding.auroc_decimals(self.results)
