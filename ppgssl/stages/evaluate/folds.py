"""Fits every arm on the training patients of each fold, and predicts the fold's test patients."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import TypeAdapter

from ppgssl.classifiers.factory import make_risk_model
from ppgssl.classifiers.parts import check_learners
from ppgssl.core.config.arms import Arm
from ppgssl.core.config.study import Study
from ppgssl.core.errors import EvaluationError
from ppgssl.core.parallel import Progress, Workers, silent
from ppgssl.core.provenance import replaced, write_atomically
from ppgssl.core.results.data import LeakageCheck
from ppgssl.features.columns import Columns
from ppgssl.features.fold_features import FoldFeatures, check_feature_packages, common_features
from ppgssl.stages.study import current_folder
from ppgssl.store.leakage import FittedParts, merge_checks
from ppgssl.store.splits import Fold
from ppgssl.store.study_data import StudyData

_CHECKS = TypeAdapter(list[LeakageCheck])


@dataclass(frozen=True)
class FoldPredictions:
    """Predictions of all arms, over some or all folds.

    Attributes
    ----------
    predictions : DataFrame
        A row for each arm, repeat and tested patient: ``arm``, ``repeat``, ``fold``, ``patient_id``, ``y_true``,
        ``y_score``; and of the arm in that fold ``n_features``, ``note``, ``seconds``.
    training : DataFrame
        The same columns; a row for each arm, repeat, fold and *training* patient, with a risk from models that were
        not fitted to the patient. Thresholds are chosen from it.
    leakage : list of LeakageCheck
        Who was tested against who had been seen, over these folds.
    """

    predictions: pd.DataFrame = field(repr=False)
    training: pd.DataFrame = field(repr=False)
    leakage: list[LeakageCheck] = field(repr=False)


def check_arms(study: Study) -> None:
    """Refuse arms that need a package which is not installed, before anything is fitted.

    Raises ConfigError, naming the extra to install.
    """
    check_learners([arm.learner for arm in study.arm_list if not arm.is_network])
    check_feature_packages(study.arm_list)


def predict_folds(
    data: StudyData, out: Path, made_of: str, pool: Workers, *, progress: Progress = silent
) -> FoldPredictions:
    """Predictions of all arms in all folds.

    Each fold is kept in ``out/predictions/`` as soon as it is done, under the hash of what it was made of, so that an
    interrupted evaluation goes on with the next fold.

    Raises ConfigError if an arm needs a package that is not installed, and what :meth:`FoldFitter.fit` does.
    """
    check_arms(data.study)
    folder = current_folder(out / "predictions", made_of)
    is_done = all(_is_done(folder, fold) for fold in data.folds)
    known = {} if is_done else common_features(data, out, pool, progress=progress)
    label = f"{len(data.study.arms)} arms a fold"
    return _join(list(pool.run(_predict_fold, data.folds, data, out, folder, known, progress=progress, label=label)))


def _join(parts: list[FoldPredictions]) -> FoldPredictions:
    return FoldPredictions(
        pd.concat([one.predictions for one in parts], ignore_index=True),
        pd.concat([one.training for one in parts], ignore_index=True),
        merge_checks(check for one in parts for check in one.leakage),
    )


def _predict_fold(
    fold: Fold, data: StudyData, out: Path, folder: Path, known: Mapping[str, pd.DataFrame]
) -> FoldPredictions:
    if _is_done(folder, fold):
        return _read(folder, fold)
    fitter = FoldFitter(fold, data, out, known=known)
    predicted = _join([fitter.fit(arm) for arm in data.study.arm_list])
    predicted = replace(predicted, leakage=fitter.parts.check(fold.test))
    _keep(predicted, folder, fold)
    return predicted


# --- kept folds ------------------------------------------------------------------------------------------------


def _is_done(folder: Path, fold: Fold) -> bool:
    return (folder / f"{fold.name}.parquet").is_file()


def _keep(predicted: FoldPredictions, folder: Path, fold: Fold) -> None:
    """The predictions last: where they are, the fold is done."""
    write_atomically(folder / f"{fold.name}.leakage.json", _CHECKS.dump_json(predicted.leakage, indent=1))
    for frame, name in ((predicted.training, f"{fold.name}.training"), (predicted.predictions, fold.name)):
        with replaced(folder / f"{name}.parquet") as temporary:
            frame.to_parquet(temporary, index=False)


def _read(folder: Path, fold: Fold) -> FoldPredictions:
    return FoldPredictions(
        pd.read_parquet(folder / f"{fold.name}.parquet"),
        pd.read_parquet(folder / f"{fold.name}.training.parquet"),
        _CHECKS.validate_json((folder / f"{fold.name}.leakage.json").read_bytes()),
    )


# --- one fold --------------------------------------------------------------------------------------------------


class FoldFitter:
    """Fits arms on one fold's training patients; features of an encoder are computed once for all arms.

    ``out`` is the study's folder with its encoders; ``known`` are the features that are the same in all folds, see
    :func:`ppgssl.features.fold_features.common_features`. ``parts`` records whom everything that was fitted has seen.
    """

    def __init__(
        self, fold: Fold, data: StudyData, out: Path, *, known: Mapping[str, pd.DataFrame] | None = None
    ) -> None:
        self.fold, self.data = fold, data
        self.parts = FittedParts(fold.name, data.shared_signals)
        self.features = FoldFeatures(fold, data, out, self.parts, known)

    def inputs(self, arm: Arm) -> tuple[pd.DataFrame, Columns]:
        """What a regression arm sees: a row for each patient analysed, and what the columns are."""
        table = self.features.arm_table(arm)
        rows = table.transform(self.data)
        assert isinstance(rows, pd.DataFrame)  # of a network it would be segments
        return rows, table.columns(rows)

    def fit(self, arm: Arm) -> FoldPredictions:
        """Predictions of one arm for test patients, and out-of-fold predictions for training patients.

        Raises LeakageError if anything it is fitted with has seen a test patient (unless the study asks for it), and
        EvaluationError, naming the arm, if it cannot be fitted to these training patients.
        """
        started = time.perf_counter()
        try:
            model, *risks = self._fit(arm)
        except EvaluationError as error:
            raise EvaluationError(f"arm {arm.name!r}, {self.fold.name}: {error}") from None
        about_fit = {
            "n_features": model.n_columns_,
            "note": "; ".join(model.notes_),
            "seconds": time.perf_counter() - started,
        }
        predictions, training = (
            pd.DataFrame(
                {
                    "arm": arm.name,
                    "repeat": self.fold.repeat,
                    "fold": self.fold.fold,
                    "patient_id": list(scores.index),
                    "y_true": self.data.y.loc[scores.index].to_numpy(),
                    "y_score": scores.to_numpy(dtype=float),
                    **about_fit,
                }
            ).astype({"n_features": "Int64"})
            for scores in risks
        )
        return FoldPredictions(predictions, training, self.parts.check(self.fold.test))

    def _fit(self, arm: Arm) -> tuple[Any, pd.Series, pd.Series]:
        """The model, and its risks of test and of training patients."""
        table = self.features.arm_table(arm)
        rows = table.transform(self.data)
        train, test = rows.loc[list(self.fold.train)], rows.loc[list(self.fold.test)]
        self.parts.record("Networks" if arm.is_network else "Regression models", train.index)
        self.parts.check(self.fold.test)
        columns = table.columns(rows) if isinstance(rows, pd.DataFrame) else None
        encoder = self.features.encoder(arm.encoder) if arm.is_network and arm.encoder else None
        model: Any = make_risk_model(arm, columns, self.data.study, fold=self.fold.name, encoder=encoder)
        model.fit(train, self.data.y.loc[train.index])
        # Patients to whom every network of several was fitted have none.
        training = pd.Series(model.oof_, index=train.index).dropna()
        return model, pd.Series(model.predict_proba(test)[:, 1], index=list(self.fold.test)), training
