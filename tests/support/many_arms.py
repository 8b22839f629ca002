"""Over thirty arms: the default ones, every control, hand-crafted features beside an encoder's, and other learners."""

from __future__ import annotations

from ppgssl.core.config.arms import DEFAULT_ARMS

MANY_ARMS = [
    *DEFAULT_ARMS,
    "heart-rate",
    "minirocket",
    "covariates+minirocket",
    "covariates+pulse-wave",
    "vitals+untrained",
    "vitals:gradient-boosting",
    "covariates:horseshoe",
    "covariates:elastic-net",
    "covariates+ssl-all:gradient-boosting",
    "covariates+ssl-all:horseshoe",
    "covariates+ssl-all:elastic-net",
    "covariates+ssl-all:late",
    "covariates+ssl-labelled:late",
    "ssl-all:gradient-boosting",
    "vitals+ssl-all:late",
    "ssl-all+pulse-wave",
    "covariates+ssl-all+pulse-wave",
    "untrained+pulse-wave",
]
