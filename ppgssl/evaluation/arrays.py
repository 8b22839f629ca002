"""The statistics of a study for plain arrays: outcomes and risks in, a table out.

All four functions take the same arguments.

- ``y_true``: array of 0/1, shape (n_rows,).
- ``risks``: one array of shape (n_rows,), or a mapping of model to array (a DataFrame is one); probabilities in 0..1.
- ``patient_id``: array, shape (n_rows,); by default each row is a patient of its own. Patients are what is resampled.
- ``repeat``, ``fold``: int arrays, shape (n_rows,), of a cross-validation. Risks are ranked within a fold, since each
  fold has a model of its own. A patient has one row in each repeat.
- ``n_resamples``, ``seed``: of the bootstrap. Equal seeds draw the same patients in all four functions.

They raise EvaluationError for risks outside 0..1, missing values, outcomes other than 0/1, an outcome that changes
within a patient, a patient who is twice in a repeat, or a single class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict, Unpack

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ppgssl.core.config.study import Decisions
from ppgssl.core.errors import EvaluationError
from ppgssl.core.results.base import Difference, Interval
from ppgssl.core.results.performance import Calibration, DecisionCurve
from ppgssl.core.text import suggest
from ppgssl.evaluation.calibration_measures import BrierScores, assess_calibration, brier_scores
from ppgssl.evaluation.decision_curves import assess_decisions
from ppgssl.evaluation.discrimination import ArmDiscrimination, assess_discrimination
from ppgssl.evaluation.predictions import PREDICTION_COLUMNS, align_predictions

Risks = ArrayLike | Mapping[str, ArrayLike]


class Rows(TypedDict, total=False):
    """Whose risk each row is, and which model estimated it; see the module's head."""

    patient_id: ArrayLike | None
    repeat: ArrayLike | None
    fold: ArrayLike | None


class _HtmlTable:
    """A result that notebooks show as its table."""

    def to_frame(self) -> pd.DataFrame:
        raise NotImplementedError

    def _repr_html_(self) -> str:
        return str(self.to_frame().to_html(float_format=lambda value: f"{value:.3f}"))


@dataclass(frozen=True)
class Aurocs(_HtmlTable):
    """How well each model ranks patients.

    ``models`` holds of each model ``auroc`` with its percentile interval, the same with BCa and DeLong intervals, the
    partial AUROC over sensitivities of 0.8 to 1, the average precision (``auprc``) and the ROC curve.
    """

    models: dict[str, ArmDiscrimination] = field(repr=False)
    n_patients: int
    n_events: int

    def to_frame(self) -> pd.DataFrame:
        """A row for each model and measure: ``estimate, ci_low, ci_high``."""
        measures = ("auroc", "auroc_bca", "auroc_delong", "partial_auroc", "auprc")
        rows = {(model, name): getattr(found, name) for model, found in self.models.items() for name in measures}
        return _interval_frame(rows, ["model", "measure"])


@dataclass(frozen=True)
class Comparison(_HtmlTable):
    """Paired differences of the AUROC, each model minus the reference.

    ``differences`` have the percentile interval, the bootstrap p-value, and that p-value adjusted by Holm; ``delong``
    holds the same differences by DeLong's test.
    """

    reference: str
    differences: dict[str, Difference] = field(repr=False)
    delong: dict[str, Difference] = field(repr=False)

    def to_frame(self) -> pd.DataFrame:
        """A row for each model that is compared."""
        frame = _interval_frame(self.differences, ["model"])
        for name in ("p_value", "p_adjusted"):
            frame[name] = [getattr(one, name) for one in self.differences.values()]
        frame["p_delong"] = [self.delong[model].p_value for model in self.differences]
        return frame


@dataclass(frozen=True)
class Calibrations(_HtmlTable):
    """Whether risks agree with outcomes: of each model intercept, slope, ICI and flexible curve, and Brier scores."""

    models: dict[str, Calibration] = field(repr=False)
    brier: dict[str, BrierScores] = field(repr=False)

    def to_frame(self) -> pd.DataFrame:
        """A row for each model and measure: ``estimate, ci_low, ci_high``."""
        rows: dict[tuple[str, str], Interval] = {}
        for model, found in self.models.items():
            scores = self.brier[model]
            rows |= {(model, name): getattr(found, name) for name in ("intercept", "slope", "ici")}
            rows |= {(model, "brier"): scores.brier, (model, "scaled_brier"): scores.scaled}
        return _interval_frame(rows, ["model", "measure"])

    def curve(self, model: str | None = None) -> pd.DataFrame:
        """The flexible curve of one model: ``predicted, observed, ci_low, ci_high``."""
        found = self.models[_pick(model, list(self.models))]
        columns = ("predicted", "observed", "ci_low", "ci_high")
        return pd.DataFrame({name: getattr(found, f"curve_{name}") for name in columns})


@dataclass(frozen=True)
class DecisionCurves(_HtmlTable):
    """Net benefit of each model, of treating all patients and of treating none."""

    curves: dict[str, DecisionCurve] = field(repr=False)

    def to_frame(self) -> pd.DataFrame:
        """A row for each strategy and threshold: ``net_benefit, ci_low, ci_high``."""
        frames = [pd.DataFrame(curve.model_dump()).assign(strategy=name) for name, curve in self.curves.items()]
        return pd.concat(frames).set_index(["strategy", "threshold"])


