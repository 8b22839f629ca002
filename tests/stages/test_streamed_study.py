"""A study whose samples do not fit in memory goes through every stage."""

from __future__ import annotations

import pandas as pd
import pytest

from ppgssl.stages.evaluate.evaluate import evaluate
from ppgssl.stages.pretrain import pretrain
from ppgssl.store.streaming import StreamedSamples

ARMS = ["covariates", "heart-rate", "untrained", "ssl-all", "network-random"]


@pytest.fixture(scope="module")
def predictions(tiny_study, tmp_path_factory) -> dict[str, pd.DataFrame]:
    """Of the same study resident and streamed."""
    found = {}
    for name, memory_gb in (("resident", 1.0), ("streamed", 1e-6)):
        out = tmp_path_factory.mktemp(name)
        data = tiny_study.data(inputs__memory_gb=memory_gb, arms=ARMS)
        assert isinstance(data.segments.samples, StreamedSamples) == (name == "streamed")
        pretrain(data, out, n_jobs=2)
        evaluate(data, out, n_jobs=2)
        found[name] = pd.read_parquet(out / "predictions.parquet").drop(columns="seconds")
    return found


def test_what_pretraining_has_no_part_in_is_the_same_to_the_bit(predictions):
    resident, streamed = (
        frame[frame["arm"] != "ssl-all"].reset_index(drop=True)
        for frame in (predictions["resident"], predictions["streamed"])
    )
    pd.testing.assert_frame_equal(streamed, resident)


def test_pretrained_arms_predict_the_same_patients(predictions):
    resident, streamed = (frame[frame["arm"] == "ssl-all"] for frame in predictions.values())
    assert streamed["patient_id"].tolist() == resident["patient_id"].tolist()
    assert streamed["y_score"].between(0, 1).all()
