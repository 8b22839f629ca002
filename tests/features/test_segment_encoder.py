import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from ppgssl import SegmentEncoder
from ppgssl.core.config.pretraining import ResNet1dShape
from ppgssl.core.errors import ConfigError, SignalError, StoreError
from ppgssl.features.embeddings import embed
from ppgssl.selfsupervised.encoder_io import save_encoder
from ppgssl.selfsupervised.encoders import make_encoder
from ppgssl.selfsupervised.input_description import (
    ChannelDescription,
    InputDescription,
    describe_study_input,
    load_input_description,
    save_input_description,
    study_bank,
)
from tests.support.small_cohorts import FS_HZ, N_SEGMENTS, make_ward, signal, study_of

TWO = [{"name": "red", "any_of": ["ppg_red"]}, {"name": "infrared", "any_of": ["ppg_ir"], "optional": True}]
SHAPE = ResNet1dShape(width=4, n_stages=1)


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ward")
    make_ward(folder, 6, signals__channels__ppg_red={"column": "red", "has_baseline": True, "inverted": False})
    return folder


def trained(folder, ward, **changes):
    """An encoder as a study of the ward leaves it, the study, and its bank; training itself is of no matter here."""
    data = study_of(ward, inputs__channels=TWO, **changes)
    description = describe_study_input(data, np.ones(len(data.segments.table), dtype=bool))
    save_encoder(folder, make_encoder(2, SHAPE, fs_hz=40.0, seed=1), {})
    save_input_description(folder, description)
    return SegmentEncoder.from_folder(folder), data, study_bank(data, description)


@pytest.mark.parametrize("normalisation", ["segment", "cohort", "ac_dc", "fixed"])
def test_raw_samples_get_the_embeddings_of_the_segments_that_ingest_made_of_them(tmp_path, ward, normalisation):
    constants = {"inputs__fixed": {"red": [30.0, 0.5], "infrared": [60.0, 1.0]}} if normalisation == "fixed" else {}
    encoder, data, bank = trained(tmp_path, ward, inputs__normalisation=normalisation, **constants)
    of_patient = np.flatnonzero(data.of_patients(["ward/p2"]))
    assert len(of_patient) == N_SEGMENTS
    raw = np.round(signal(2), 4)  # as the file holds them
    found = encoder.embed(raw, fs_hz=FS_HZ)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, embed(encoder.network, bank, of_patient), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(encoder.embed_segments(raw, fs_hz=FS_HZ).start_s, [0, 2, 4, 6, 8])


def two_channels(tmp_path, **changes):
    description = {
        "channels": [
            {"name": "red", "band_hz": [0.5, 8.0]},
            {"name": "infrared", "band_hz": [0.5, 8.0], "is_optional": True},
        ],
        "fs_hz": 50.0,
        "segment_s": 4.0,
        "step_s": 2.0,
        "normalisation": "segment",
    }
    save_encoder(tmp_path, make_encoder(2, SHAPE, fs_hz=40.0, seed=1), {})
    save_input_description(tmp_path, InputDescription.model_validate(description | changes))
    return SegmentEncoder.from_folder(tmp_path)


def test_the_rate_of_the_recording_hardly_matters(tmp_path):
    encoder = two_channels(tmp_path)
    time_s = np.arange(0, 20, 1 / 200)
    wave = np.stack([np.sin(2 * np.pi * 1.3 * time_s + 0.4 * np.sin(2 * np.pi * 1.3 * time_s))] * 2) + 10
    fine, coarse = encoder.embed(wave, fs_hz=200), encoder.embed(wave[:, ::4], fs_hz=50)
    assert fine.shape == coarse.shape == (9, encoder.network.embedding_dim)
    np.testing.assert_allclose(fine, coarse, atol=0.02 * np.abs(fine).max())


