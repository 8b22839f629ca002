"""Refits of the regression arms: to bootstrap samples, for optimism and stability, and to ever more labelled patients.

Refits to bootstrap samples hold the patients' features fixed. That is the whole of fitting only where features are not
learned from these patients: clinical variables, hand-crafted features, an untrained encoder, an encoder pretrained on
other cohorts. An encoder pretrained for a fold has seen the signals of most patients, and no encoder has seen those of
a bootstrap sample alone; no refit of the regression shows what such an arm would lose (or gain [1]_) with other
patients to pretrain on. So there is no optimism-corrected performance of these arms: cross-validation, which pretrains
again in each fold, estimates theirs. How their risks depend on the regression is shown, with the encoder of the first
fold.

References
----------
.. [1] Moscovich & Rosset, On the cross-validation bias due to unsupervised preprocessing, Journal of the Royal
       Statistical Society B 84, 2022, 10.1111/rssb.12537.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from ppgssl.classifiers.factory import make_risk_model
from ppgssl.core.config.arms import HAND_CRAFTED, Arm
from ppgssl.core.config.study import Study
from ppgssl.core.parallel import Progress, Workers, silent
from ppgssl.core.records import FloatArray
from ppgssl.core.results.robustness import LearningCurve, Optimism, Stability
from ppgssl.core.seeds import derive_seed
from ppgssl.evaluation.learning_curves import learning_curves, stratified_draw
from ppgssl.evaluation.refits import Refits, drawable_counts, optimism, stability
from ppgssl.features.columns import Columns
from ppgssl.selfsupervised.study_encoders import exposure_of
from ppgssl.stages.evaluate.folds import FoldFitter
from ppgssl.store.linked_patients import linked_patients
from ppgssl.store.splits import Fold
from ppgssl.store.study_data import StudyData

# Bootstrap samples that one task refits.
_TASK_REFITS = 10
# Of each refit, where the model itself has more: the spread over bootstrap samples is what is asked for, and with two
# imputations a sample it is well estimated (Bartlett & Hughes, Bootstrap inference for multiple imputation under
# uncongeniality and misspecification, Statistical Methods in Medical Research 29, 2020, 10.1177/0962280220932189).
_REFIT_IMPUTATIONS = 2
# Below that, a subset of training patients has too few of one outcome to fit anything.
_MIN_CLASS = 3


@dataclass(frozen=True)
class RefitResults:
    """Results for the report, empty where the study asks for none; ``notes`` name what was left out, and why."""

    optimism: list[Optimism] = field(default_factory=list)
    stability: list[Stability] = field(default_factory=list)
    learning_curves: list[LearningCurve] = field(default_factory=list)
    notes: tuple[str, ...] = ()


def refit_arms(data: StudyData, out: Path, pool: Workers, *, progress: Progress = silent) -> RefitResults:
    """Refit a study's regression arms, as far as it asks for that; ``out`` is its folder, with the encoders."""
    corrected, points, notes = arms_of_optimism(data.study), arms_of_curves(data.study), []
    optimisms: list[Optimism] = []
    stabilities: list[Stability] = []
    if data.study.validation.n_optimism:
        notes += _uncorrected_note(data.study, corrected)
        refits = _bootstrap(data, out, list(dict.fromkeys([*corrected, *points])), pool, progress)
        optimisms = [optimism(refits[arm], arm=arm.name, label=arm.label) for arm in corrected]
        stabilities = [stability(refits[arm], arm=arm.name, label=arm.label) for arm in points]
    curves, more = _curves(data, out, points, pool, progress)
    return RefitResults(optimisms, stabilities, curves, (*notes, *more))


# --- which arms ------------------------------------------------------------------------------------------------


def arms_of_optimism(study: Study) -> list[Arm]:
    """Regression arms whose features are not learned from the study's labelled patients; see the module."""
    fixed = [None, "untrained", *HAND_CRAFTED]
    if exposure_of("ssl-all", study) == "disjoint":
        fixed.append("ssl-all")
    return [arm for arm in _refittable(study) if arm.features in fixed]


