"""A study whose samples do not fit in memory goes through every stage."""

from __future__ import annotations

import pandas as pd
import pytest

from ppgssl.stages.evaluate.evaluate import evaluate
from ppgssl.stages.pretrain import pretrain
from ppgssl.store.samples import SamplesFile

NO_REFITS = {"validation__n_optimism": 0, "learning_curve__n_draws": 0}
ARMS = ["covariates", "heart-rate", "untrained", "ssl-all", "network-random"]


@pytest.fixture(scope="module")
def predictions(tiny_study, tmp_path_factory) -> dict[str, pd.DataFrame]:
    """Of the same study resident and streamed."""
    found = {}
    for name, memory_gb in (("resident", 1.0), ("streamed", 1e-6)):
        out = tmp_path_factory.mktemp(name)
        data = tiny_study.data(inputs__memory_gb=memory_gb, arms=ARMS, **NO_REFITS)
        assert isinstance(data.segments.samples, SamplesFile) == (name == "streamed")
        pretrain(data, out, n_jobs=1)
        evaluate(data, out, n_jobs=2)
        found[name] = pd.read_parquet(out / "predictions.parquet").drop(columns="seconds")
    return found


def test_predictions_are_the_same_to_the_bit(predictions):
    pd.testing.assert_frame_equal(predictions["streamed"], predictions["resident"])
    assert set(predictions["resident"]["arm"]) == set(ARMS)
