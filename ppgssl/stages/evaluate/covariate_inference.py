"""Covariates and patients apart from prediction: odds ratios, the sample size needed, a map of patients."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ppgssl.classifiers.imputation import fit_imputers
from ppgssl.classifiers.preparation import code_table, levels_of
from ppgssl.core.config.arms import CLINICAL_LABELS, FEATURE_LABELS
from ppgssl.core.results.robustness import CovariateModel, EmbeddingMap, SampleSize
from ppgssl.core.seeds import derive_seed
from ppgssl.evaluation.covariate_model import covariate_model
from ppgssl.evaluation.sample_size import count_parameters, sample_size
from ppgssl.features.columns import Columns
from ppgssl.features.embedding_map import embedding_map
from ppgssl.features.fold_features import FoldFeatures
from ppgssl.store.leakage import FittedParts
from ppgssl.store.study_data import StudyData


def odds_ratios(data: StudyData) -> CovariateModel | None:
    """The covariate model of all analysed patients; None without covariates."""
    known = [name for name in data.study.covariates if data.covariates[name].notna().any()]
    if not known:
        return None
    is_filled = data.covariates[known].isna().any(axis=1) if data.study.missing.method == "median" else np.zeros(0)
    return covariate_model(completed_tables(data, known), data.y, data.clinical, known, n_filled=int(is_filled.sum()))


def completed_tables(data: StudyData, variables: list[str]) -> list[pd.DataFrame]:
    """All analysed patients without missing values, once for each of the study's imputations.

    Unlike for prediction, the outcome is in the equations of multiple imputation: odds ratios would be pulled to one
    otherwise (White et al. 2011, 10.1002/sim.4067).
    Each of the ``variables``, covariates, must be known of at least one patient.
    """
    numeric = [name for name in variables if data.clinical.variables[name].kind == "numeric"]
    levels = [name for name in variables if name not in numeric]
    outcome = data.study.outcome
    table = data.covariates[variables].assign(**{outcome: data.y.astype(int)})
    columns = Columns(tuple(numeric), (*levels, outcome))
    patients = code_table(table, columns, levels_of(table, columns))
    seed = derive_seed(data.study.seed, "imputation for odds ratios")
    is_complete = not np.isnan(patients.clinical).any()
    blocks = [block for _, block in fit_imputers(patients, data.study.missing, seed=seed)]
    return [_decoded(block, table, numeric, levels) for block in (blocks[:1] if is_complete else blocks)]


def _decoded(block: np.ndarray, table: pd.DataFrame, numeric: list[str], levels: list[str]) -> pd.DataFrame:
    decoded = pd.DataFrame(block[:, : len(numeric)], index=table.index, columns=numeric)
    for number, name in enumerate(levels, start=len(numeric)):
        known = np.array(sorted(table[name].dropna().unique(), key=str), dtype=object)
        decoded[name] = known[block[:, number].astype(int)]
    return decoded.infer_objects()


def size_needed(data: StudyData) -> SampleSize | None:
    """Patients that a model of the covariates would need at the least; None without covariates."""
    n_parameters = count_parameters(data.covariates, data.clinical, data.study.covariates)
    if not n_parameters:
        return None
    return sample_size(CLINICAL_LABELS["covariates"], n_parameters, len(data.y), int(data.y.sum()))


def patient_maps(data: StudyData, out: Path) -> list[EmbeddingMap]:
    """Patients by the features of the study's broadest SSL encoder, that of the first fold; none without SSL."""
    used = {arm.features for arm in data.study.arm_list}
    name = next((name for name in ("ssl-all", "ssl-labelled") if name in used), None)
    if name is None:
        return []
    fold = data.folds[0]
    features = FoldFeatures(fold, data, out, FittedParts(fold.name, data.shared_signals))[name].transform(data)
    cohort = pd.Series(data.labelled.cohort.name, index=features.index)
    seed = derive_seed(data.study.seed, "map of patients")
    return [embedding_map(features, data.y, cohort, name=name, label=FEATURE_LABELS[name], seed=seed)]
