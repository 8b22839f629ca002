from __future__ import annotations

from ppgssl.stages.evaluate.performance import comparisons


def test_an_arm_is_compared_with_covariates_with_its_untrained_twin_and_with_its_clinical_input():
    pairs = comparisons(["vitals", "covariates", "vitals+ssl-all", "covariates+ssl-all", "covariates+untrained"])
    assert pairs["difference"] == dict.fromkeys(
        ["vitals", "vitals+ssl-all", "covariates+ssl-all", "covariates+untrained"], "covariates"
    )
    assert pairs["difference_from_untrained"] == {"covariates+ssl-all": "covariates+untrained"}
    assert pairs["difference_from_clinical"] == {
        "vitals+ssl-all": "vitals",
        "covariates+ssl-all": "covariates",
        "covariates+untrained": "covariates",
    }


def test_an_encoder_with_hand_crafted_features_is_compared_with_these_too():
    pairs = comparisons(["covariates", "pulse-wave", "ssl-all+pulse-wave", "covariates+ssl-all+pulse-wave:late"])
    assert pairs["difference_from_hand_crafted"] == {"ssl-all+pulse-wave": "pulse-wave"}
    assert pairs["difference_from_clinical"] == {"covariates+ssl-all+pulse-wave:late": "covariates"}


def test_what_is_not_in_the_study_is_no_reference():
    assert comparisons(["ssl-all", "network-ssl-all"]) == {
        "difference": {},
        "difference_from_untrained": {},
        "difference_from_clinical": {},
        "difference_from_hand_crafted": {},
    }
