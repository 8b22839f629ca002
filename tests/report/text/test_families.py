"""Arms that belong together stand together."""

from __future__ import annotations

from ppgssl.report.text import families
from tests.support.fake_results import PARTS, make_results
from tests.support.many_arms import MANY_ARMS


def _family(name: str) -> str:
    return families.family(make_results(arms=[name], without=PARTS).arms[0])


def test_each_kind_of_arm_has_its_family():
    assert _family("vitals") == families.CLINICAL
    assert _family("covariates") == families.CLINICAL
    assert _family("ssl-all") == families.SSL_ALONE
    assert _family("vitals+ssl-labelled") == families.VITALS_SSL
    assert _family("covariates+ssl-all") == families.COVARIATES_SSL
    assert _family("ssl-all+pulse-wave") == families.HAND_CRAFTED_SSL
    assert _family("covariates+ssl-labelled+pulse-wave") == families.HAND_CRAFTED_SSL
    assert _family("network-random") == families.NETWORKS
    assert _family("network-ssl-all") == families.NETWORKS
    for control in ("heart-rate", "untrained", "minirocket", "covariates+pulse-wave", "untrained+pulse-wave"):
        assert _family(control) == families.CONTROLS
    for other in ("covariates:gradient-boosting", "covariates+ssl-all+pulse-wave:late", "ssl-all:elastic-net"):
        assert _family(other) == families.LEARNERS


def test_every_arm_is_in_one_group():
    results = make_results(arms=MANY_ARMS, n_extra_arms=2, without=PARTS)
    assert sorted(arm.name for arm in families.ordered(results.arms)) == sorted(arm.name for arm in results.arms)
    assert list(families.grouped(results.arms)) == [name for name in families.FAMILIES if name != families.EXTERNAL]


def test_a_study_of_the_reference_alone_has_one_panel():
    results = make_results(arms=["covariates"], without=PARTS)
    assert families.panels(results, results.arms, 2) == [(families.CLINICAL, [])]