def test_segments_with_missing_samples_are_left_out_and_named(tmp_path):
    encoder = two_channels(tmp_path)
    whole = signal(3, 20.0)
    holed = whole.copy()
    holed[1, 450:470] = np.nan  # 9 to 9.4 s
    with pytest.warns(UserWarning, match=r"2 of 9 segments are left out, .* those that start at 6, 8 s"):
        found = encoder.embed(holed, fs_hz=50)
    segments = encoder.embed_segments(holed, fs_hz=50)
    np.testing.assert_array_equal(segments.start_s, [0, 2, 4, 10, 12, 14, 16])
    np.testing.assert_array_equal(segments.left_out_s, [6, 8])
    assert np.array_equal(segments.embeddings, found)
    # Far from the gap nothing has changed.
    np.testing.assert_allclose(found[[0, -1]], encoder.embed(whole, fs_hz=50)[[0, -1]], atol=0.02)


def test_an_optional_channel_may_be_missing_and_another_may_not(tmp_path):
    encoder = two_channels(tmp_path)
    lacking = signal(3)
    lacking[1] = np.nan
    assert np.isfinite(encoder.embed(lacking, fs_hz=50)).all()
    with pytest.warns(UserWarning, match="5 of 5 segments are left out"):
        assert encoder.embed(lacking[::-1], fs_hz=50).shape == (0, encoder.network.embedding_dim)
    with pytest.raises(SignalError, match="the encoder takes samples of shape"):
        encoder.embed(lacking[0], fs_hz=50)


def test_an_absent_channel_has_no_baseline_to_be_divided_by(tmp_path, ward):
    encoder, _, _ = trained(tmp_path, ward, inputs__normalisation="ac_dc")
    lacking = signal(3) + 100
    lacking[1] = np.nan
    assert np.isfinite(encoder.embed(lacking, fs_hz=FS_HZ)).all()


def test_inverted_pulses_are_polarity_corrected(tmp_path):
    encoder = two_channels(tmp_path)
    raw = signal(5)
    np.testing.assert_allclose(encoder.embed(raw, fs_hz=50), encoder.embed(100 - raw, fs_hz=50), atol=1e-4)
    as_it_is = [ChannelDescription(name=name, band_hz=(0.5, 8.0), inverted=False) for name in ("red", "infrared")]
    plain = two_channels(tmp_path, channels=[channel.model_dump() for channel in as_it_is])
    assert np.abs(plain.embed(raw, fs_hz=50) - plain.embed(100 - raw, fs_hz=50)).max() > 0.01


def test_one_channel_needs_no_second_axis(tmp_path):
    save_encoder(tmp_path, make_encoder(1, SHAPE, fs_hz=40.0, seed=1), {})
    channel = ChannelDescription(name="ppg", band_hz=(0.5, 8.0))
    description = InputDescription(channels=[channel], fs_hz=50, segment_s=4, step_s=4, normalisation="segment")
    save_input_description(tmp_path, description)
    encoder = SegmentEncoder.from_folder(str(tmp_path))
    one = signal(1)[0]
    assert np.array_equal(encoder.embed(one, fs_hz=50), encoder.embed(one[None], fs_hz=50))


def test_a_wrong_shape_names_the_channels_that_are_expected(tmp_path):
    encoder = two_channels(tmp_path)
    for wrong in (np.zeros((3, 500)), np.zeros((500, 2)), np.zeros((1, 2, 500))):
        with pytest.raises(SignalError, match=r"shape \(2, n_samples\), channels red, infrared in this order"):
            encoder.embed(wrong, fs_hz=50)
    with pytest.raises(SignalError, match=r"was given \(500, 2\): transpose it"):
        encoder.embed(np.zeros((500, 2)), fs_hz=50)


@pytest.mark.parametrize(
    ("samples", "fs_hz", "message"),
    [
        (signal(1, 3.0), 50, "lasts 3 s at the given rate, and the encoder takes segments of 4 s"),
        (signal(1), 12.0, "`fs_hz` is 12.0: .* over 16 Hz"),
        *((signal(1), rate, "`fs_hz` is") for rate in (0, -50, float("nan"), float("inf"), "50", None)),
        ([["a", "b"], ["c", "d"]], 50, "an array of real numbers"),
        (np.ones((2, 500), dtype=complex), 50, "an array of real numbers"),
        ([{}, {}], 50, "an array of real numbers"),
    ],
)
def test_a_recording_or_a_rate_that_cannot_be_used_is_refused(tmp_path, samples, fs_hz, message):
    with pytest.raises(SignalError, match=message):
        two_channels(tmp_path).embed(samples, fs_hz=fs_hz)


