"""Arms that belong together stand together."""

from __future__ import annotations

import pytest

from ppgssl.report.text import families
from ppgssl.report.text.families import Family
from tests.support.fake_results import PARTS, make_results
from tests.support.many_arms import MANY_ARMS


@pytest.mark.parametrize(
    ("family", "names"),
    [
        (Family.CLINICAL, "vitals covariates"),
        (Family.SSL_ALONE, "ssl-all"),
        (Family.VITALS_SSL, "vitals+ssl-labelled"),
        (Family.COVARIATES_SSL, "covariates+ssl-all"),
        (Family.HAND_CRAFTED_SSL, "ssl-all+pulse-wave covariates+ssl-labelled+pulse-wave"),
        (Family.NETWORKS, "network-random network-ssl-all"),
        (Family.CONTROLS, "heart-rate untrained minirocket covariates+pulse-wave untrained+pulse-wave"),
        (Family.LEARNERS, "covariates:gradient-boosting covariates+ssl-all+pulse-wave:late ssl-all:elastic-net"),
    ],
)
def test_each_kind_of_arm_has_its_family(family, names):
    arms = make_results(arms=names.split(), without=PARTS).arms
    assert {families.family(arm) for arm in arms} == {family}


def test_every_arm_is_in_one_group():
    results = make_results(arms=MANY_ARMS, n_extra_arms=2, without=PARTS)
    assert sorted(arm.name for arm in families.ordered(results.arms)) == sorted(arm.name for arm in results.arms)
    assert list(families.grouped(results.arms)) == [name for name in Family if name != Family.EXTERNAL]


def test_a_study_of_the_reference_alone_has_one_panel():
    results = make_results(arms=["covariates"], without=PARTS)
    assert families.panels(results, results.arms, 2) == [(Family.CLINICAL, [])]
