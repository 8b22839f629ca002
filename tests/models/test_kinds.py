"""Which arms can be written as plain numbers, and as what they are read."""

from __future__ import annotations

import pytest

from ppgssl.core.config.arms import parse_arm
from ppgssl.core.errors import ConfigError, StoreError
from ppgssl.features.columns import Columns
from ppgssl.models.kinds import check_freezable, read_classifier


@pytest.mark.parametrize(
    "name", ["covariates:gradient-boosting", "minirocket", "minirocket:horseshoe", "network-ssl-all"]
)
def test_arms_that_are_no_plain_numbers_are_refused_with_what_can_be_done(name):
    with pytest.raises(ConfigError, match=r"ridge, elastic-net, horseshoe can.*for example 'covariates\+ssl-all'"):
        check_freezable(parse_arm(name))


def test_late_fusion_of_posteriors_is_refused_with_the_arm_that_can():
    with pytest.raises(ConfigError, match=r"no draws of its own risk.*for example 'vitals\+pulse-wave:horseshoe'"):
        check_freezable(parse_arm("vitals+pulse-wave:horseshoe:late"))
    with pytest.raises(ConfigError, match=r"for example 'vitals\+ssl-all\+pulse-wave:horseshoe'"):
        check_freezable(parse_arm("vitals+ssl-all+pulse-wave:horseshoe:late"))


@pytest.mark.parametrize(
    "name",
    [
        "covariates",
        "vitals+pulse-wave:elastic-net",
        "covariates+ssl-labelled:late",
        "ssl-all:horseshoe",
        "covariates+ssl-all:horseshoe",
        "ssl-all+pulse-wave",
        "covariates+ssl-all+pulse-wave:late",
        "vitals+untrained+pulse-wave:horseshoe",
    ],
)
def test_ridge_elastic_net_their_late_fusion_and_horseshoe_can_be_frozen(name):
    check_freezable(parse_arm(name))


def test_a_model_of_an_unknown_learner_is_explained():
    with pytest.raises(StoreError, match=r"of the learner 'forest'.*install the ppgssl that made it"):
        read_classifier("forest", Columns(("age",)), {}, {})
