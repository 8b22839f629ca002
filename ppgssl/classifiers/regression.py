"""All learners of patient features as one function: risks of test patients, and honest ones of training patients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from ppgssl.classifiers.block_ridge import learn_block_ridge
from ppgssl.classifiers.elastic_net import learn_elastic_net
from ppgssl.classifiers.gradient_boosting import learn_gradient_boosting
from ppgssl.classifiers.horseshoe import learn_horseshoe
from ppgssl.classifiers.imputation import completed
from ppgssl.classifiers.late_fusion import fuse
from ppgssl.classifiers.learner import Learned, Learner, inner_folds
from ppgssl.classifiers.posterior import Posterior
from ppgssl.classifiers.preparation import Coded, Split, check_patients, code_patients, raw_split, standard_split
from ppgssl.core.config.study import Missing
from ppgssl.core.errors import ConfigError, EvaluationError
from ppgssl.core.records import FloatArray, IntArray
from ppgssl.core.text import suggest
from ppgssl.features.columns import Columns

LEARNERS: dict[str, Learner] = {
    "ridge": Learner(learn_block_ridge),
    "elastic-net": Learner(learn_elastic_net),
    "horseshoe": Learner(learn_horseshoe),
    "gradient-boosting": Learner(learn_gradient_boosting, takes_raw=True),
}


@dataclass(frozen=True)
class RegressionFit:
    """Risks by a regression arm.

    Attributes
    ----------
    y_score : float array, shape (n_test_patients,)
        Probability of the event, in the order of the test rows.
    training_score : float array, shape (n_train_patients,)
        Of each training patient by a model fitted to the others of the inner folds, in the order of the rows. Penalties
        and other settings are those chosen on all training patients.
    n_features : int
        Columns that the model saw: after levels became indicators, wide features components, and so on.
    notes : tuple of str
        What was done differently from the plan, for example a column left out.
    posterior : Posterior or None
        The model itself, of standardised columns: of the horseshoe alone, of one imputation and without late fusion.
    """

    y_score: FloatArray = field(repr=False)
    training_score: FloatArray = field(repr=False)
    n_features: int
    notes: tuple[str, ...]
    posterior: Posterior | None = field(default=None, repr=False)


def check_learners(learners: Sequence[str]) -> None:
    """Raise ConfigError where a learner is unknown, before anything is fitted."""
    for name in learners:
        if name not in LEARNERS:
            raise ConfigError(f"unknown learner {name!r}{suggest(name, LEARNERS)}; there are {', '.join(LEARNERS)}")


def fit_regression(
    X_train: pd.DataFrame,
    y_train: pd.Series,
    X_test: pd.DataFrame,
    columns: Columns,
    *,
    learner: str = "ridge",
    is_late_fusion: bool = False,
    missing: Missing | None = None,
    seed: int,
) -> RegressionFit:
    """Fit training patients, predict test patients; whatever is chosen or fitted is so on training patients.

    Missing covariates are replaced as :func:`ppgssl.classifiers.imputation.completed` says, within inner folds anew;
    of several imputations each has a model, and risks are averaged over them [1]_. Missing features become the median.
    Levels become indicators, one for a binary variable; everything is standardised, so that a penalty means the same
    for every column. Gradient boosting takes levels and missing values as they are, whatever the method.

    Parameters
    ----------
    X_train, X_test : DataFrame, index patient
        A row for each patient; missing values are NaN or None. A patient may stand in several training rows, as in a
        bootstrap sample: these share an inner fold.
    y_train : Series of 0/1
        In the order of ``X_train``.
    columns : Columns
        What to use, at least one column in all. One without a single value among training patients is left out, and a
        note says so.
    learner : str
        A key of ``LEARNERS``.
    is_late_fusion : bool
        One model for the clinical columns and one for the features, their risks combined, see
        :func:`ppgssl.classifiers.late_fusion.fuse`.
    missing : Missing or None
        By default, medians and most frequent levels.
    seed : int
        The only source of randomness.

    Raises
    ------
    EvaluationError
        If a column is absent or infinite, no column is left, rows and outcomes do not match, or fewer than two
        training patients have, or have not, the event.
    ConfigError
        If the learner is unknown or needs a package that is not installed.

    References
    ----------
    .. [1] Mertens, Banzato and de Wreede, Construction and assessment of prediction rules for binary outcome in the
       presence of missing predictor data using multiple imputation and cross-validation, Biom J 62:724-741, 2020,
       doi 10.1002/bimj.201800289; Wood, Royston and White, The estimation and use of predictions for the assessment of
       model performance using large samples with multiply imputed data, Biom J 57:614-632, 2015,
       doi 10.1002/bimj.201400004.
    """
    check_learners([learner])
    check_patients(X_train, y_train, X_test, columns)
    columns, notes = _with_values(X_train, columns)
    y = y_train.to_numpy(dtype=int)
    blocks = [Columns(columns.numeric, columns.categorical), Columns(features=columns.features)]
    is_late_fusion = is_late_fusion and all(block.names for block in blocks)
    with threadpool_limits(1):  # hundreds of small systems: threads would only wait for each other
        folds = inner_folds(y, X_train.index.to_numpy().astype(str), seed=seed)
        learned = [
            _averaged([LEARNERS[learner].learn(inner, whole, seed) for inner, whole in splits])
            for splits in (
                _splits(*code_patients(X_train, X_test, part), y, folds, LEARNERS[learner], missing or Missing(), seed)
                for part in (blocks if is_late_fusion else [columns])
            )
        ]
        fitted = fuse(learned, [y[outside] for _, outside in folds]) if is_late_fusion else learned[0]
    training = np.empty(len(y))
    for (_, outside), risks in zip(folds, fitted.inner, strict=True):
        training[outside] = risks
    return RegressionFit(fitted.test, training, fitted.n_columns, (*notes, *fitted.notes), fitted.posterior)


def _with_values(X_train: pd.DataFrame, columns: Columns) -> tuple[Columns, tuple[str, ...]]:
    empty = {name for name in columns.names if X_train[name].isna().all()}
    left = columns.without(empty)
    if not left.names:
        raise EvaluationError(f"nothing to predict from: no training patient has a value of {', '.join(sorted(empty))}")
    return left, tuple(f"column {name!r} left out: no training patient has a value" for name in sorted(empty))


def _splits(
    train: Coded,
    test: Coded,
    y: IntArray,
    folds: Sequence[tuple[IntArray, IntArray]],
    learner: Learner,
    missing: Missing,
    seed: int,
) -> Iterator[tuple[list[Split], Split]]:
    """Inner splits and the whole one, once for each imputation."""
    parts = [(train.rows(inside), y[inside], train.rows(outside), y[outside]) for inside, outside in folds]
    if learner.takes_raw:
        yield [raw_split(*part) for part in parts], raw_split(train, y, test, None)
        return
    imputed = [list(completed(one, others, missing, seed=seed)) for one, _, others, _ in parts]
    whole = completed(train, test, missing, seed=seed)
    for number, pair in enumerate(whole):
        inner = [
            # Where nothing is missing in an inner fold there is one table, whatever the number of imputations.
            standard_split(*part, found[min(number, len(found) - 1)])
            for part, found in zip(parts, imputed, strict=True)
        ]
        yield inner, standard_split(train, y, test, None, pair)


def _averaged(learned: list[Learned]) -> Learned:
    """Mean of the risks, over imputations."""
    if len(learned) == 1:
        return learned[0]
    inner = [np.mean(risks, axis=0) for risks in zip(*(one.inner for one in learned), strict=True)]
    notes = tuple(dict.fromkeys(note for one in learned for note in one.notes))
    return Learned(inner, np.mean([one.test for one in learned], axis=0), learned[0].n_columns, notes)
