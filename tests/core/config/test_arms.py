from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from ppgssl.core.config.arms import (
    CLINICAL_LABELS,
    DEFAULT_ARMS,
    FEATURE_LABELS,
    HAND_CRAFTED,
    REFERENCE_ARM,
    EncoderName,
    RegressionName,
    parse_arm,
    untrained_counterpart,
    without_encoder,
    without_features,
)

PAIRS = [f"{encoder}+{added}" for encoder in get_args(EncoderName) for added in ("pulse-wave", "rhythm+ecg-wave")]
PAIRS += ["pulse-wave+rhythm", "pulse-wave+rhythm+ecg-wave"]
FEATURES = [*FEATURE_LABELS, *PAIRS]
TOGETHER = [f"{clinical}+{features}" for clinical in CLINICAL_LABELS for features in FEATURES]
INPUTS = [*CLINICAL_LABELS, *FEATURES, *TOGETHER]
LEARNERS = [f":{name}" for name in get_args(RegressionName) if name != "ridge"]
REGRESSIONS = [name + learner for name in INPUTS for learner in ["", *LEARNERS]]
LATE = [f"{name + learner}:late" for name in TOGETHER for learner in ["", *LEARNERS]]
NETWORKS = ["network-random", "network-ssl-labelled", "network-ssl-all"]
EVERY = [*REGRESSIONS, *LATE, *NETWORKS]


def test_every_arm_keeps_its_name_and_has_a_label_of_its_own():
    assert [parse_arm(name).name for name in EVERY] == EVERY
    assert len({parse_arm(name).label for name in EVERY}) == len(EVERY)


def test_the_published_table_is_the_default():
    labels = [parse_arm(name).label for name in DEFAULT_ARMS]
    for published in (
        "SpO2 + heart rate",
        "Clinical covariates",
        "SSL features (labelled cohort)",
        "SSL features (all recordings)",
        "SpO2 + heart rate + SSL features (labelled cohort)",
        "SpO2 + heart rate + SSL features (all recordings)",
        "Covariates + SSL features (labelled cohort)",
        "Covariates + SSL features (all recordings)",
        "Network, random initialization",
        "Network, SSL initialization (labelled cohort)",
        "Network, SSL initialization (all recordings)",
    ):
        assert published in labels


def test_the_reference_sees_covariates_and_nothing_else():
    reference = parse_arm(REFERENCE_ARM)
    assert (reference.clinical, reference.features, reference.learner) == ("covariates", None, "ridge")


@pytest.mark.parametrize("name", [name for name in EVERY if parse_arm(name).is_ssl])
def test_each_ssl_arm_is_compared_with_the_arm_that_differs_by_pretraining_alone(name):
    arm, control = parse_arm(name), parse_arm(str(untrained_counterpart(parse_arm(name))))
    assert control.encoder == "untrained"
    assert replace(control, name=arm.name, label=arm.label, features=arm.features) == arm


@pytest.mark.parametrize("name", [name for name in EVERY if not parse_arm(name).is_ssl])
def test_an_arm_without_pretraining_has_no_counterpart(name):
    assert untrained_counterpart(parse_arm(name)) is None


@pytest.mark.parametrize("name", [name for name in EVERY if name.split(":")[0] in TOGETHER])
def test_each_arm_of_two_inputs_is_compared_with_its_clinical_input_alone(name):
    arm, alone = parse_arm(name), parse_arm(str(without_features(parse_arm(name))))
    assert (alone.clinical, alone.features, alone.learner) == (arm.clinical, None, arm.learner)


@pytest.mark.parametrize("name", [name for name in EVERY if parse_arm(name).has_hand_crafted])
def test_an_encoder_with_hand_crafted_features_is_compared_with_these_alone(name):
    arm, alone = parse_arm(name), parse_arm(str(without_encoder(parse_arm(name))))
    assert arm.feature_sets == (arm.encoder, *alone.feature_sets)
    assert set(alone.feature_sets) <= set(HAND_CRAFTED)
    first, *added = alone.feature_sets
    assert replace(arm, name=alone.name, label=alone.label, features=first, added=tuple(added)) == alone
    assert alone.is_control


def test_hand_crafted_features_added_to_an_encoders_are_named():
    arm = parse_arm("covariates+ssl-all+pulse-wave:horseshoe:late")
    assert arm.label == (
        "Covariates + SSL features (all recordings) + hand-crafted pulse features, horseshoe logistic regression, "
        "stacking"
    )
    assert arm.is_ssl
    assert not arm.is_control
    assert parse_arm("untrained+pulse-wave").is_control


@pytest.mark.parametrize("name", [name for name in EVERY if not parse_arm(name).has_hand_crafted])
def test_an_arm_of_one_kind_of_features_has_nothing_to_be_beyond(name):
    assert without_encoder(parse_arm(name)) is None
    assert parse_arm(name).encoder is None or len(parse_arm(name).feature_sets) == 1


def test_only_networks_are_networks_and_they_always_have_first_weights():
    assert [name for name in EVERY if parse_arm(name).is_network] == NETWORKS
    assert all(parse_arm(name).encoder for name in NETWORKS)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("covariats", "did you mean 'covariates'"),
        ("ssl-al", "did you mean 'ssl-all'"),
        ("covariates+ssl-all:horsehoe", "did you mean 'horseshoe'"),
        ("ssl-all+covariates", "CLINICAL"),
        ("covariates+vitals", "CLINICAL+FEATURES"),
        ("covariates:late", "a clinical input and features"),
        ("ssl-all+pulse-wave:late", "a clinical input and features"),
        ("minirocket+pulse-wave", "only those of one encoder and hand-crafted ones go together"),
        ("vitals+pulse-wave+ssl-all", "in this order: one of untrained, ssl-labelled, ssl-all, then any of pulse-wave"),
        ("rhythm+pulse-wave", "then any of pulse-wave, rhythm, ecg-wave"),
        ("ssl-all+ssl-labelled", "only those of one encoder"),
        ("ssl-all+pulse-wave+pulse-wave", "only those of one encoder"),
        ("ssl-all+pulse-wav", "did you mean 'pulse-wave'"),
        ("ssl-all+pulse-wave+covariates", "or several: an encoder's, then pulse-wave"),
        ("covariates:ridge", "write 'covariates'"),
        ("covariates+ssl-all:late:horseshoe", "horseshoe"),
        ("network-rand", "did you mean 'network-random'"),
        ("", "unknown"),
    ],
)
def test_a_name_that_is_none_is_refused_with_what_there_is(name, hint):
    with pytest.raises(ValueError, match="arm") as caught:
        parse_arm(name)
    assert hint in str(caught.value)
