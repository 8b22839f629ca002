"""A frozen model's risks moved to fit another place: in the large (its prevalence), or by slope too [1]_.

.. [1] Steyerberg et al., Validation and updating of predictive logistic regression models: a study on sample size and
       shrinkage, Statistics in Medicine 23:2567-2586, 2004, doi 10.1002/sim.1844.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import expit, logit

from ppgssl.core.errors import EvaluationError
from ppgssl.core.records import BoolArray, FloatArray
from ppgssl.evaluation.calibration_measures import CLIP
from ppgssl.evaluation.weighted_logistic import fit_weightings, is_separated

Method = Literal["in-the-large", "by-slope"]
METHODS: tuple[Method, ...] = ("in-the-large", "by-slope")
LABELS: dict[Method, str] = {"in-the-large": "recalibrated in the large", "by-slope": "recalibrated by slope"}
# Patients of either outcome that it takes to fit one number, and two.
MIN_CLASS: dict[Method, int] = {"in-the-large": 5, "by-slope": 10}
N_FOLDS = 10


class Recalibration(BaseModel):
    """``logit(new risk) = intercept + slope * logit(risk)``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: Method
    intercept: float
    slope: float = Field(1.0, gt=0)
    n_patients: int
    n_events: int
    cohort: str = ""
    model_sha256: str = Field("", description="The model whose risks it is for.")

    def apply(self, risk: FloatArray) -> FloatArray:
        """Recalibrated risks of any shape; the order of patients stays."""
        return np.asarray(expit(self.intercept + self.slope * _logits(risk)))

    @property
    def text(self) -> str:
        where = f" on {self.cohort}" if self.cohort else ""
        return (
            f"{LABELS[self.method]}{where} ({self.n_patients} patients, {self.n_events} events): logit of the risk = "
            f"{self.intercept:.4f} + {self.slope:.4f} * logit of the model's risk"
        )


def fit_recalibration(y_true: BoolArray, risk: FloatArray, method: Method) -> Recalibration:
    """Recalibration of largest likelihood.

    ``in-the-large`` adds a number to all logits, so that mean risk and prevalence agree; ``by-slope`` multiplies them
    too, where risks are too extreme or too moderate. Raises EvaluationError if either outcome has fewer patients than
    ``MIN_CLASS`` asks for; by slope also if risks separate the outcomes or do not vary, or if higher risks go with
    fewer events: no recalibration corrects a wrong order.

    Parameters
    ----------
    y_true : bool array, shape (n_patients,)
    risk : float array, shape (n_patients,); in 0..1; moved to ``CLIP .. 1 - CLIP``.
    method : {"in-the-large", "by-slope"}
    """
    n_minority = int(min(y_true.sum(), (~y_true).sum()))
    if n_minority < MIN_CLASS[method]:
        raise EvaluationError(
            f"not {LABELS[method]}: {n_minority} patient(s) of the minority class, and at least {MIN_CLASS[method]} "
            "are needed"
        )
    if method == "by-slope" and is_separated(_logits(risk), y_true, np.ones((len(risk), 1)))[0]:
        raise EvaluationError(f"not {LABELS[method]}: risks separate the outcomes, or do not vary")
    intercept, slope = _line(y_true, _logits(risk), method)
    if slope <= 0:
        raise EvaluationError(f"not {LABELS[method]}: higher risks go with fewer events here, so their order is wrong")
    return Recalibration(
        method=method, intercept=intercept, slope=slope, n_patients=len(y_true), n_events=int(y_true.sum())
    )


def cross_recalibrated(y_true: BoolArray, risk: FloatArray, method: Method, *, seed: int) -> FloatArray:
    """Risks of patients recalibrated by a fit to the other patients: what recalibration is worth on the next patients.

    In ``N_FOLDS`` parts, or as many as the minority class has patients, stratified by outcome. Raises EvaluationError:
    as :func:`fit_recalibration`.

    ``y_true``, ``risk``, ``method``: as of :func:`fit_recalibration`.
    """
    fit_recalibration(y_true, risk, method)  # refuses before any part is fitted
    found, x = np.empty(len(risk)), _logits(risk)
    rng, n = np.random.default_rng(seed), int(min(N_FOLDS, y_true.sum(), (~y_true).sum()))
    order = np.concatenate([rng.permutation(np.flatnonzero(of_class)) for of_class in (y_true, ~y_true)])
    for number in range(n):
        part = order[number::n]
        rest = np.setdiff1d(np.arange(len(risk)), part)
        intercept, slope = _line(y_true[rest], x[rest], method)
        found[part] = expit(intercept + slope * x[part])
    return found


def _line(y_true: BoolArray, logits: FloatArray, method: Method) -> tuple[float, float]:
    """Intercept and slope."""
    ones = np.ones((len(logits), 1))
    if method == "in-the-large":
        return float(fit_weightings(ones, y_true, ones, offset=logits)[0, 0]), 1.0
    intercept, slope = fit_weightings(np.column_stack([ones, logits]), y_true, ones)[:, 0]
    return float(intercept), float(slope)


def _logits(risk: FloatArray) -> FloatArray:
    return np.asarray(logit(np.clip(risk, CLIP, 1 - CLIP)))
