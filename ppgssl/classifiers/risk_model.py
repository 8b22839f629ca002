"""The probability of the outcome from a table of patients: one object from training to the model folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data
from threadpoolctl import threadpool_limits

from ppgssl.classifiers.horseshoe import N_KEPT
from ppgssl.classifiers.learner import Arrays, LinearFit, check_shapes, inner_folds
from ppgssl.classifiers.parts import LEARNERS, Part, check_learners, fit_part, numbered_arrays
from ppgssl.classifiers.posterior import Posterior
from ppgssl.classifiers.preparation import check_table, indicator_names
from ppgssl.classifiers.stacking import clipped_logits, learn_stack, stacked_risks
from ppgssl.core.config.study import Missing
from ppgssl.core.errors import EvaluationError, StoreError
from ppgssl.core.records import FloatArray, IntArray
from ppgssl.features.columns import Columns

_ANY_NUMBERS: dict[str, Any] = {"dtype": float, "ensure_all_finite": "allow-nan"}


class RiskModel(ClassifierMixin, BaseEstimator):
    """A classifier of patients: imputation, coding, scaling and a learner, all fitted to training patients.

    Missing covariates are replaced by an imputer that is fitted again within each inner fold; of several imputations
    each has a model, and risks are averaged over them [1]_. Missing features become the median. Levels become
    indicators, one for a binary variable; everything is standardised, so that a penalty means the same for every
    column. Gradient boosting takes levels and missing values as they are, whatever the method.

    Parameters
    ----------
    learner : str
        A key of ``LEARNERS``.
    columns : Columns or None
        What to use of a table. By default all columns are numbers from signals, and an array will do.
    stacking : bool
        One model of the clinical columns and one of the features, their risks combined, see
        :func:`ppgssl.classifiers.stacking.learn_stack`.
    missing : Missing or None
        By default, medians and most frequent levels.
    seed : int
        The only source of randomness.

    Attributes
    ----------
    oof_ : float array, shape (n_rows,)
        Out-of-fold predictions: the risk of each training row by a model that was fitted to other patients. Penalties
        and other settings are those chosen on all training patients. Not kept in a model folder.
    fitted_on_ : tuple of str
        Ids of the training patients. Not kept in a model folder.
    columns_ : Columns
        Those with a value.
    n_columns_ : int
        Columns that the learner saw: after levels became indicators, wide features components, and so on.
    notes_ : tuple of str
        What was done differently from the plan, for example a column left out.
    parts_ : tuple of Part
    stack_ : float array or None

    References
    ----------
    .. [1] Mertens, Banzato and de Wreede, Construction and assessment of prediction rules for binary outcome in the
       presence of missing predictor data using multiple imputation and cross-validation, Biom J 62:724-741, 2020,
       doi 10.1002/bimj.201800289; Wood, Royston and White, The estimation and use of predictions for the assessment of
       model performance using large samples with multiply imputed data, Biom J 57:614-632, 2015,
       doi 10.1002/bimj.201400004.
    """

    def __init__(
        self,
        learner: str = "ridge",
        *,
        columns: Columns | None = None,
        stacking: bool = False,
        missing: Missing | None = None,
        seed: int = 0,
    ) -> None:
        self.learner = learner
        self.columns = columns
        self.stacking = stacking
        self.missing = missing
        self.seed = seed

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.classifier_tags.multi_class = False
        return tags

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Fit training patients; whatever is chosen or fitted is so on them.

        Parameters
        ----------
        X : DataFrame, index patient; or array where there are no ``columns``
            A row for each patient; missing values are NaN or None. A patient may stand in several rows, as in a
            bootstrap sample.
        y : array-like of two classes, such as 0 and 1
            In the order of ``X``.
        groups : array-like, optional
            Rows of one group share an inner fold; by default the rows of one patient.

        Raises
        ------
        EvaluationError
            If a column is absent or infinite, no column has a value, rows and outcomes do not match, or fewer than two
            training patients have, or have not, the event.
        ConfigError
            If the learner is unknown.
        """
        check_learners([self.learner])
        table, outcome = self._training_table(X, y)
        self.columns_, self.notes_ = _drop_empty(table, self.columns or Columns(features=tuple(table.columns)))
        ids = table.index.to_numpy().astype(str)
        self.fitted_on_ = tuple(dict.fromkeys(ids.tolist()))
        with threadpool_limits(1):  # hundreds of small systems: threads would only wait for each other
            folds = inner_folds(outcome, ids if groups is None else np.asarray(groups).astype(str), seed=self.seed)
            options: dict[str, Any] = {"learner": self.learner, "missing": self.missing or Missing(), "seed": self.seed}
            fitted = [fit_part(table, outcome, columns, folds, **options) for columns in self._blocks()]
            parts, learned = zip(*fitted, strict=True)
            inner = learned[0].inner
            self.stack_: FloatArray | None = None
            if len(parts) > 1:
                held_out = [outcome[outside] for _, outside in folds]
                self.stack_, inner = learn_stack([one.inner for one in learned], held_out)
        self.parts_: tuple[Part, ...] = parts
        self.n_columns_ = sum(one.n_columns for one in learned)
        self.notes_ += tuple(dict.fromkeys(note for one in learned for note in one.notes))
        self.oof_ = np.empty(len(outcome))
        for (_, outside), risks in zip(folds, inner, strict=True):
            self.oof_[outside] = risks
        return self

    def _blocks(self) -> list[Columns]:
        clinical = Columns(self.columns_.numeric, self.columns_.categorical)
        features = Columns(features=self.columns_.features, moments=self.columns_.moments)
        return [clinical, features] if self.stacking and clinical.names and features.names else [self.columns_]

    def predict_proba(self, X: Any) -> FloatArray:
        """Probabilities of both classes, shape (n_patients, 2); the event's is the second.

        Raises
        ------
        EvaluationError
            If a column is absent, or a number is infinite.
        """
        table = self._table(X)
        with threadpool_limits(1):
            risks = [part.risks(table) for part in self.parts_]
            risk = risks[0] if self.stack_ is None else stacked_risks(self.stack_, clipped_logits(risks))
        return np.column_stack([1 - risk, risk])

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The likelier class of each patient."""
        is_event = self.predict_proba(X)[:, 1] > 0.5
        return np.asarray(self.classes_[is_event.astype(int)])

    def drawn_risks(self, X: Any) -> FloatArray | None:
        """Risks by each draw from the posterior, shape (n_draws, n_patients); their mean is the risk.

        None where the model is no posterior, or is a stack, which weighs mean risks.
        """
        if self.n_draws_ == 0:
            return None
        table = self._table(X)
        drawn = [model.drawn_risks(block) for block, model in self.parts_[0].blocks(table)]  # type: ignore[attr-defined]
        return np.concatenate([one.reshape(-1, len(table)) for one in drawn])

    @property
    def n_draws_(self) -> int:
        """Draws from the posterior of which the model consists, 0 where it does not."""
        models = self.parts_[0].models if self.stack_ is None else ()
        return sum(int(np.prod(one.draws.shape[:-1])) for one in models if isinstance(one, Posterior))

    def thinned(self) -> RiskModel:
        """The model as it is frozen: of a posterior ``N_KEPT`` draws at most; itself if it has no more.

        Over these its risks are exactly means, and off from those of all draws by chance, typically a twentieth of a
        risk's SD.
        """
        posteriors = [one for part in self.parts_ for one in part.models if isinstance(one, Posterior)]
        if not posteriors or posteriors[0].draws.ndim == 2:
            return self
        most = max(N_KEPT // len(self.parts_[0].models), 1)
        kept = RiskModel(**self.get_params(deep=False))
        kept.__dict__.update(self.__dict__)
        kept.parts_ = tuple(
            Part(**{**vars(part), "models": tuple(one.thinned(most) for one in part.models)})  # type: ignore[attr-defined]
            for part in self.parts_
        )
        return kept

    @property
    def coef_(self) -> FloatArray:
        """Log odds ratio for one SD of each column of ``coef_names_``, shape (1, n_columns), of additive learners.

        Over imputations their mean (Rubin's point estimate); of a stack, times the weight of the part.
        """
        check_is_fitted(self, "parts_")
        if not all(isinstance(model, LinearFit) for part in self.parts_ for model in part.models):
            raise AttributeError(f"a model of the learner {self.learner!r} has no coefficients")
        weights = np.ones(1) if self.stack_ is None else self.stack_[1:]
        slopes = [
            weight * _per_sd(part) * np.mean([model.slopes for model in part.models], axis=0)  # type: ignore[attr-defined]
            for weight, part in zip(weights, self.parts_, strict=True)
        ]
        return np.concatenate(slopes)[None]

    @property
    def coef_names_(self) -> list[str]:
        return [name for part in self.parts_ for name in indicator_names(part.columns, part.levels)]

    def _training_table(self, X: Any, y: Any) -> tuple[pd.DataFrame, IntArray]:
        """Training patients as a table, and their outcomes as 0 and 1."""
        if y is None:
            raise ValueError("RiskModel requires y to be passed, but the target y is None")
        if self.columns is None:
            values, y = validate_data(self, X, y, **_ANY_NUMBERS)
            table = self._frame(X, values)
        else:
            table, y = _check_frame(X), column_or_1d(y)
            self.feature_names_in_ = np.array(self.columns.names, dtype=object)
            self.n_features_in_ = len(self.columns.names)
        check_table(table, self.columns or Columns(features=tuple(table.columns)), "the training patients")
        if len(y) != len(table):
            raise EvaluationError(
                f"{len(table)} training patients have {len(y)} outcomes: give each training patient one outcome"
            )
        if self.columns is not None and not np.isin(y, [0, 1]).all():
            raise EvaluationError("training outcomes must be 0 or 1; leave out patients without an outcome first")
        check_classification_targets(y)
        if type_of_target(y) == "multiclass":
            raise ValueError("Only binary classification is supported. The type of the target is multiclass.")
        found = np.unique(y)
        self.classes_ = np.array([0, 1]) if np.isin(found, [0, 1]).all() else found
        return table, np.asarray(y == self.classes_[-1]).astype(int)

    def _table(self, X: Any) -> pd.DataFrame:
        """Patients to be predicted as a table; the rows of an array are numbered."""
        check_is_fitted(self, "parts_")
        if self.columns is None:
            table = self._frame(X, validate_data(self, X, reset=False, **_ANY_NUMBERS))
        else:
            table = _check_frame(X)
        check_table(table, self.columns_, "the patients")
        return table

    def _frame(self, X: Any, values: FloatArray) -> pd.DataFrame:
        names = getattr(self, "feature_names_in_", [f"x{number}" for number in range(values.shape[1])])
        return pd.DataFrame(values, index=X.index if isinstance(X, pd.DataFrame) else None, columns=list(names))

    def spec(self) -> dict[str, Any]:
        """Everything of the model that is no array, as JSON values; holds no patient."""
        check_is_fitted(self, "parts_")
        missing = self.missing or Missing()
        return {
            "learner": self.learner,
            "stacking": self.stack_ is not None,
            "missing": missing.model_dump(mode="json"),
            "seed": int(self.seed),
            "columns": {name: list(own) for name, own in vars(self.columns_).items()},
            "levels": {name: list(own) for part in self.parts_ for name, own in part.levels.items()},
            "n_columns": int(self.n_columns_),
            "notes": list(self.notes_),
            "classes": self.classes_.tolist(),
        }

    def to_arrays(self) -> Arrays:
        """The fitted numbers, by name; with :meth:`spec` they are the model."""
        check_is_fitted(self, "parts_")
        found: Arrays = {} if self.stack_ is None else {"stack": self.stack_}
        for number, part in enumerate(self.parts_):
            found |= {f"part.{number}.{name}": values for name, values in part.to_arrays().items()}
        return {name: np.ascontiguousarray(values) for name, values in found.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], spec: Mapping[str, Any]) -> RiskModel:
        """The model of :meth:`to_arrays` and :meth:`spec`, ready to predict.

        Raises
        ------
        StoreError
            If the learner is unknown, or numbers are absent or do not fit the columns.
        """
        if spec.get("learner") not in LEARNERS:
            raise StoreError(
                f"the model is of the learner {spec.get('learner')!r}, and this ppgssl reads models of "
                f"{', '.join(LEARNERS)}: install the ppgssl that made it, or fit it again"
            )
        try:
            columns = Columns(**{name: tuple(own) for name, own in spec["columns"].items()})
            levels = {name: tuple(own) for name, own in spec["levels"].items()}
            missing = Missing.model_validate(spec["missing"])
            model = cls(spec["learner"], columns=columns, stacking=spec["stacking"], missing=missing, seed=spec["seed"])
            model.n_columns_, model.notes_ = spec["n_columns"], tuple(spec["notes"])
            model.classes_ = np.array(spec["classes"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StoreError(f"the description of the model's classifier is not complete ({error})") from None
        if set(levels) != set(columns.categorical):
            raise StoreError("the description of the model's classifier is not complete: it lacks levels")
        model.columns_, model.fitted_on_ = columns, ()
        model.feature_names_in_ = np.array(columns.names, dtype=object)
        model.n_features_in_ = len(columns.names)
        blocks = model._blocks()
        model.stack_ = None
        if len(blocks) > 1:
            check_shapes(dict(arrays), {"stack": (1 + len(blocks),)})
            model.stack_ = arrays["stack"]
        own = numbered_arrays(arrays, "part")
        if len(own) != len(blocks):
            raise StoreError(f"the numbers of the model are not complete: {len(own)} of {len(blocks)} parts are there")
        model.parts_ = tuple(
            Part.from_arrays(part, block, {name: levels[name] for name in block.categorical}, model.learner)
            for part, block in zip(own, blocks, strict=True)
        )
        return model


def _per_sd(part: Part) -> FloatArray:
    """What turns a slope of each column as the learner took it into one of an SD."""
    n_others = len(indicator_names(part.columns, part.levels)) - len(part.columns.features)
    return np.append(np.ones(n_others), part.columns.feature_weights)


def _check_frame(X: Any) -> pd.DataFrame:
    if not isinstance(X, pd.DataFrame):
        raise EvaluationError("a model with named columns takes a DataFrame of patients")
    return X


def _drop_empty(table: pd.DataFrame, columns: Columns) -> tuple[Columns, tuple[str, ...]]:
    is_empty = table[list(columns.names)].isna().all().to_numpy()
    empty = {name for name, has_none in zip(columns.names, is_empty, strict=True) if has_none}
    left = columns.without(empty)
    if not left.names:
        raise EvaluationError(f"nothing to predict from: no training patient has a value of {', '.join(sorted(empty))}")
    names = ", ".join(map(repr, sorted(empty)))
    many = "columns" if len(empty) > 1 else "column"
    return left, (f"{many} {names} left out: no training patient has a value",) if empty else ()
