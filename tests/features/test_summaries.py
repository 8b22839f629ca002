import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.features import summaries
from ppgssl.features.summaries import summarise
from ppgssl.selfsupervised.bank import SegmentBank

NONE = np.zeros(0, dtype=np.int64)


def make_bank(n=50, seed=0):
    rng = np.random.default_rng(seed)
    ones = np.ones((n, 2))
    return SegmentBank(rng.normal(size=(2, 400)), rng.integers(0, 380, n), 20, 0 * ones, ones), rng.integers(0, 7, n)


def describe(segments):
    """Four features, of which the third is missing for some segments and the last is constant."""
    mean = segments.mean(axis=-1)
    return np.column_stack([mean, np.where(mean[:, 0] > 0.1, np.nan, mean[:, 0]), np.full(len(mean), 3.7)])


def reference(bank, index):
    return describe(bank.gather(index).numpy())


@given(seed=st.integers(0, 1000), batch=st.integers(1, 60))
def test_blocks_give_what_all_segments_at_once_give(seed, batch):
    bank, patient = make_bank(seed=seed)
    rng = np.random.default_rng(seed)
    index, is_fitting, keep = rng.permutation(50), rng.random(50) < 0.6, np.sort(rng.choice(50, 12, replace=False))
    is_fitting[:2] = True
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(summaries, "_BATCH", batch)
        found = summarise(describe, bank, index, patient, n_patients=8, keep=keep, is_fitting=is_fitting)
    features = reference(bank, index)
    for number in range(8):
        rows = features[patient == number]
        for column in range(4):
            known = rows[np.isfinite(rows[:, column]), column]
            expected = known.mean() if len(known) else np.nan
            np.testing.assert_allclose(found.means[number, column], expected, rtol=1e-6)
    np.testing.assert_allclose(found.kept, features[keep], rtol=1e-6)
    for column in range(2):
        np.testing.assert_allclose(found.centre[column], features[is_fitting, column].mean(), rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(found.scale[column], features[is_fitting, column].std(), rtol=1e-6)
    assert found.scale[3] == 1


def test_scaled_features_have_mean_0_and_sd_1_and_missing_ones_are_0():
    bank, patient = make_bank()
    index = np.arange(50)
    found = summarise(describe, bank, index, patient, n_patients=7, keep=index, is_fitting=np.ones(50, dtype=bool))
    scaled = found.scaled()
    np.testing.assert_allclose(scaled[:, :2].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(scaled[:, :2].std(axis=0), 1, rtol=1e-4)
    assert (scaled[np.isnan(found.kept)] == 0).all()
    np.testing.assert_allclose(scaled[:, 3], 0, atol=1e-5)
    assert found.part(slice(1, 3)).scaled().shape == (50, 2)


def test_no_segments_are_a_mistake_of_the_caller():
    bank, _ = make_bank()
    with pytest.raises(ValueError, match="no segments"):
        summarise(describe, bank, NONE, NONE, n_patients=1, keep=NONE, is_fitting=NONE.astype(bool))
