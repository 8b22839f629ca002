import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.core.config.pretraining import ResNet1dShape
from ppgssl.features.pooling import feature_names, pool_to_patients
from ppgssl.selfsupervised.encoders import make_encoder


@given(patients=st.lists(st.sampled_from(["a", "b", "10", "9", "ä"]), min_size=1, max_size=60), seed=st.integers(0, 99))
def test_the_mean_equals_a_groupby_mean(patients, seed):
    embeddings = np.random.default_rng(seed).standard_normal((len(patients), 3)).astype(np.float32)
    pooled = pool_to_patients(embeddings, np.array(patients), "abc")
    expected = pd.DataFrame(embeddings.astype(np.float64)).groupby(np.array(patients)).mean()
    assert list(pooled.index) == list(expected.index)
    np.testing.assert_allclose(pooled.to_numpy(), expected.to_numpy(), rtol=1e-9, atol=1e-12)


def test_columns_and_index_are_named():
    pooled = pool_to_patients(np.zeros((2, 2), dtype=np.float32), ["p", "p"], ["ssl_000", "ssl_001"])
    assert list(pooled.columns) == ["ssl_000", "ssl_001"]
    assert pooled.index.name == "patient"
    assert (pooled.dtypes == np.float64).all()


def test_no_segments_give_an_empty_table():
    assert pool_to_patients(np.zeros((0, 3), dtype=np.float32), [], "abc").shape == (0, 3)


def test_a_patient_is_needed_for_every_row():
    with pytest.raises(ValueError, match="2 embeddings need a patient each, and 1 were given"):
        pool_to_patients(np.zeros((2, 1)), ["a"], "x")


def test_readouts_are_named_by_what_they_are():
    shape = ResNet1dShape(width=8, representation="moments+readouts")
    encoder = make_encoder(2, shape, fs_hz=40.0, seed=0)
    names = feature_names(encoder)
    assert len(names) == len(set(names)) == encoder.embedding_dim
    assert names[:2] == ["ssl_000", "ssl_001"]
    assert names[encoder.moments_dim :][:2] == ["ssl_interval_log_sd", "ssl_interval_log_rmssd"]
