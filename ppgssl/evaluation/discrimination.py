"""How well every arm tells patients with the event from those without: all that the report says about ranking."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from ppgssl.core.records import FloatArray
from ppgssl.core.results.base import Difference, Interval
from ppgssl.core.results.performance import RocCurve
from ppgssl.evaluation.average_precision import average_precision
from ppgssl.evaluation.bootstrap import BootstrapAuroc, bca_interval, resample_auroc, restrict
from ppgssl.evaluation.delong import DeLong, delong
from ppgssl.evaluation.event_groups import resampled
from ppgssl.evaluation.multiplicity import holm
from ppgssl.evaluation.partial_auroc import partial_auroc
from ppgssl.evaluation.placements import place
from ppgssl.evaluation.predictions import align_predictions
from ppgssl.evaluation.replicates import Replicates, resample
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
    """What :func:`judge_discrimination` finds.

    Attributes
    ----------
    arms : dict of str to ArmDiscrimination
    differences : dict of str to dict of str to Difference
        Kind of reference -> arm -> AUROC of the arm minus that of its reference: percentile interval, bootstrap
        p-value, and that p-value adjusted by Holm over the arms of the kind.
    auroc, partial_auroc, auprc
        The replicates behind, for differences not asked for beforehand.
    delong : DeLong
    jackknife : float array, shape (n_arms, n_patients)
        AUROC without each patient in turn.
    """

    arms: dict[str, ArmDiscrimination]
    differences: dict[str, dict[str, Difference]]
    auroc: BootstrapAuroc = field(repr=False)
    partial_auroc: Replicates = field(repr=False)
    auprc: Replicates = field(repr=False)
    delong: DeLong = field(repr=False)
    jackknife: FloatArray = field(repr=False)

    @property
    def n_patients(self) -> int:
        return self.auroc.n_patients

    @property
    def n_events(self) -> int:
        return self.auroc.n_events

    @property
    def n_skipped(self) -> int:
        """Resamples in which the AUROC is not defined."""
        return self.auroc.n_skipped

    def bca_difference(self, arm: str, reference: str) -> Interval:
        """AUROC of ``arm`` minus that of ``reference``, with its BCa interval."""
        row, other = self.auroc.arms.index(arm), self.auroc.arms.index(reference)
        replicates = self.auroc.replicates[:, row] - self.auroc.replicates[:, other]
        estimate = float(self.auroc.estimates[row] - self.auroc.estimates[other])
        low, high = bca_interval(replicates, estimate, self.jackknife[row] - self.jackknife[other])
        return Interval(estimate=estimate, ci_low=low, ci_high=high)


def judge_discrimination(
    predictions: pd.DataFrame,
    arms: Sequence[str],
    *,
    references: Mapping[str, Mapping[str, str]] | None = None,
    n_resamples: int = 2000,
    seed: int,
    subset: Collection[str] | None = None,
) -> Discrimination:
    """AUROC with three intervals, partial AUROC, AUPRC and ROC curve of every arm, and paired differences.

    Everything is resampled from the same draws of patients; see :func:`ppgssl.evaluation.bootstrap.bootstrap_auroc`
    for what an interval covers. The percentile interval is the primary one: it is what p-values of differences agree
    with.

    Parameters
    ----------
    predictions : DataFrame
        Columns ``arm, repeat, fold, patient_id, y_true, y_score``.
    arms : sequence of str
        Arms to judge; all must have been tested on the same patients in the same folds.
    references : mapping of str to mapping of str to str
        Kind of reference -> arm -> the arm to subtract from it, for example ``{"difference": {"ssl-all":
        "covariates"}}``. P-values are adjusted within a kind, which is one family of questions.
    n_resamples, seed
        As in :func:`ppgssl.evaluation.bootstrap.bootstrap_auroc`.
    subset : collection of str, optional
        Patients to judge alone, the models as they are.

    Raises
    ------
    EvaluationError
        If the predictions do not fit together, a subset names nobody, an AUROC is not defined, or a reference is not
        among the arms.
    """
    aligned = align_predictions(restrict(predictions, subset), arms)
    judged = resample_auroc(aligned, n_resamples=n_resamples, seed=seed)
    differences = {kind: _adjusted(judged, pairs) for kind, pairs in (references or {}).items()}
    placements = place(aligned)
    by_theory, jackknife = delong(placements), placements.jackknife()
    partial, auprc = (
        resample(resampled(aligned, measure), aligned.arms, aligned.n_patients, n_resamples=n_resamples, seed=seed)
        for measure in (partial_auroc, average_precision)
    )
    curves = roc_curves(aligned, n_resamples=n_resamples, seed=seed)
    found = {}
    for row, arm in enumerate(aligned.arms):
        estimate = float(judged.estimates[row])
        low, high = bca_interval(judged.replicates[:, row], estimate, jackknife[row])
        found[arm] = ArmDiscrimination(
            auroc=judged.interval(arm),
            auroc_bca=Interval(estimate=estimate, ci_low=low, ci_high=high),
            auroc_delong=by_theory.interval(arm),
            partial_auroc=partial.interval(arm),
            auprc=auprc.interval(arm),
            roc=curves[row],
        )
    return Discrimination(found, differences, judged, partial, auprc, by_theory, jackknife)


def _adjusted(judged: BootstrapAuroc, references: Mapping[str, str]) -> dict[str, Difference]:
    differences = {arm: judged.difference(arm, reference) for arm, reference in references.items()}
    adjusted = holm([difference.p_value for difference in differences.values()])
    return {
        arm: difference.model_copy(update={"p_adjusted": p})
        for (arm, difference), p in zip(differences.items(), adjusted, strict=True)
    }
