"""ppgssl/features/recordings.py."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from ppgssl.core.config.study import Inputs
from ppgssl.core.errors import ConfigError
from ppgssl.core.parallel import workers
from ppgssl.features import recordings
from ppgssl.features.recordings import EcgWave, RecordingFeatures, Rhythm, recording_features
from tests.support.hearts import FS_HZ, INPUTS, LEAD, PULSE, hearts_data
from tests.support.synthetic import make_ecg, make_ppg


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return hearts_data(tmp_path_factory.mktemp("hearts"), arms=["rhythm", "ecg-wave"])


def inputs(*channels, **changes):
    return Inputs.model_validate({**INPUTS, "channels": list(channels), **changes})


def rhythm_of(represent, samples):
    return dict(zip(represent.names, represent(samples), strict=True))


def test_features_are_named_and_known_for_every_patient(data, tmp_path):
    for kind in ("rhythm", "ecg-wave"):
        table = recording_features(kind, data, list(data.y.index), tmp_path)
        assert table.index.tolist() == data.y.index.tolist()
        assert table.columns.is_unique
    rhythm = recording_features("rhythm", data, list(data.y.index), tmp_path)
    waves = recording_features("ecg-wave", data, list(data.y.index), tmp_path)
    assert waves[["lead qrs_ms", "lead qtc_bazett_ms", "lead st_level"]].notna().all(axis=None)
    assert rhythm[["rhythm rmssd_ms", "rhythm log_hf_ms2"]].notna().all(axis=None)
    assert rhythm["rhythm log_lf_ms2"].isna().all()  # of a minute
    assert rhythm["rhythm sdnn_ms"][data.y == 0].min() > 1.2 * rhythm["rhythm sdnn_ms"][data.y == 1].max()


def test_the_rhythm_is_that_of_the_lead_and_of_the_pulses_where_there_is_none():
    rng = [np.random.default_rng(number) for number in (1, 2)]
    pulses = make_ppg(30, FS_HZ, 90, irregularity=0.03, rng=rng[0])
    lead = make_ecg(30, FS_HZ, 60, irregularity=0.03, rng=rng[1])
    both = rhythm_of(Rhythm(inputs(PULSE, LEAD)), np.stack([pulses, lead]))
    assert both["rhythm mean_nn_ms"] == pytest.approx(1000, rel=0.03)
    absent = rhythm_of(Rhythm(inputs(PULSE, LEAD)), np.stack([pulses, np.full(3000, np.nan)]))
    assert absent["rhythm mean_nn_ms"] == pytest.approx(667, rel=0.03)
    alone = rhythm_of(Rhythm(inputs(PULSE)), pulses[None])
    assert alone == pytest.approx(absent, nan_ok=True)


def test_of_two_leads_the_one_with_more_normal_beats_counts():
    lead = make_ecg(30, FS_HZ, 60)
    poor = np.where(np.arange(3000) < 2000, np.random.default_rng(0).normal(size=3000), lead)
    second = {"name": "second", "any_of": ["ecg_v5"]}
    found = [rhythm_of(Rhythm(inputs(LEAD, second)), np.stack(pair)) for pair in ([poor, lead], [lead, poor])]
    assert found[0] == pytest.approx(found[1], nan_ok=True)
    assert found[0]["rhythm sdnn_ms"] < 5


def test_features_are_kept_and_computed_again_for_other_patients_or_signals(data, tmp_path, monkeypatch):
    patients = list(data.y.index)
    first = recording_features("rhythm", data, patients, tmp_path)
    with workers(1) as pool:
        monkeypatch.setattr(recordings, "_TASK_PATIENTS", 3)
        side_by_side = recording_features("rhythm", data, patients[::-1], tmp_path, pool)
    pd.testing.assert_frame_equal(side_by_side, first.iloc[::-1])
    assert len(list((tmp_path / "features").iterdir())) == 1
    monkeypatch.setattr(recordings, "_patient_means", None)
    pd.testing.assert_frame_equal(recording_features("rhythm", data, patients[::-1], tmp_path), side_by_side)
    with pytest.raises(TypeError):
        recording_features("rhythm", data, patients[:3], tmp_path)


def test_patients_without_a_segment_have_no_features(data):
    is_kept = ~data.of_patients([data.y.index[0]])
    fewer = replace(data, segments=data.segments.only(is_kept))
    without = RecordingFeatures(Rhythm(data.study.inputs)).transform(fewer)
    assert without.iloc[0].isna().all()
    assert without.iloc[1:]["rhythm mean_nn_ms"].notna().all()


def test_several_recordings_of_a_patient_are_averaged(data):
    segments = data.segments
    owners = segments.table["patient"].replace(data.y.index[1], data.y.index[0])
    joined = replace(segments, table=segments.table.assign(patient=owners))
    represent = Rhythm(data.study.inputs)
    one, other = (represent(samples) for _, samples in segments.recordings(data.y.index[:2]))
    found = recordings._patient_means(list(data.y.index[:1]), represent, joined)
    np.testing.assert_allclose(found.to_numpy()[0], (one + other) / 2)


@pytest.mark.parametrize("kinds", [["ecg-wave"], ["covariates+pulse-wave+ecg-wave"]])
def test_a_study_without_a_lead_has_no_ecg_waves(data, kinds):
    description = data.study.model_dump()
    description["inputs"] |= {"channels": [PULSE]}
    with pytest.raises(ValidationError, match=rf"arm '{kinds[0].replace('+', '.')}': ecg-wave needs an ECG lead"):
        type(data.study).model_validate({**description, "arms": kinds})
    with pytest.raises(ConfigError, match="ecg-wave needs an ECG lead"):
        EcgWave(inputs(PULSE))


def test_a_rate_that_is_too_low_for_ecg_waves_is_refused(data):
    description = data.study.model_dump()
    description["inputs"] |= {"fs_hz": 50.0}
    with pytest.raises(ValidationError, match=r"arm 'ecg-wave': ecg-wave needs `inputs.fs_hz` of at least 100, not 50"):
        type(data.study).model_validate(description)
    description["arms"], description["probe"] = ["rhythm"], {"baselines": ["ecg-wave"]}
    with pytest.raises(ValidationError, match=r"`probe\.baselines`: ecg-wave needs"):
        type(data.study).model_validate(description)
