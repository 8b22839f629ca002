"""ppgssl/signals/segmentation.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.core.errors import SignalError
from ppgssl.signals.segmentation import cut, in_blocks, segment_starts


def test_a_minute_holds_26_segments_of_10_s_every_2_s():
    starts = segment_starts(4800, fs_hz=80, segment_s=10, step_s=2)
    assert starts.dtype == np.int64
    assert starts.tolist() == list(range(0, 4001, 160))


@pytest.mark.parametrize(
    ("n_samples", "n_segments"), [(0, 0), (1, 0), (199, 0), (200, 1), (210, 1), (399, 1), (400, 2)]
)
def test_a_recording_shorter_than_a_segment_has_none(n_samples, n_segments):
    assert len(segment_starts(n_samples, fs_hz=100, segment_s=2, step_s=2)) == n_segments


def test_two_seconds_and_a_tenth_hold_two_overlapping_segments():
    assert segment_starts(210, fs_hz=100, segment_s=2, step_s=0.1).tolist() == [0, 10]


@given(
    n_samples=st.integers(0, 20_000),
    fs_hz=st.floats(20, 1000),
    segment_s=st.floats(0.5, 30),
    step_s=st.floats(0.1, 30),
)
def test_every_segment_fits_and_one_more_would_not(n_samples, fs_hz, segment_s, step_s):
    starts = segment_starts(n_samples, fs_hz=fs_hz, segment_s=segment_s, step_s=step_s)
    length = round(segment_s * fs_hz)
    assert np.all(starts + length <= n_samples)
    assert round(len(starts) * step_s * fs_hz) + length > n_samples
    np.testing.assert_allclose(starts, np.arange(len(starts)) * step_s * fs_hz, atol=0.51)


def test_cut_takes_the_samples_of_each_segment_from_every_channel():
    x = np.arange(40).reshape(2, 20)
    segments = cut(x, np.array([0, 3, 15]), 5)
    assert segments.shape == (2, 3, 5)
    assert segments[1, 1].tolist() == [23, 24, 25, 26, 27]
    assert cut(x, np.array([], dtype=np.int64), 5).shape == (2, 0, 5)
    assert cut(np.empty(0), np.array([], dtype=np.int64), 5).shape == (0, 5)


@pytest.mark.parametrize("starts", [[-1, 0], [0, 16]])
def test_a_segment_outside_the_recording_is_refused(starts):
    with pytest.raises(SignalError, match="the recording has 20"):
        cut(np.zeros(20), np.array(starts), 5)


@pytest.mark.parametrize(("segment_s", "step_s"), [(0.001, 1), (10, 0), (10, -2)])
def test_segments_without_samples_are_refused(segment_s, step_s):
    with pytest.raises(SignalError, match="at least one sample"):
        segment_starts(1000, fs_hz=80, segment_s=segment_s, step_s=step_s)


def test_blocks_give_each_segment_its_own_value_and_skip_what_is_undefined():
    segments = np.random.default_rng(0).standard_normal((700, 8)).astype(np.float32)
    segments[3] = 1.0
    segments[400, 2] = np.nan
    result = in_blocks(lambda x, fs_hz: fs_hz * x.max(axis=-1), segments, 2.0)
    assert np.flatnonzero(np.isnan(result)).tolist() == [3, 400]
    defined = np.isfinite(result)
    np.testing.assert_allclose(result[defined], 2 * segments[defined].max(axis=-1))