def arms_of_curves(study: Study) -> list[Arm]:
    """The at most three ridge arms that show whether signals add to the clinical input.

    The richest clinical input, the features pretrained on most recordings, and both together.
    """
    plain = [arm for arm in _refittable(study) if not arm.is_stacking and not arm.has_hand_crafted]
    ridge = [arm for arm in plain if arm.learner == "ridge"]
    alone = {arm.clinical for arm in ridge if arm.features is None}
    clinical = next((name for name in ("covariates", "vitals", "heart-rate") if name in alone), None)
    features = next((name for name in ("ssl-all", "ssl-labelled") if any(arm.features == name for arm in ridge)), None)
    wanted = [(clinical, None), (None, features), (clinical, features)]
    return [arm for arm in ridge if (arm.clinical, arm.features) in wanted]


def _refittable(study: Study) -> list[Arm]:
    # A horseshoe model samples for a second or more each time; MiniRocket's biases are learned from training patients.
    return [
        arm
        for arm in study.arm_list
        if not arm.is_network and arm.learner != "horseshoe" and arm.features != "minirocket"
    ]


def _uncorrected_note(study: Study, corrected: Sequence[Arm]) -> list[str]:
    names = ", ".join(arm.label for arm in study.arm_list if arm not in corrected and not arm.is_network)
    text = (
        f"Optimism-corrected performance is not given for {names}: bootstrap samples refit the regression and not what "
        "the features were learned with, or a refit takes too long. Cross-validation estimates it for these arms."
    )
    return [text] if names else []


# --- bootstrap samples -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Table:
    """What a regression arm sees of all patients analysed, and how it is fitted."""

    arm: Arm
    table: pd.DataFrame = field(repr=False)
    columns: Columns = field(repr=False)
    study: Study
    fold: str

    def risks(self, train: pd.DataFrame, y: pd.Series, test: pd.DataFrame, *, is_refit: bool) -> FloatArray:
        """Risks of ``test`` by the arm fitted to ``train``; the one place where arms are refitted."""
        model = make_risk_model(self.arm, self.columns, self.study, fold=self.fold)
        missing = self.study.missing
        if is_refit and missing.method == "mice":
            n_imputations = min(missing.n_imputations, _REFIT_IMPUTATIONS)
            model.set_params(missing=missing.model_copy(update={"n_imputations": n_imputations}))
        return np.asarray(model.fit(train, y).predict_proba(test)[:, 1])


def _tables(fitter: FoldFitter, arms: Sequence[Arm]) -> list[_Table]:
    return [_Table(arm, *fitter.inputs(arm), study=fitter.data.study, fold=fitter.fold.name) for arm in arms]


def _bootstrap(data: StudyData, out: Path, arms: Sequence[Arm], pool: Workers, progress: Progress) -> dict[Arm, Refits]:
    """All arms refitted to the same bootstrap samples of all patients analysed."""
    y = data.y.astype(int)
    linked = linked_patients(data.shared_signals)
    counts = drawable_counts(
        y.to_numpy() == 1,
        data.study.validation.n_optimism,
        groups=[linked.get(name, name) for name in y.index],
        seed=derive_seed(data.study.seed, "refits"),
    )
    tables = _tables(FoldFitter(data.folds[0], data, out), arms)
    tasks = [
        (number, counts[first : first + _TASK_REFITS])
        for number in range(len(tables))
        for first in range(0, len(counts), _TASK_REFITS)
    ]
    done = pool.run(
        _refitted,
        tasks,
        tables,
        y,
        progress=progress,
        label=lambda task: f"refits to {len(counts)} bootstrap samples: {tables[task[0]].arm.label}",
    )
    risks: dict[Arm, list[FloatArray]] = {arm: [] for arm in arms}
    for (number, _), of_samples in zip(tasks, done, strict=True):
        risks[tables[number].arm].append(of_samples)
    return {
        table.arm: Refits(
            y.to_numpy() == 1,
            table.risks(table.table, y, table.table, is_refit=False),
            counts,
            np.concatenate(risks[table.arm]),
        )
        for table in tables
    }


