"""A horseshoe arm as plain numbers: how columns are prepared, and draws of their coefficients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ppgssl.classifiers.imputation import usual_values
from ppgssl.classifiers.posterior import Design, Posterior
from ppgssl.classifiers.preparation import Coded, Scaling, code_table, indicators, learn_scaling, medians
from ppgssl.classifiers.regression import RegressionFit, fit_regression
from ppgssl.core.config.study import Missing
from ppgssl.core.errors import StoreError
from ppgssl.core.records import FloatArray
from ppgssl.features.columns import Columns
from ppgssl.models.classifier import Arrays, Level, check_complete, check_shapes, check_table

_ARRAYS = ("usual", "mean", "scale", "pairs", "design_mean", "design_scale", "axes", "draws")


@dataclass(frozen=True)
class PosteriorModel:
    """A logistic model as draws from the posterior of its coefficients; a risk is the mean of the draws' risks.

    A missing number becomes the median of the training patients; a missing level, and one that no training patient
    had, their most frequent one. Levels become indicators and all columns are scaled, as learners get them; of these
    come products and components, and a risk for each draw, by the lines that the learner itself runs.

    Attributes
    ----------
    columns : Columns
    levels : mapping of categorical column to its levels, in the order of their codes
        As they stand in the table: 0.0 and 1.0 of a binary variable, names of levels of another.
    usual : float array, shape (n_clinical + n_features,)
        In place of missing values: of numeric columns, codes of categorical ones, features.
    scaling : Scaling
        Of numeric columns and indicators of levels, then features.
    posterior : Posterior
        With draws of shape (n_draws, 1 + n_columns).
    """

    columns: Columns
    levels: Mapping[str, tuple[Level, ...]]
    usual: FloatArray = field(repr=False)
    scaling: Scaling = field(repr=False)
    posterior: Posterior = field(repr=False)

    @property
    def n_refits(self) -> int:
        return 0

    @property
    def n_draws(self) -> int:
        return len(self.posterior.draws)

    def risks(self, X: pd.DataFrame) -> FloatArray:
        """Mean risks of the patients (rows), then those of each draw, shape (1 + n_draws, n_patients).

        Raises
        ------
        EvaluationError
            If a column is absent, or a number is infinite.
        """
        check_table(X, self.columns)
        coded = code_table(X, self.columns, _in_order(self.columns, self.levels))
        of_draws = self.posterior.risks(self.scaling(_complete(coded, self.usual)))
        return np.concatenate([of_draws.mean(axis=0, keepdims=True), of_draws])

    def arrays(self) -> Arrays:
        """The numbers, by name."""
        design = self.posterior.design
        found = (
            *(self.usual, self.scaling.mean, self.scaling.scale),
            *(design.pairs, design.scaling.mean, design.scaling.scale, design.axes),
            self.posterior.draws,
        )
        return {name: np.ascontiguousarray(one) for name, one in zip(_ARRAYS, found, strict=True)}

    @classmethod
    def from_arrays(
        cls, columns: Columns, levels: Mapping[str, Sequence[Level]], arrays: Mapping[str, npt.NDArray[Any]]
    ) -> PosteriorModel:
        """The model of :meth:`arrays`.

        Raises
        ------
        StoreError
            If arrays are absent, are not finite, or do not fit the columns.
        """
        check_complete(arrays, _ARRAYS, has_levels=set(levels) == set(columns.categorical))
        _check_arrays(columns, levels, arrays)
        usual, mean, scale, pairs, design_mean, design_scale, axes, draws = (arrays[name] for name in _ARRAYS)
        design = Design(pairs.astype(np.int64), Scaling(design_mean, design_scale), axes)
        known = {name: tuple(one) for name, one in levels.items()}
        return cls(columns, known, usual, Scaling(mean, scale), Posterior(design, draws))


def _check_arrays(
    columns: Columns, levels: Mapping[str, Sequence[Level]], arrays: Mapping[str, npt.NDArray[Any]]
) -> None:
    n_codes = [0] * len(columns.numeric) + [len(one) for one in _in_order(columns, levels)]
    n_clinical = indicators(np.zeros((1, len(n_codes))), np.array(n_codes)).shape[1]
    n_features = len(columns.features)
    n_pairs, n_components, n_draws = len(arrays["pairs"]), arrays["axes"].shape[-1], len(arrays["draws"])
    expected = {
        "usual": (len(columns.names),),
        "mean": (n_clinical + n_features,),
        "scale": (n_clinical + n_features,),
        "pairs": (n_pairs, 2),
        "design_mean": (n_clinical + n_pairs,),
        "design_scale": (n_clinical + n_pairs,),
        "axes": (n_features, n_components),
        "draws": (max(n_draws, 1), 1 + n_clinical + n_pairs + n_components),
    }
    check_shapes(arrays, expected)
    if not np.isin(arrays["pairs"], np.arange(n_clinical)).all():
        raise StoreError(
            "the classifier of the model does not fit its columns: 'pairs' must hold numbers of clinical columns, "
            f"0 to {n_clinical - 1}"
        )


def _in_order(columns: Columns, levels: Mapping[str, Sequence[Level]]) -> list[Sequence[Level]]:
    return [levels[name] for name in columns.categorical]


def _complete(coded: Coded, usual: FloatArray) -> FloatArray:
    """Numbers, indicators of levels and features without missing values, before they are scaled."""
    values = np.concatenate([coded.clinical, coded.features], axis=1)
    clinical, features = np.split(np.where(np.isnan(values), usual, values), [len(coded.n_levels)], axis=1)
    return np.concatenate([indicators(clinical, coded.n_levels), features], axis=1)


def freeze_posterior(
    X: pd.DataFrame,
    y: pd.Series,
    columns: Columns,
    *,
    levels: Mapping[str, tuple[Level, ...]],
    learner: str,
    seed: int,
) -> tuple[PosteriorModel, RegressionFit]:
    """Fit training patients as the arms of a study are fitted, and write the model down as numbers.

    It keeps a part of the learner's draws (:data:`ppgssl.classifiers.horseshoe.N_KEPT`): over these, risks are exactly
    those of the learner, and off from its mean over all draws by chance, typically a twentieth of a risk's SD.

    Parameters
    ----------
    X : DataFrame, index patient
        Training patients.
    y : Series of 0/1
    columns : Columns
        Each with a value.
    levels : mapping of categorical column to levels
        Those of the training patients, sorted by their names.
    learner, seed
        As in :func:`ppgssl.classifiers.regression.fit_regression`; missing values become medians and most frequent
        levels.

    Returns
    -------
    PosteriorModel
    RegressionFit
        The fit; its ``training_score`` is that of models that were not fitted to the patient.

    Raises
    ------
    EvaluationError
        If it cannot be fitted.
    """
    fit = fit_regression(X, y, X, columns, learner=learner, missing=Missing(), seed=seed)
    assert fit.posterior is not None  # without late fusion and with one imputation there is one
    coded = code_table(X, columns, _in_order(columns, levels))
    usual = np.concatenate([usual_values(coded), medians(coded.features)])
    model = PosteriorModel(columns, dict(levels), usual, learn_scaling(_complete(coded, usual)), fit.posterior)
    return model, fit
