from __future__ import annotations

import pytest

from ppgssl.arms import ARMS, REFERENCE_ARM, untrained_counterpart

SSL_ARMS = [arm for arm in ARMS.values() if arm.encoder in ("ssl-labelled", "ssl-all")]


def test_names_and_labels_are_unique():
    assert all(name == arm.name for name, arm in ARMS.items())
    assert len({arm.label for arm in ARMS.values()}) == len(ARMS)


def test_the_reference_sees_covariates_and_nothing_else():
    reference = ARMS[REFERENCE_ARM]
    assert reference.covariates
    assert (reference.encoder, reference.heart_rate, reference.learner) == (None, False, "logistic")


@pytest.mark.parametrize("arm", SSL_ARMS, ids=lambda arm: arm.name)
def test_each_ssl_arm_is_compared_with_the_arm_that_differs_by_pretraining_alone(arm):
    control = untrained_counterpart(arm)
    assert control is not None
    assert control.encoder == "untrained"
    assert (control.learner, control.covariates, control.heart_rate) == (arm.learner, arm.covariates, arm.heart_rate)


@pytest.mark.parametrize("name", [name for name, arm in ARMS.items() if arm not in SSL_ARMS])
def test_an_arm_without_pretraining_has_no_counterpart(name):
    assert untrained_counterpart(ARMS[name]) is None


def test_every_arm_sees_something():
    assert all(arm.covariates or arm.heart_rate or arm.encoder for arm in ARMS.values())


def test_a_network_always_has_first_weights():
    assert all(arm.encoder for arm in ARMS.values() if arm.learner == "network")
