"""Which columns of an arm's table are what."""

from __future__ import annotations

import pandas as pd
import pytest

from ppgssl.core.config.arms import parse_arm
from ppgssl.features.patient_table import ArmTable

COLUMNS = ["age_years", "ssl_000", "ssl_001", "ssl_interval_log_sd", "ppg_red rise_s"]


class _Study:
    covariates, spo2, heart_rate = ("age_years",), None, None


@pytest.mark.parametrize(
    ("arm", "moments"),
    [
        ("covariates+ssl-all+pulse-wave", ("ssl_000", "ssl_001")),
        ("covariates+ssl-labelled", ("ssl_000", "ssl_001")),
        ("covariates+untrained", ()),
    ],
)
def test_moments_are_told_from_readouts_but_not_of_an_encoder_that_was_never_trained(arm, moments):
    table = ArmTable(parse_arm(arm), _Study(), {}, {})
    columns = table.columns(pd.DataFrame(columns=COLUMNS))
    assert columns.numeric == ("age_years",)
    assert columns.features == tuple(COLUMNS[1:])
    assert columns.moments == moments
    weights = columns.feature_weights.tolist()
    assert weights == [0.3, 0.3, 1, 1] if moments else weights == [1, 1, 1, 1]
