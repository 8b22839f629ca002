import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.core.errors import EvaluationError
from ppgssl.evaluation.acquisition import check_acquisition, find_two_groups


def read_ppg_bp(folder, summary):
    """Median over recordings of a summary of the raw samples, and the clinical table, both by patient."""
    found = [
        (int(file.stem.split("_")[0]), summary(np.array(file.read_text().split(), dtype=float)))
        for file in sorted((folder / "ppg_bp" / "signals").glob("*.txt"))
    ]
    values = pd.DataFrame(found, columns=["patient", "value"]).groupby("patient")["value"].median()
    return values, pd.read_csv(folder / "ppg_bp" / "clinical.csv").set_index("subject_id")


def pulse_amplitude(x):
    low, high = np.percentile(x, [5, 95])
    return high - low


@pytest.mark.parametrize("family", ["uniform", "exponential", "standard_t"])
def test_other_single_populations_are_one_group(family):
    rng = np.random.default_rng(1)
    arguments = {"df": 3} if family == "standard_t" else {}
    draws = (getattr(rng, family)(size=60, **arguments) for _ in range(400))
    assert sum(find_two_groups(draw) is not None for draw in draws) / 400 < 0.05


def test_two_gains_are_found_with_the_threshold_between():
    rng = np.random.default_rng(2)
    values = np.concatenate([rng.lognormal(0, 0.1, 90), 3 * rng.lognormal(0, 0.1, 10)])
    groups = find_two_groups(values)
    assert groups is not None
    assert ((values > groups.threshold) == (np.arange(100) >= 90)).all()


def test_four_outliers_are_not_a_group_and_two_constants_are():
    rng = np.random.default_rng(3)
    assert find_two_groups(np.concatenate([rng.lognormal(0, 0.1, 90), [30.0, 31.0, 32.0, 33.0]])) is None
    groups = find_two_groups(np.repeat([1.0, 4.0], [20, 8]))
    assert groups is not None
    assert groups.threshold == pytest.approx(2.0)
    assert find_two_groups(np.full(50, 7.0)) is None


@given(st.integers(0, 1000), st.floats(1e-3, 1e3))
def test_a_common_gain_changes_nothing_but_the_threshold(seed, gain):
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.lognormal(0, 0.2, 40), 4 * rng.lognormal(0, 0.2, 12)])
    before, after = find_two_groups(values), find_two_groups(gain * values)
    assert (before is None) == (after is None)
    if before is not None and after is not None:
        assert after.threshold == pytest.approx(gain * before.threshold)
        assert after.gap_sd == pytest.approx(before.gap_sd)


def test_the_two_devices_of_ppg_bp_are_found_by_their_raw_level(test_data):
    values, clinical = read_ppg_bp(test_data, np.median)
    check = check_acquisition(
        "ppg_bp", "Raw level (adc)", values, clinical["htn_binary"], clinical[["age_years"]], n_resamples=200, seed=1
    )
    assert check.threshold is not None
    is_late = values.index >= 403
    np.testing.assert_array_equal(values > check.threshold, is_late)
    assert "age_years (median 25" in check.text
    assert len(check.values) == len(check.is_event) == len(clinical)


def test_the_pulse_amplitudes_of_the_two_devices_overlap_so_that_no_gap_is_claimed(test_data):
    values, clinical = read_ppg_bp(test_data, pulse_amplitude)
    late, early = values[values.index >= 403], values[values.index < 403]
    assert late.min() < early.max()
    assert find_two_groups(values.to_numpy()) is None
    check = check_acquisition(
        "ppg_bp",
        "Pulse amplitude (adc)",
        values,
        clinical["htn_binary"],
        clinical[["age_years"]],
        n_resamples=99,
        seed=1,
    )
    assert check.auroc.estimate >= 0.5
    assert check.threshold is None


@pytest.mark.parametrize("summary", [pulse_amplitude, np.median])
@pytest.mark.parametrize("channel", ["green_channel", "red_channel", "ir_channel"])
def test_mw_ppg_is_one_group(test_data, channel, summary):
    files = [test_data / "mw_ppg" / "recordings" / f"bp_dataset_{number}.csv" for number in range(1, 79)]
    values = [summary(pd.read_csv(file, usecols=[channel])[channel].to_numpy()) for file in files]
    assert find_two_groups(np.array(values)) is None


def test_the_text_describes_groups_and_the_auroc_is_oriented_to_be_at_least_one_half():
    rng = np.random.default_rng(4)
    y = pd.Series(np.repeat([1.0, 0.0, 0.0], [15, 25, 12]))
    values = pd.Series(np.repeat([1.0, 1.0, 3.0], [15, 25, 12]) * rng.lognormal(0, 0.05, 52))
    covariates = pd.DataFrame({"Age (years)": np.where(values > 2, 24.0, 60.0) + rng.normal(size=52), "Sex": "F"})
    check = check_acquisition("c", "Amplitude (adc)", values, y, covariates, n_resamples=100, seed=0)
    assert check.auroc.estimate >= 0.5
    assert "12 of 52 patients lie apart, above" in check.text
    assert "0 of 12 (0%) of them, 15 of 40 (38%) of the others" in check.text
    assert "Age (years) (median 2" in check.text
    assert "Sex" not in check.text


def test_patients_without_a_value_are_left_out_and_one_outcome_is_refused():
    y = pd.Series([0.0, 1.0, 0.0, 1.0], index=list("abcd"))
    values = pd.Series([1.0, 2.0, np.nan, np.inf], index=list("abcd"))
    check = check_acquisition("c", "Level", values, y, pd.DataFrame(index=y.index), n_resamples=20, seed=0)
    assert check.model_dump(include={"values", "is_event"}) == {"values": [1.0, 2.0], "is_event": [False, True]}
    assert check.auroc.estimate == 1.0
    with pytest.raises(EvaluationError, match="of the 3 patients with a value, 0 have the event"):
        check_acquisition("c", "Level", values.fillna(1.0), y.mul(0), pd.DataFrame(), n_resamples=20, seed=0)
