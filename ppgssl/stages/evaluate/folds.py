"""Fits every arm on the training patients of each fold, and predicts the fold's test patients."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
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
from ppgssl.core.records import FloatArray
from ppgssl.core.results.data import LeakageCheck
from ppgssl.features.columns import Columns
from ppgssl.features.fold_features import FoldFeatures, check_feature_packages, common_features
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

    Raises
    ------
    ConfigError
        Naming the extra to install.
    """
    check_learners([arm.learner for arm in study.arm_list if not arm.is_network])
    check_feature_packages(study.arm_list)


def predict_folds(
    data: StudyData, out: Path, made_of: str, pool: Workers, *, progress: Progress = silent
) -> FoldPredictions:
    """Predictions of all arms in all folds.

    Each fold is kept in ``out/predictions/`` as soon as it is done, under the hash of what it was made of, so that an
    interrupted evaluation goes on with the next fold.

    Raises
    ------
    ConfigError
        If an arm needs a package that is not installed.
    LeakageError
        If anything fitted for a fold has seen one of its test patients, unless the study asks for it.
    EvaluationError
        If an arm cannot be fitted to the training patients of a fold.
    """
    check_arms(data.study)
    folder = out / "predictions" / made_of[:16]
    folder.mkdir(parents=True, exist_ok=True)
    for outdated in (out / "predictions").iterdir():
        if outdated != folder:
            shutil.rmtree(outdated)
    is_open = any(not _is_done(folder, fold) for fold in data.folds)
    known = common_features(data, out) if is_open else {}
    label = f"{len(data.study.arms)} arms a fold"
    done = pool.run(_predict_fold, data.folds, data, out, folder, known, progress=progress, label=label)
    return _joined(list(done))


def _joined(found: list[FoldPredictions]) -> FoldPredictions:
    return FoldPredictions(
        pd.concat([one.predictions for one in found], ignore_index=True),
        pd.concat([one.training for one in found], ignore_index=True),
        merge_checks(check for one in found for check in one.leakage),
    )


def _predict_fold(
    fold: Fold, data: StudyData, out: Path, folder: Path, known: Mapping[str, pd.DataFrame]
) -> FoldPredictions:
    if _is_done(folder, fold):
        return _read(folder, fold)
    fitter = FoldFitter(fold, data, out, known=known)
    fitted = [fitter.fit(arm) for arm in data.study.arm_list]
    found = FoldPredictions(
        pd.concat([one.predictions for one in fitted], ignore_index=True),
        pd.concat([one.training for one in fitted], ignore_index=True),
        fitter.parts.check(fold.test),
    )
    _keep(found, folder, fold)
    return found


# --- kept folds ------------------------------------------------------------------------------------------------


def _is_done(folder: Path, fold: Fold) -> bool:
    return (folder / f"{fold.name}.parquet").is_file()


def _keep(found: FoldPredictions, folder: Path, fold: Fold) -> None:
    """The predictions last: where they are, the fold is done."""
    write_atomically(folder / f"{fold.name}.leakage.json", _CHECKS.dump_json(found.leakage, indent=1).decode())
    for frame, name in ((found.training, f"{fold.name}.training"), (found.predictions, fold.name)):
        with replaced(folder / f"{name}.parquet") as temporary:
            frame.to_parquet(temporary, index=False)


def _read(folder: Path, fold: Fold) -> FoldPredictions:
    return FoldPredictions(
        pd.read_parquet(folder / f"{fold.name}.parquet"),
        pd.read_parquet(folder / f"{fold.name}.training.parquet"),
        _CHECKS.validate_json((folder / f"{fold.name}.leakage.json").read_bytes()),
    )


# --- one fold --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Fitted:
    """Scores of test and training patients, columns of a regression, and what was done otherwise than planned."""

    test: FloatArray
    training: pd.Series
    n_features: int | None = None
    note: str = ""


class FoldFitter:
    """Fits arms on one fold's training patients; features of an encoder are computed once for all arms.

    Parameters
    ----------
    fold
        Who trains and who is tested.
    data
        The study's segments, outcome and covariates.
    out
        The study's folder, where its encoders lie.
    known
        Features that are the same in all folds, see :func:`ppgssl.features.fold_features.common_features`.

    Attributes
    ----------
    parts : FittedParts
        Whom everything that was fitted has seen.
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

        Raises
        ------
        LeakageError
            If anything it is fitted with has seen a test patient.
        EvaluationError
            If it cannot be fitted to these training patients; the message names the arm.
        """
        started = time.perf_counter()
        try:
            fitted = self._fit(arm)
        except EvaluationError as error:
            raise EvaluationError(f"arm {arm.name!r}, {self.fold.name}: {error}") from None
        seconds = time.perf_counter() - started
        test = pd.Series(fitted.test, index=list(self.fold.test))
        predictions, training = (self._frame(arm, scores, fitted, seconds) for scores in (test, fitted.training))
        return FoldPredictions(predictions, training, self.parts.check(self.fold.test))

    def _frame(self, arm: Arm, scores: pd.Series, fitted: _Fitted, seconds: float) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "arm": arm.name,
                "repeat": self.fold.repeat,
                "fold": self.fold.fold,
                "patient_id": list(scores.index),
                "y_true": self.data.y.loc[scores.index].to_numpy(),
                "y_score": scores.to_numpy(dtype=float),
                "n_features": fitted.n_features,
                "note": fitted.note,
                "seconds": seconds,
            }
        ).astype({"n_features": "Int64"})

    def _fit(self, arm: Arm) -> _Fitted:
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
        return _Fitted(model.predict_proba(test)[:, 1], training, model.n_columns_, "; ".join(model.notes_))
