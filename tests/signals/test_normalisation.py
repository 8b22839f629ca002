from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.core.errors import SignalError
from ppgssl.signals.normalisation import Affine, fit_constants, normalise, segment_moments

LENGTH = 50


def arguments(seed: int = 0, n_segments: int = 12, n_channels: int = 2) -> dict:
    rng = np.random.default_rng(seed)
    return {
        "samples": rng.normal(3, 2, (n_channels, 1000)).astype(np.float32),
        "starts": rng.integers(0, 950, n_segments),
        "baseline": rng.uniform(100, 200, (n_segments, n_channels)).astype(np.float32),
        "is_present": np.ones((n_segments, n_channels), dtype=bool),
        "cohort": np.arange(n_segments) % 2,
        "is_training": np.arange(n_segments) < n_segments // 2,
        "fixed": {"red": (0.3, 0.09), "ir": (0.6, 0.13)},
        "channels": ["red", "ir"],
    }


def segments_of(given_: dict) -> np.ndarray:
    return np.stack([given_["samples"][:, start : start + LENGTH] for start in given_["starts"]])


def affine_of(method: str, given_: dict) -> Affine:
    return normalised(method, segments_of(given_), given_)


def normalised(method: str, segments: np.ndarray, given_: dict) -> Affine:
    parts = [(np.arange(0, 5), segments[:5]), (np.arange(len(segments) - 1, 4, -1), segments[:4:-1])]
    moments, cohort, constants = segment_moments(parts, segments.shape[:2]), given_["cohort"], None
    if method == "cohort":
        fitted = [fit_constants(moments, (cohort == number) & given_["is_training"]) for number in np.unique(cohort)]
        constants = tuple(np.stack(values)[cohort] for values in zip(*fitted, strict=True))
    return normalise(method, moments=lambda: moments, constants=constants, **needed(given_))


def needed(given_: dict) -> dict:
    return {name: given_[name] for name in ("baseline", "is_present", "fixed", "channels")}


def apply(method: str, given_: dict) -> np.ndarray:
    affine = affine_of(method, given_)
    return (segments_of(given_) - affine.offset[..., None]) * affine.scale[..., None]


@given(seed=st.integers(0, 10_000), gain=st.floats(0.01, 100), shift=st.floats(-50, 50))
def test_segment_scaling_forgets_gain_and_offset(seed, gain, shift):
    plain = arguments(seed)
    moved = {**plain, "samples": (plain["samples"] * gain + shift).astype(np.float32)}
    np.testing.assert_allclose(apply("segment", plain), apply("segment", moved), atol=2e-2)


def test_segment_scaling_gives_mean_zero_and_unit_sd():
    scaled = apply("segment", arguments())
    np.testing.assert_allclose(scaled.mean(axis=-1), 0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(axis=-1), 1, atol=1e-5)


def test_ac_dc_is_percent_of_the_baseline():
    given_ = arguments()
    expected = 100 * given_["samples"][1, given_["starts"][3]] / given_["baseline"][3, 1]
    assert apply("ac_dc", given_)[3, 1, 0] == pytest.approx(expected, rel=1e-5)


def test_ac_dc_refuses_a_baseline_that_is_not_positive_and_names_the_channel():
    given_ = arguments()
    given_["baseline"][2, 1] = 0
    with pytest.raises(SignalError, match="'ir'"):
        affine_of("ac_dc", given_)


def test_fixed_scales_the_raw_level():
    given_ = arguments()
    level = given_["samples"][0, given_["starts"][0]] + given_["baseline"][0, 0]
    assert apply("fixed", given_)[0, 0, 0] == pytest.approx((level - 0.3) / 0.09, rel=1e-5)


def test_cohort_scaling_is_decided_by_training_segments_alone():
    given_ = arguments()
    before = affine_of("cohort", given_)
    is_test = ~given_["is_training"]
    touched = {start + step for start in given_["starts"][~is_test] for step in range(LENGTH)}
    samples = given_["samples"].copy()
    untouched = [position for position in range(1000) if position not in touched]
    samples[:, untouched] += 1000
    after = affine_of("cohort", {**given_, "samples": samples})
    np.testing.assert_array_equal(before.offset, after.offset)
    np.testing.assert_array_equal(before.scale, after.scale)


def test_cohort_scaling_pools_mean_and_sd_of_all_training_samples():
    given_ = arguments()
    chosen = (given_["cohort"] == 1) & given_["is_training"]
    pooled = np.concatenate([given_["samples"][0, s : s + LENGTH] for s in given_["starts"][chosen]])
    affine = affine_of("cohort", given_)
    assert affine.offset[chosen][0, 0] == pytest.approx(pooled.mean(), rel=1e-4)
    assert 1 / affine.scale[chosen][0, 0] == pytest.approx(pooled.std(), rel=1e-4)


def test_cohort_scaling_needs_a_training_segment_in_each_cohort():
    given_ = arguments()
    given_["is_training"] = given_["cohort"] == 0
    with pytest.raises(SignalError, match="no training segment"):
        affine_of("cohort", given_)


@given(seed=st.integers(0, 10_000), n_parts=st.integers(1, 12))
def test_moments_do_not_depend_on_the_parts_that_segments_come_in(seed, n_parts):
    rng = np.random.default_rng(seed)
    segments = rng.normal(3, 2, (12, 2, LENGTH)).astype(np.float32)
    parts = [(numbers, segments[numbers]) for numbers in np.array_split(rng.permutation(12), n_parts)]
    moments = segment_moments(parts, (12, 2))
    np.testing.assert_array_equal(moments.mean, segments.astype(np.float64).mean(axis=-1))
    np.testing.assert_array_equal(moments.sd, segments.astype(np.float64).std(axis=-1))


@pytest.mark.parametrize("method", ["segment", "cohort", "ac_dc", "fixed"])
def test_a_channel_that_a_cohort_lacks_stays_exactly_zero_and_the_others_are_scaled_as_ever(method):
    given_ = arguments()
    lacks = given_["cohort"] == 1
    expected = apply(method, given_)
    samples = segments_of(given_)
    samples[lacks, 1] = 0
    given_["is_present"][lacks, 1] = False
    given_["baseline"][lacks, 1] = np.nan
    affine = normalised(method, samples, given_)
    scaled = (samples - affine.offset[..., None]) * affine.scale[..., None]
    assert (scaled[lacks, 1] == 0).all()
    np.testing.assert_array_equal(scaled[given_["is_present"]], expected[given_["is_present"]])


@pytest.mark.parametrize("method", ["ac_dc", "fixed"])
def test_methods_that_need_no_moments_do_not_ask_for_them(method):
    def refuse() -> None:
        raise AssertionError

    normalise(method, moments=refuse, **needed(arguments()))
