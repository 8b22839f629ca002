"""Reports that several tests look at: drawing one takes seconds, so each is drawn once."""

from __future__ import annotations

from functools import cache
from typing import Any

from ppgssl.report.composition import Composition, compose
from tests.support.fake_results import make_results

LEAST: dict[str, Any] = {
    "arms": ["covariates"],
    "n_patients": 20,
    "n_events": 5,
    "n_cohorts": 1,
    "with_pretraining": False,
    "with_examples": False,
    "with_acquisition": False,
    "with_sensitivity": False,
}
SMALL = LEAST | {"arms": ["covariates", "ssl-all", "untrained"], "with_sensitivity": True}


@cache
def whole_report() -> Composition:
    return compose(make_results())


@cache
def small_report() -> Composition:
    return compose(make_results(**SMALL))
