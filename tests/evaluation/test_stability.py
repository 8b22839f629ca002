from __future__ import annotations

import numpy as np
import pytest

from ppgssl.evaluation.refits import Refits
from ppgssl.evaluation.stability import stability


def test_spread_and_mean_distance_are_those_of_a_loop_over_patients():
    rng = np.random.default_rng(0)
    y = np.arange(30) < 10
    refits = Refits(y, rng.random(30), np.ones((41, 30)), rng.random((41, 30)))
    found = stability(refits, arm="covariates", label="Covariates")
    assert found.risk == sorted(refits.risk)
    distances = []
    for place, patient in enumerate(np.argsort(refits.risk)):
        risks = refits.refit_risk[:, patient]
        assert found.ci_low[place] == pytest.approx(np.percentile(risks, 2.5))
        assert found.ci_high[place] == pytest.approx(np.percentile(risks, 97.5))
        distances.append(np.mean(abs(risks - refits.risk[patient])))
    assert found.mean_absolute_difference == pytest.approx(np.mean(distances))
    assert found.n_refits == 41


def test_refits_that_agree_with_the_model_have_no_spread():
    y = np.arange(6) < 2
    risk = np.linspace(0.1, 0.6, 6)
    found = stability(Refits(y, risk, np.ones((3, 6)), np.stack([risk] * 3)), arm="", label="")
    assert found.ci_low == found.risk == found.ci_high
    assert found.mean_absolute_difference == 0
