from __future__ import annotations

from ppgssl.arm_judging import comparisons


def test_an_arm_is_compared_with_covariates_with_its_untrained_twin_and_with_its_clinical_input():
    pairs = comparisons(["vitals", "covariates", "vitals+ssl-all", "covariates+ssl-all", "covariates+untrained"])
    assert pairs["difference"] == dict.fromkeys(
        ["vitals", "vitals+ssl-all", "covariates+ssl-all", "covariates+untrained"], "covariates"
    )
    assert pairs["difference_to_untrained"] == {"covariates+ssl-all": "covariates+untrained"}
    assert pairs["difference_to_clinical"] == {
        "vitals+ssl-all": "vitals",
        "covariates+ssl-all": "covariates",
        "covariates+untrained": "covariates",
    }


def test_what_is_not_in_the_study_is_no_reference():
    assert comparisons(["ssl-all", "network-ssl-all"]) == {
        "difference": {},
        "difference_to_untrained": {},
        "difference_to_clinical": {},
    }
