"""A model of all patients, and the same kind of model refitted to bootstrap samples: its optimism and its stability.

Each refit is made to a bootstrap sample as the model itself was made to all patients, choice of penalties included.
What a refit loses from its own sample to all patients is what the model is expected to lose from all patients to others
[1]_; the patients whom a sample left out give a harsher estimate, as such models know 63 % of the patients only, and
the .632+ estimator [2]_ weighs both.

The intervals are location-shifted [3]_: the percentiles of the refits' apparent AUROC, moved by what the correction
took off. They hold the spread that comes with other patients to learn from, which intervals of fixed models do not; in
small cohorts they are too narrow all the same (docs/validation.md has figures). Where refits overfit so much that the
interval would leave out its own estimate, or have no width, there is none.

.. [1] Harrell, Lee & Mark, Multivariable prognostic models: issues in developing models, evaluating assumptions and
       adequacy, and measuring and reducing errors, Statistics in Medicine 15, 1996,
       10.1002/(SICI)1097-0258(19960229)15:4<361::AID-SIM168>3.0.CO;2-4.
.. [2] Efron & Tibshirani, Improvements on cross-validation: the .632+ bootstrap method, Journal of the American
       Statistical Association 92, 1997, 10.1080/01621459.1997.10474007.
.. [3] Noma, Shinozaki, Iba, Teramukai & Furukawa, Confidence intervals of prediction accuracy measures for
       multivariable prediction models based on the bootstrap-based optimism correction methods, Statistics in Medicine
       40, 2021, 10.1002/sim.9148.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import logit

from ppgssl.core.errors import EvaluationError
from ppgssl.core.records import BoolArray, FloatArray
from ppgssl.core.results.base import Interval
from ppgssl.core.results.robustness import Optimism, Stability
from ppgssl.evaluation.ranked_pairs import RankedPairs
from ppgssl.evaluation.resampling import finite, percentile_interval
from ppgssl.evaluation.weighted_logistic import fit_where_defined

# AUROC of a model that knows nothing.
_NO_INFORMATION = 0.5
# Risks of 0 and 1 have no logit.
_SMALLEST = 1e-9


@dataclass(frozen=True)
class Refits:
    """Risks of the same patients by all these models.

    Raises EvaluationError if shapes do not fit, a risk lies outside 0..1, or there is a single outcome or no refit.

    Attributes
    ----------
    y : bool array, shape (n_patients,); who had the event
    risk : float array, shape (n_patients,); by the model fitted to all of them
    counts : float array, shape (n_refits, n_patients); how often each patient is in the bootstrap sample of each refit
    refit_risk : float array, shape (n_refits, n_patients); of all patients, whether in the sample or not
    """

    y: BoolArray = field(repr=False)
    risk: FloatArray = field(repr=False)
    counts: FloatArray = field(repr=False)
    refit_risk: FloatArray = field(repr=False)

    def __post_init__(self) -> None:
        n = len(self.y)
        shapes = (self.risk.shape, self.counts.shape, self.refit_risk.shape)
        if shapes != ((n,), (self.n_refits, n), (self.n_refits, n)) or not self.n_refits:
            raise EvaluationError(
                f"risks {shapes[0]}, counts {shapes[1]} and risks of refits {shapes[2]} of {n} patients do not fit "
                "together: they must be (n_patients,) and twice (n_refits, n_patients), with at least one refit"
            )
        if not all(((one >= 0) & (one <= 1)).all() for one in (self.risk, self.refit_risk)):
            raise EvaluationError("risks of refits must lie between 0 and 1")
        if self.y.all() or not self.y.any():
            raise EvaluationError(f"all {n} patients have the same outcome: no refit can be evaluated")

    @property
    def n_refits(self) -> int:
        return len(self.counts)


def drawable_counts(y: BoolArray, n_refits: int, *, groups: Sequence[str], seed: int) -> FloatArray:
    """Bootstrap samples in which both outcomes have at least two different patients, so that a model can be fitted.

    Groups of patients are drawn, mostly of one patient each, so that those who may be one person stay together. Whole
    numbers of shape (n_refits, n_patients): how often each patient is in each sample. Raises EvaluationError if hardly
    any sample would do.
    """
    rng = np.random.default_rng(seed)
    names, group = np.unique(np.asarray(groups), return_inverse=True)
    found: list[FloatArray] = []
    for _ in range(100 * n_refits):
        counts = np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))[group].astype(float)
        if min((counts[y] > 0).sum(), (counts[~y] > 0).sum()) >= 2:
            found.append(counts)
        if len(found) == n_refits:
            return np.array(found)
    raise EvaluationError(
        f"{int(y.sum())} of {len(y)} patients have the event: nearly every bootstrap sample holds fewer than two of "
        "one outcome. Set `validation.n_optimism: 0`."
    )


@dataclass(frozen=True)
class OptimismReplicates:
    """One statistic of each refit, and of the model of all patients.

    Attributes
    ----------
    apparent : of the model fitted to all patients, in all patients; NaN where not defined
    in_sample, in_all, left_out : float arrays, shape (n_refits,)
        Of each refit: in its own bootstrap sample, in all patients, and in those whom the sample left out.
    """

    apparent: float
    in_sample: FloatArray = field(repr=False)
    in_all: FloatArray = field(repr=False)
    left_out: FloatArray = field(repr=False)

    @property
    def harrell(self) -> float:
        """The apparent value less the mean optimism of the refits."""
        return self.apparent - _mean(self.in_sample - self.in_all)

    @property
    def b632plus(self) -> float:
        """The .632+ estimate, of a statistic that is 0.5 for a model without information and more for better ones."""
        return b632plus(self.apparent, _mean(self.left_out))

    def interval(self, estimate: float) -> Interval:
        """A corrected estimate with its location-shifted 95 % interval."""
        low, high = percentile_interval(self.in_sample[np.isfinite(self.in_sample)])
        if low is None or high is None or low == high or not low <= self.apparent <= high:
            return Interval(estimate=finite(estimate), ci_low=None, ci_high=None)
        shift = estimate - self.apparent
        return Interval(estimate=estimate, ci_low=low + shift, ci_high=min(1.0, high + shift))


def optimism(refits: Refits, *, arm: str, label: str) -> Optimism:
    """Apparent and corrected AUROC and calibration slope of one arm.

    The slope is that of the outcome on the logit of the risk, corrected as Harrell does. It is not defined where a
    model separates all events from all others, or gives nearly the same risk to everybody, so that its slope would have
    a standard error over 1; refits of that kind are passed over, and if they are most, there is no slope.
    """
    areas, slopes = _replicates(refits, _aurocs), _replicates(refits, _slopes)
    is_known = np.isfinite(slopes.in_sample - slopes.in_all).mean() > 0.5
    return Optimism(
        arm=arm,
        label=label,
        n_resamples=refits.n_refits,
        apparent=areas.apparent,
        harrell=areas.interval(areas.harrell),
        b632plus=areas.interval(areas.b632plus),
        calibration_slope=finite(slopes.harrell) if is_known else None,
    )


def b632plus(apparent: float, left_out: float) -> float:
    """Efron and Tibshirani's .632+ estimate of an AUROC: ``(1 - w) * apparent + w * left_out``.

    ``w = .632 / (1 - .368 * R)``, where the relative overfitting rate R is 0 if nothing is lost in the patients left
    out, and 1 if all information is (equations 28 to 32 there). ``left_out`` is the mean over refits of their AUROC in
    the patients whom their sample left out; below 0.5 it counts as 0.5.
    """
    left_out = max(left_out, _NO_INFORMATION)
    rate = (apparent - left_out) / (apparent - _NO_INFORMATION) if apparent > left_out else 0.0
    weight = 0.632 / (1 - 0.368 * rate)
    return (1 - weight) * apparent + weight * left_out


def _replicates(
    refits: Refits, statistic: Callable[[BoolArray, FloatArray, FloatArray], FloatArray]
) -> OptimismReplicates:
    rows = []
    for risk, counts in zip(refits.refit_risk, refits.counts, strict=True):
        # The patients of the sample, all patients, and those left out.
        weightings = np.stack([counts, np.ones_like(counts), (counts == 0).astype(float)], axis=1)
        rows.append(statistic(refits.y, risk, weightings))
    apparent = statistic(refits.y, refits.risk, np.ones((len(refits.y), 1)))[0]
    return OptimismReplicates(float(apparent), *np.array(rows).T)


def _aurocs(y: BoolArray, risk: FloatArray, weights: FloatArray) -> FloatArray:
    one = np.zeros(len(y), dtype=np.int64)
    return RankedPairs(y, risk, repeat=one, fold=one, patient=np.arange(len(y)), n_patients=len(y)).auroc(weights)


def _slopes(y: BoolArray, risk: FloatArray, weights: FloatArray) -> FloatArray:
    x = logit(np.clip(risk, _SMALLEST, 1 - _SMALLEST))
    # The standard error of a slope near 0 is 1 / (SD of x * sqrt(n * prevalence * (1 - prevalence))).
    if np.std(x) * np.sqrt(len(y) * y.mean() * (1 - y.mean())) <= 1:
        return np.full(weights.shape[1], np.nan)
    return fit_where_defined(np.column_stack([np.ones_like(x), x]), x, y, weights)[1]


def _mean(values: FloatArray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")


def stability(refits: Refits, *, arm: str, label: str) -> Stability:
    """Spread of each patient's risk over refits to bootstrap samples [1]_.

    Patients are in the order of their risk by the model of all patients, with the 2.5th and 97.5th percentile over
    refits; the mean over patients and refits of the distance to that risk is the authors' mean absolute prediction
    error.

    .. [1] Riley & Collins, Stability of clinical prediction models developed using statistical or machine learning
           methods, Biometrical Journal 65, 2023, 10.1002/bimj.202200302.
    """
    order = np.argsort(refits.risk, kind="stable")
    low, high = np.quantile(refits.refit_risk[:, order], [0.025, 0.975], axis=0)
    return Stability(
        arm=arm,
        label=label,
        n_refits=refits.n_refits,
        risk=refits.risk[order].tolist(),
        ci_low=low.tolist(),
        ci_high=high.tolist(),
        mean_absolute_difference=float(np.abs(refits.refit_risk - refits.risk).mean()),
    )