def _refitted(task: tuple[int, FloatArray], tables: Sequence[_Table], y: pd.Series) -> FloatArray:
    """Risks of all patients by refits of one arm to some bootstrap samples, shape (n_samples, n_patients)."""
    table, counts = tables[task[0]], task[1]
    rows = [np.repeat(np.arange(len(y)), sample.astype(int)) for sample in counts]
    return np.stack([table.risks(table.table.iloc[row], y.iloc[row], table.table, is_refit=True) for row in rows])


# --- learning curve --------------------------------------------------------------------------------------------


def _curves(
    data: StudyData, out: Path, arms: Sequence[Arm], pool: Workers, progress: Progress
) -> tuple[list[LearningCurve], list[str]]:
    options = data.study.learning_curve
    if not options.n_draws or not arms:
        return [], []
    fractions = [one for one in sorted(set(options.fractions)) if _is_large_enough(data, one)]
    dropped = sorted(set(options.fractions) - set(fractions))
    notes = [
        f"The learning curve has no point at {one:.0%} of the training patients: some fold would have fewer than "
        f"{_MIN_CLASS} of one outcome."
        for one in dropped
    ]
    if not fractions:
        return [], notes
    tests = pool.run(_curve_of_fold, data.folds, data, out, arms, fractions, progress=progress, label="learning curve")
    curves = learning_curves(
        pd.concat(list(tests), ignore_index=True),
        {arm.name: arm.label for arm in arms},
        n_resamples=data.study.validation.n_bootstrap,
        seed=derive_seed(data.study.seed, "bootstrap"),
    )
    return curves, notes


def _is_large_enough(data: StudyData, fraction: float) -> bool:
    events = [int(data.y.loc[list(fold.train)].sum()) for fold in data.folds]
    others = [len(fold.train) - n for fold, n in zip(data.folds, events, strict=True)]
    return round(fraction * min(*events, *others)) >= _MIN_CLASS


def _curve_of_fold(
    fold: Fold, data: StudyData, out: Path, arms: Sequence[Arm], fractions: Sequence[float]
) -> pd.DataFrame:
    """Predictions of the fold's test patients by arms fitted to draws of its training patients."""
    fitter = FoldFitter(fold, data, out)
    tables = _tables(fitter, arms)
    test = list(fold.test)
    tests = []
    for fraction, draw, train in _draws(fold, data, fractions):
        fitter.parts.record("Models of the learning curve", train)
        fitter.parts.check(test)
        y = data.y.loc[train].astype(int)
        for table in tables:
            risks = table.risks(table.table.loc[train], y, table.table.loc[test], is_refit=True)
            rows = {"arm": table.arm.name, "fraction": fraction, "draw": draw, "patient_id": test, "y_score": risks}
            tests.append(pd.DataFrame(rows).assign(n_train=len(y), n_train_events=int(y.sum())))
    truth = data.y.loc[test].rename("y_true")
    return pd.concat(tests, ignore_index=True).assign(repeat=fold.repeat, fold=fold.fold).join(truth, on="patient_id")


def _draws(fold: Fold, data: StudyData, fractions: Sequence[float]) -> Iterator[tuple[float, int, list[str]]]:
    """Fraction, number and patients of each draw; of all training patients there is one draw."""
    y = data.y.loc[list(fold.train)]
    for fraction in fractions:
        for draw in range(data.study.learning_curve.n_draws if fraction < 1 else 1):
            seed = derive_seed(data.study.seed, "learning curve", fold.name, fraction, draw)
            yield fraction, draw, stratified_draw(y, fraction, seed=seed)
