"""A study for analysts: its patients, the features of its arms and its results as tables."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from ppgssl.core.config.arms import Arm, parse_arm
from ppgssl.core.config.study import Study
from ppgssl.core.errors import ConfigError
from ppgssl.core.results.study import RESULTS_FILE, Results, load_results
from ppgssl.core.text import suggest
from ppgssl.store.leakage import FittedParts
from ppgssl.store.splits import Fold

if TYPE_CHECKING:
    from ppgssl.store.study_data import StudyData


class LoadedStudy:
    """A study whose cohorts were ingested, from :func:`load_study`.

    Attributes
    ----------
    description : Study
        ``study.yaml``, with every default.
    folder : Path
        Of its outputs.
    """

    def __init__(self, description: Study, study_file: Path, folder: Path) -> None:
        self.description = description
        self.folder = folder
        self._study_file = study_file

    def __repr__(self) -> str:
        return f"LoadedStudy({self.description.name!r}, folder={str(self.folder)!r})"

    @cached_property
    def data(self) -> StudyData:
        """Stores, segments, patients and folds; StoreError if a store is absent or damaged."""
        from ppgssl.store.study_data import load_study_data

        return load_study_data(self.description, self._study_file, self.folder)

    @property
    def results(self) -> Results:
        """``results.json``; ``.to_frame()`` makes a table of it. ReportError if the study was not evaluated yet."""
        return load_results(self.folder / RESULTS_FILE)

    @property
    def patients(self) -> pd.DataFrame:
        """The patients analysed, index patient key: the outcome ``y`` (1 is the event), and all clinical variables."""
        return pd.concat([self.data.y, self.data.covariates], axis=1)

    @property
    def folds(self) -> list[Fold]:
        """The splits of the study, by name (``repeat0-fold0``, ...), with the patients who train and are tested."""
        return list(self.data.folds)

    def predictions(self) -> pd.DataFrame:
        """The risks of tested patients: ``arm, repeat, fold, patient_id, y_true, y_score`` and more.

        Raises
        ------
        ConfigError
            If the study was not evaluated yet.
        """
        file = self.folder / "predictions.parquet"
        if not file.is_file():
            raise ConfigError(f"there is no {file}: run `ppgssl evaluate {self._study_file}` first")
        return pd.read_parquet(file)

    def features(self, arm: str, *, fold: str | None = None) -> pd.DataFrame:
        """The inputs of one arm: a row for each patient, index patient key in the order of :attr:`patients`.

        Parameters
        ----------
        arm : str
            As in ``study.yaml``, such as ``ssl-all``, ``covariates+ssl-all`` or ``pulse-wave``; it need not be among
            the arms of the study. Of a learner (``:horseshoe``), the inputs are the same.
        fold : str, optional
            Name of the fold, such as ``repeat0-fold0``. Needed where the features are fold-specific, because an encoder
            was pretrained for each fold or segments are normalised by training patients. The patients whom the fold
            tests are in the table, too; its encoder has not seen them.

        Returns
        -------
        DataFrame
            Numbers, and text in columns of categorical covariates. Missing values are missing.

        Raises
        ------
        ConfigError
            If the arm or the fold is unknown, the arm is a network, or ``fold`` is missing and needed.
        StoreError
            If an encoder is not there: run ``ppgssl pretrain`` first.
        """
        try:
            parsed = parse_arm(arm)
        except ValueError as error:
            raise ConfigError(str(error)) from None
        if parsed.is_network:
            raise ConfigError(f"{arm!r} is a network, which has segments as input and no table of patients")
        from ppgssl.features.fold_features import FoldFeatures  # brings torch, which takes seconds

        chosen = self._fold(parsed, fold)
        parts = FittedParts(chosen.name, shared_signals=self.data.shared_signals)
        table = FoldFeatures(chosen, self.data, self.folder, parts).arm_table(parsed).transform(self.data)
        assert isinstance(table, pd.DataFrame)  # networks were refused
        return table

    def _fold(self, arm: Arm, name: str | None) -> Fold:
        folds = {fold.name: fold for fold in self.data.folds}
        if name is None and (len(folds) == 1 or not self._is_fold_specific(arm)):
            return self.data.folds[0]
        if name is None:
            raise ConfigError(
                f"the features of {arm.name!r} differ between folds: give `fold`, for example {next(iter(folds))!r}; "
                "`folds` lists all"
            )
        if name not in folds:
            raise ConfigError(f"there is no fold {name!r}{suggest(name, folds)}; there are {', '.join(folds)}")
        return folds[name]

    def _is_fold_specific(self, arm: Arm) -> bool:
        """Whether anything behind the features is fitted to, or drawn for, one fold."""
        if not arm.feature_sets:
            return False
        if self.description.inputs.normalisation == "cohort" or {"untrained", "minirocket"} & set(arm.feature_sets):
            return True
        if not arm.is_ssl:
            return False
        from ppgssl.selfsupervised.study_encoders import exposure_of

        return exposure_of(str(arm.features), self.description) == "per-fold"


def load_study(study_file: str | Path, out: str | Path | None = None) -> LoadedStudy:
    """Open a study whose cohorts were ingested.

    Parameters
    ----------
    study_file : str or Path
        Its ``study.yaml``.
    out : str or Path, optional
        Folder of its outputs; that which ``study.yaml`` names by default.

    Raises
    ------
    ConfigError
        If the description is not valid.

    Examples
    --------
    >>> from ppgssl import load_study
    >>> study = load_study("study.yaml")  # doctest: +SKIP
    >>> X, y = study.features("covariates+ssl-all", fold="repeat0-fold0"), study.patients["y"]  # doctest: +SKIP
    >>> study.results.to_frame()  # doctest: +SKIP
    """
    from ppgssl.stages.study import describe_study

    file = Path(study_file).expanduser()
    description, folder = describe_study(file, Path(out).expanduser() if out is not None else None)
    return LoadedStudy(description, file, folder)