def auroc(y_true: ArrayLike, risks: Risks, *, n_resamples: int = 2000, seed: int = 0, **rows: Unpack[Rows]) -> Aurocs:
    """AUROC of each model with three kinds of 95 % interval, partial AUROC, average precision and ROC curve.

    Arguments, and what is refused: see the module's head. Computed by
    :func:`ppgssl.evaluation.discrimination.assess_discrimination`.

    Examples
    --------
    >>> from ppgssl import evaluation
    >>> found = evaluation.auroc([0, 0, 1, 1, 0, 1], [0.1, 0.4, 0.35, 0.8, 0.2, 0.9])
    >>> round(found.models["risk"].auroc.estimate, 3)
    0.889
    """
    table = predictions_table(y_true, risks, **rows)
    found = assess_discrimination(table, _models(table), n_resamples=n_resamples, seed=seed)
    return Aurocs(found.arms, found.n_patients, found.n_events)


def compare(
    y_true: ArrayLike,
    risks: Mapping[str, ArrayLike],
    *,
    reference: str | None = None,
    n_resamples: int = 2000,
    seed: int = 0,
    **rows: Unpack[Rows],
) -> Comparison:
    """Paired differences of the AUROC, each model minus ``reference`` (the first model by default).

    Arguments, and what is refused: see the module's head. Raises EvaluationError also if there is a single model, or
    the reference is not one of them.
    """
    table = predictions_table(y_true, risks, **rows)
    models = _models(table)
    reference = _pick(reference, models)
    if len(models) < 2:
        raise EvaluationError("a comparison needs the risks of two models or more")
    pairs = {model: reference for model in models if model != reference}
    found = assess_discrimination(table, models, references={"difference": pairs}, n_resamples=n_resamples, seed=seed)
    delong = {model: found.delong.difference(model, reference) for model in pairs}
    return Comparison(reference, found.differences["difference"], delong)


def calibration(
    y_true: ArrayLike, risks: Risks, *, n_resamples: int = 2000, seed: int = 0, **rows: Unpack[Rows]
) -> Calibrations:
    """Calibration intercept, slope, integrated calibration index, flexible curve and Brier score of each model.

    Arguments, and what is refused: see the module's head. Computed by
    :func:`ppgssl.evaluation.calibration_measures.assess_calibration` and ``brier_scores`` there.
    """
    table = predictions_table(y_true, risks, **rows)
    aligned = align_predictions(table, _models(table))
    return Calibrations(
        assess_calibration(aligned, n_resamples=n_resamples, seed=seed),
        brier_scores(aligned, n_resamples=n_resamples, seed=seed),
    )


def decision_curve(
    y_true: ArrayLike,
    risks: Risks,
    *,
    thresholds: tuple[float, float] | None = None,
    n_resamples: int = 2000,
    seed: int = 0,
    **rows: Unpack[Rows],
) -> DecisionCurves:
    """Net benefit of each model over risk thresholds, with pointwise 95 % intervals.

    ``thresholds`` is the range of risks from which one would act, between 0 and 1; by default from 1 % to twice the
    prevalence, at least to 20 %. Other arguments, and what is refused: see the module's head. Computed by
    :func:`ppgssl.evaluation.decision_curves.assess_decisions`.
    """
    table = predictions_table(y_true, risks, **rows)
    aligned = align_predictions(table, _models(table))
    found = assess_decisions(aligned, Decisions(curve=thresholds), n_resamples=n_resamples, seed=seed)
    return DecisionCurves({**found.curves, **{str(name): curve for name, curve in found.references.items()}})


def predictions_table(
    y_true: ArrayLike,
    risks: Risks,
    *,
    patient_id: ArrayLike | None = None,
    repeat: ArrayLike | None = None,
    fold: ArrayLike | None = None,
) -> pd.DataFrame:
    """The table of ``PREDICTION_COLUMNS`` that the statistics read: the rows of the first model, then of the next."""
    models = dict(risks) if isinstance(risks, Mapping | pd.DataFrame) else {"risk": risks}
    outcome = np.asarray(y_true)
    n = len(outcome) if outcome.ndim else 0
    columns = {
        "repeat": np.zeros(n, np.int64) if repeat is None else np.asarray(repeat),
        "fold": np.zeros(n, np.int64) if fold is None else np.asarray(fold),
        "patient_id": np.array([f"{row:09d}" for row in range(n)]) if patient_id is None else np.asarray(patient_id),
        "y_true": outcome,
    }
    scores = {str(name): np.asarray(values, dtype=float) for name, values in models.items()}
    if not scores:
        raise EvaluationError("there are no risks: give an array, or a mapping of model to array")
    for name, values in {**columns, **scores}.items():
        if values.shape != (n,) or not n:
            raise EvaluationError(
                f"`{name}` has the shape {values.shape}: each array needs one value a row, here ({n},)"
            )
    frames = [pd.DataFrame({"arm": name, **columns, "y_score": values}) for name, values in scores.items()]
    return pd.concat(frames, ignore_index=True)[list(PREDICTION_COLUMNS)]


def _models(table: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(table["arm"]))


def _pick(name: str | None, models: Sequence[str]) -> str:
    if name is None:
        return models[0]
    if name not in models:
        raise EvaluationError(f"{name!r} is not among the models{suggest(name, models)}; there are {', '.join(models)}")
    return name


def _interval_frame(rows: Mapping[Any, Interval], names: list[str]) -> pd.DataFrame:
    keys = list(rows)
    index = pd.MultiIndex.from_tuples(keys, names=names) if len(names) > 1 else pd.Index(keys, name=names[0])
    values = [[one.estimate, one.ci_low, one.ci_high] for one in rows.values()]
    return pd.DataFrame(values, index=index, columns=["estimate", "ci_low", "ci_high"], dtype=float)
