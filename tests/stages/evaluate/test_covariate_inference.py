from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ppgssl.core.config.study import Missing
from ppgssl.stages.evaluate.covariate_inference import completed_tables, odds_ratios, patient_maps, size_needed

KNOWN = ["weight_kg", "muac_cm", "difficulty_breathing"]


def with_missing(data, method):
    """A quarter of the middle-upper-arm circumferences and of the breathing signs taken away."""
    covariates = data.covariates.copy()
    rng = np.random.default_rng(0)
    for name in ("muac_cm", "difficulty_breathing"):
        covariates.loc[rng.random(len(covariates)) < 0.25, name] = np.nan
    study = data.study.model_copy(update={"missing": Missing(method=method, n_imputations=4), "covariates": KNOWN})
    return replace(data, study=study, covariates=covariates)


@pytest.mark.parametrize(("method", "n_tables"), [("median", 1), ("mice", 4)])
def test_tables_are_complete_and_keep_what_was_known(tiny_study, method, n_tables):
    data = with_missing(tiny_study.data(), method)
    tables = completed_tables(data, KNOWN)
    assert len(tables) == n_tables
    for table in tables:
        assert list(table.index) == list(data.y.index)
        assert not table.isna().any().any()
        for name in KNOWN:
            known = data.covariates[name].notna()
            assert (table.loc[known, name] == data.covariates.loc[known, name]).all()
            assert set(table[name]) <= set(data.covariates.loc[known, name]) or method == "median"


def test_imputations_differ_where_values_are_missing(tiny_study):
    data = with_missing(tiny_study.data(), "mice")
    first, second, *_ = completed_tables(data, KNOWN)
    missing = data.covariates["muac_cm"].isna()
    assert (first.loc[missing, "muac_cm"] != second.loc[missing, "muac_cm"]).any()


def test_without_covariates_there_is_nothing_to_infer(tiny_study):
    data = tiny_study.data(arms=["ssl-all"], covariates=[])
    assert odds_ratios(data) is None
    assert size_needed(data) is None


def test_a_covariate_that_nobody_has_is_left_out(tiny_study):
    data = with_missing(tiny_study.data(), "median")
    data.covariates["muac_cm"] = np.nan
    terms = {ratio.term for ratio in odds_ratios(data).odds_ratios}
    assert not any("muac" in term for term in terms)
    assert any("weight" in term for term in terms)


def test_no_map_is_drawn_of_a_study_without_ssl(tiny_study, tmp_path):
    assert patient_maps(tiny_study.data(arms=["covariates", "untrained"]), tmp_path) == []
