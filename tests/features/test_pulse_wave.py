import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppgssl.features.pulse_wave import PulseWave
from tests.support.synthetic import make_ppg

FS_HZ = 100


def ppg(n=6, seconds=10.0, **options):
    """Segments of one channel, shape (n, 1, length), each of another rate."""
    rng = np.random.default_rng(0)
    rates = np.linspace(55, 110, n)
    return rates, np.stack([make_ppg(seconds, FS_HZ, rate, rng=rng, **options) for rate in rates])[:, None]


def features(segments, fs_hz=FS_HZ):
    """Name of a feature -> its values, of channels a, b, c."""
    wave = PulseWave(fs_hz)
    values = wave(segments)
    names = wave.names(["a", "b", "c"][: segments.shape[1]])
    assert values.shape == (len(segments), len(names))
    return dict(zip(names, values.T, strict=True))


def test_rhythm_is_that_of_the_beats():
    rng = np.random.default_rng(1)
    time = np.arange(60 * FS_HZ) / FS_HZ
    intervals = [mean * (1 + 0.05 * rng.standard_normal(round(60 / mean))) for mean in (0.6, 0.8, 1.0)]
    # Pulses of one shape, so that the steepest points are as far apart as the beats.
    segments = [
        np.exp(-0.5 * ((time - at[:, None]) / 0.07) ** 2).sum(axis=0)[None]
        for at in (np.cumsum(of_one) for of_one in intervals)
    ]
    found = features(np.stack(segments))
    for number, of_one in enumerate(intervals):
        within = of_one[1:][np.cumsum(of_one)[1:] < 60]
        assert found["a heart_rate_bpm"][number] == pytest.approx(60 / within.mean(), rel=0.03)
        assert found["a interval_s"][number] == pytest.approx(np.median(within), abs=0.011)
        assert found["a sdnn_s"][number] == pytest.approx(within.std(ddof=1), rel=0.03)
        assert found["a rmssd_s"][number] == pytest.approx(np.sqrt((np.diff(within) ** 2).mean()), rel=0.05)
        assert found["a normal_proportion"][number] > 0.95


def test_widths_and_area_of_a_gaussian_pulse_are_those_of_the_bell_curve():
    phase = np.arange(0, 10, 1.2 / FS_HZ)  # 72 beats a minute
    sigma = 0.08
    distance = (phase - 0.4 + 0.5) % 1 - 0.5
    found = features(np.exp(-0.5 * (distance / sigma) ** 2)[None, None])
    for ratio in (0.25, 0.5, 0.75):
        assert found[f"a width_{ratio:g}"] == pytest.approx(2 * sigma * np.sqrt(-2 * np.log(ratio)), abs=0.025)
    assert found["a area_after_peak"] == pytest.approx(0.5, abs=0.06)
    # The steepest point lies one sigma before the peak, where the slope is exp(-1/2) / sigma per beat, 1.2 a second.
    assert found["a steepness_per_s"] == pytest.approx(1.2 * np.exp(-0.5) / sigma, rel=0.05)
    assert found["a log_height"] == pytest.approx(0, abs=0.03)


@given(phase_1=st.floats(-3, 3), phase_2=st.floats(-3, 3), ratio=st.floats(0.1, 0.6))
@settings(max_examples=20)
def test_harmonics_have_their_amplitude_and_a_phase_that_no_delay_changes(phase_1, phase_2, ratio):
    angle = 2 * np.pi * 1.25 * np.arange(1200) / FS_HZ
    wave = np.cos(angle + phase_1) + ratio * np.cos(2 * angle + phase_2)
    found = features(wave[None, None])
    if found["a heart_rate_bpm"] == pytest.approx(75, rel=0.01):  # not where the overtone beats twice
        assert found["a log_harmonic_2"] == pytest.approx(np.log(ratio), abs=0.05)
        assert found["a harmonic_2_cosine"] == pytest.approx(np.cos(phase_2 - 2 * phase_1), abs=0.05)
        assert found["a harmonic_2_sine"] == pytest.approx(np.sin(phase_2 - 2 * phase_1), abs=0.05)


@pytest.mark.parametrize("seconds", [10.0, 20.0])
def test_breathing_shows_in_the_heights_of_the_beats(seconds):
    _, segments = ppg(seconds=seconds)
    time = np.arange(segments.shape[-1]) / FS_HZ
    found = features(segments * (1 + 0.2 * np.sin(2 * np.pi * 0.25 * time)))
    np.testing.assert_allclose(found["a height_modulation_per_min"], 15, atol=3)
    assert (found["a height_modulation_clarity"] > 0.7).all()
    assert (found["a height_cv"] > 0.1).all()
    assert (features(segments)["a height_cv"] < 0.03).all()


@given(gain=st.floats(0.01, 100))
@settings(max_examples=10)
def test_a_gain_moves_the_logarithms_of_size_and_nothing_else(gain):
    _, segments = ppg(n=3, noise=0.02)
    before, after = features(segments), features(gain * segments)
    for name, values in before.items():
        shift = np.log(gain) if name in ("a log_height", "a log_sd") else 0.0
        np.testing.assert_allclose(after[name], values + shift, atol=1e-6, err_msg=name)


def test_two_channels_are_compared_by_height_and_correlation():
    _, segments = ppg(n=3)
    both = np.concatenate([segments, -0.5 * segments, 2 * segments], axis=1)
    found = features(both)
    np.testing.assert_allclose(found["a/c log_height_ratio"], -np.log(2), atol=1e-9)
    np.testing.assert_allclose(found["a/b correlation"], -1)
    np.testing.assert_allclose(found["a/c correlation"], 1)


def test_a_segment_is_described_alike_whatever_the_others_are():
    _, segments = ppg(n=5, noise=0.05, irregularity=0.1)
    wave = PulseWave(FS_HZ)
    np.testing.assert_allclose(wave(segments)[2:3], wave(segments[2:3]), atol=1e-9)


@pytest.mark.parametrize("segments", [np.zeros((3, 2, 500)), np.ones((1, 1, 200)), np.zeros((0, 1, 300))])
def test_without_a_pulse_features_are_missing_and_nothing_warns(segments):
    values = PulseWave(FS_HZ)(segments)
    assert len(values) == len(segments)
    assert not np.isfinite(values[:, 0]).any()


@given(seed=st.integers(0, 2**31), seconds=st.floats(0.5, 4))
def test_noise_of_any_length_neither_warns_nor_gives_infinite_features(seed, seconds):
    noise = np.random.default_rng(seed).normal(size=(4, 2, round(seconds * 50)))
    assert not np.isinf(PulseWave(50)(noise)).any()


def test_short_segments_of_two_beats_have_a_pulse_wave():
    _, segments = ppg(seconds=2.0)
    found = features(segments)
    for name in ("a heart_rate_bpm", "a log_height", "a width_0.5", "a area_after_peak", "a b_over_a"):
        assert np.isfinite(found[name]).all(), name
