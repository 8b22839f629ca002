"""How well every arm separates patients with the event from those without: all that the report has on ranking."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from ppgssl.core.errors import EvaluationError
from ppgssl.core.results.base import Difference, Interval
from ppgssl.core.results.performance import RocCurve
from ppgssl.evaluation.delong import DeLong, delong, place
from ppgssl.evaluation.inference import holm
from ppgssl.evaluation.predictions import align_predictions
from ppgssl.evaluation.rank_measures import average_precision, partial_auroc, resampled
from ppgssl.evaluation.ranked_pairs import resample_auroc
from ppgssl.evaluation.resampling import Replicates, bca_interval, resample
from ppgssl.evaluation.roc import roc_curves


@dataclass(frozen=True)
class ArmDiscrimination:
    """One arm; every field has the name that :class:`ppgssl.core.results.performance.ArmResult` gives it."""

    auroc: Interval
    auroc_bca: Interval
    auroc_delong: Interval
    partial_auroc: Interval
    auprc: Interval
    roc: RocCurve


@dataclass(frozen=True)
class Discrimination:
    """What :func:`assess_discrimination` returns.

    Attributes
    ----------
    differences : kind of reference -> arm -> AUROC of the arm minus that of its reference: percentile interval,
        bootstrap p-value, and that p-value adjusted by Holm over the arms of the kind
    auroc : the resamples of the AUROC, for differences not asked for beforehand
    """

    arms: dict[str, ArmDiscrimination]
    differences: dict[str, dict[str, Difference]]
    auroc: Replicates = field(repr=False)
    delong: DeLong = field(repr=False)
    n_patients: int
    n_events: int

    @property
    def n_skipped(self) -> int:
        """Resamples in which the AUROC is not defined."""
        return self.auroc.n_undefined


def assess_discrimination(
    predictions: pd.DataFrame,
    arms: Sequence[str],
    *,
    references: Mapping[str, Mapping[str, str]] | None = None,
    n_resamples: int = 2000,
    seed: int,
    subset: Collection[str] | None = None,
) -> Discrimination:
    """AUROC with three intervals, partial AUROC, AUPRC and ROC curve of every arm, and paired differences.

    Everything is resampled from the same draws of patients; see :mod:`ppgssl.evaluation.resampling` for what an
    interval covers. The percentile interval is the primary one: p-values of differences agree with it. Raises
    EvaluationError if the predictions do not fit together, a subset names nobody, an AUROC is not defined, or a
    reference is not among the arms.

    Parameters
    ----------
    arms : all must have been tested on the same patients in the same folds
    references : kind of reference -> arm -> the arm to subtract from it, for example ``{"difference": {"ssl-all":
        "covariates"}}``. P-values are adjusted within a kind, which is one family of questions.
    subset : collection of str, optional
        Patients of a sensitivity analysis: all others are left out, the models stay as they are.
    """
    if subset is not None:
        predictions = predictions[predictions["patient_id"].isin(list(subset))]
        if predictions.empty:
            raise EvaluationError(f"none of the {len(subset)} patients of the subset has a prediction")
    aligned = align_predictions(predictions, arms)
    settings = {"n_resamples": n_resamples, "seed": seed}
    areas = resample_auroc(aligned, n_resamples=n_resamples, seed=seed)
    differences = {kind: _adjust(areas, pairs) for kind, pairs in (references or {}).items()}
    placements = place(aligned)
    by_theory, jackknife = delong(placements), placements.jackknife()
    partial, auprc = (
        resample(resampled(aligned, measure), aligned.arms, aligned.n_patients, **settings)
        for measure in (partial_auroc, average_precision)
    )
    curves = roc_curves(aligned, n_resamples=n_resamples, seed=seed)
    found = {}
    for row, arm in enumerate(aligned.arms):
        interval = areas.interval(arm)
        low, high = bca_interval(areas.draws[row], float(areas.estimates[row]), jackknife[row])
        found[arm] = ArmDiscrimination(
            auroc=interval,
            auroc_bca=Interval(estimate=interval.estimate, ci_low=low, ci_high=high),
            auroc_delong=by_theory.interval(arm),
            partial_auroc=partial.interval(arm),
            auprc=auprc.interval(arm),
            roc=curves[row],
        )
    return Discrimination(found, differences, areas, by_theory, aligned.n_patients, aligned.n_events)


def _adjust(areas: Replicates, references: Mapping[str, str]) -> dict[str, Difference]:
    differences = {arm: areas.difference(arm, reference) for arm, reference in references.items()}
    adjusted = holm([difference.p_value for difference in differences.values()])
    return {
        arm: difference.model_copy(update={"p_adjusted": p})
        for (arm, difference), p in zip(differences.items(), adjusted, strict=True)
    }