def test_whole_numbers_and_lists_are_as_good_as_an_array(tmp_path):
    encoder, counts = two_channels(tmp_path), np.round(1000 * signal(1)).astype(np.int32)
    expected = encoder.embed(counts.astype(float), fs_hz=np.int64(50))
    assert np.array_equal(encoder.embed(counts, fs_hz=50), expected)
    assert np.array_equal(encoder.embed(counts.tolist(), fs_hz=50.0), expected)


def test_constants_are_those_of_the_cohort_that_is_named(tmp_path):
    cohorts = {"ward": {"offset": [0, 0], "scale": [1, 1]}, "clinic": {"offset": [0, 0], "scale": [3, 3]}}
    encoder = two_channels(tmp_path, normalisation="cohort", cohorts=cohorts)
    raw = signal(2)
    of_ward, of_clinic = (
        SegmentEncoder.from_folder(tmp_path, cohort=name).embed(raw, fs_hz=50) for name in ("ward", "clinic")
    )
    assert np.array_equal(encoder.embed(raw, fs_hz=50), of_ward)
    assert not np.allclose(of_ward, of_clinic)
    with pytest.raises(ConfigError, match="no cohort 'home': it was normalised for ward, clinic"):
        encoder.set_params(cohort="home").embed(raw, fs_hz=50)


def test_a_recording_is_the_mean_of_its_segments_whoever_asks(tmp_path):
    encoder = two_channels(tmp_path)
    recordings = np.stack([signal(1), signal(2), np.full_like(signal(1), np.nan)])
    recordings[2, 0] = 1.0  # of the optional channel nothing, of the other nothing that varies
    with pytest.warns(UserWarning, match="1 of 3 recordings have no usable segment"):
        found = encoder.transform(recordings, fs_hz=50)
    assert (found.shape, found.dtype) == ((3, encoder.network.embedding_dim), np.float32)
    np.testing.assert_allclose(found[1], encoder.embed(recordings[1], fs_hz=50).mean(axis=0), rtol=1e-6)
    assert np.isnan(found[2]).all()
    with pytest.raises(SignalError, match="give `X\\[None\\]`, or use `embed`"):
        encoder.transform(recordings[0], fs_hz=50)


def test_the_encoder_is_a_step_of_a_scikit_learn_pipeline(tmp_path):
    two_channels(tmp_path)
    encoder = clone(SegmentEncoder.from_folder(tmp_path, fs_hz=50))
    recordings = np.stack([signal(number) for number in range(6)])
    outcome = np.array([0, 1, 0, 1, 0, 1])
    model = make_pipeline(encoder, LogisticRegression()).fit(recordings, outcome)
    by_hand = LogisticRegression().fit(encoder.transform(recordings), outcome)
    np.testing.assert_allclose(model.predict_proba(recordings), by_hand.predict_proba(encoder.transform(recordings)))
    assert model[:-1].get_feature_names_out()[:2].tolist() == ["ssl_000", "ssl_001"]
    table = encoder.set_output(transform="pandas").transform(recordings)
    assert table.columns.tolist() == encoder.get_feature_names_out().tolist()


def test_an_encoder_that_does_not_describe_its_input_cannot_be_used_so(tmp_path):
    save_encoder(tmp_path, make_encoder(2, SHAPE, fs_hz=40.0, seed=1), {})
    with pytest.raises(StoreError, match=r"does not describe the encoder's input"):
        SegmentEncoder.from_folder(tmp_path)


def test_a_description_comes_back_and_a_changed_one_is_noticed(tmp_path):
    encoder = two_channels(tmp_path)
    assert load_input_description(tmp_path) == encoder.description
    assert encoder.description.segment_samples == 200
    path = tmp_path / "model.json"
    path.write_text(path.read_text().replace('"fs_hz": 50.0', '"fs_hz": 60.0'))
    with pytest.raises(StoreError, match="was changed after it was written"):
        SegmentEncoder.from_folder(tmp_path)


def test_importing_the_package_imports_nothing_heavy():
    program = "import sys, ppgssl; sys.exit(', '.join({'torch', 'numpy', 'pydantic'} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    with pytest.raises(AttributeError, match="has no attribute 'Decoder'"):
        sys.modules["ppgssl"].Decoder  # noqa: B018
