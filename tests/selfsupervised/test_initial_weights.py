"""First weights of another encoder: taken as they are, for any number of channels, or refused by name."""

from __future__ import annotations

import pytest
import torch

from ppgssl.core.config.pretraining import PatchTransformerShape, Pretraining, ResNet1dShape, ResNet50Shape
from ppgssl.core.errors import ConfigError, StoreError
from ppgssl.selfsupervised.checkpoints import run_fingerprint
from ppgssl.selfsupervised.encoder_io import load_encoder, save_encoder
from ppgssl.selfsupervised.encoders import make_encoder
from ppgssl.selfsupervised.initial_weights import start_from
from ppgssl.selfsupervised.loop import pretrain
from tests.selfsupervised.test_loop import FS_HZ, TINY, TRAIN, VALIDATION, make_bank

READOUTS = "moments+readouts"
SMALL = ResNet1dShape(width=8, representation=READOUTS)


def saved(folder, *, shape=SMALL, n_channels=1, fs_hz=40.0, seed=7):
    save_encoder(folder, make_encoder(n_channels, shape, fs_hz=fs_hz, seed=seed), {})
    return load_encoder(folder)


def started(folder, *, shape=SMALL, n_channels=1, fs_hz=40.0):
    encoder = make_encoder(n_channels, shape, fs_hz=fs_hz, seed=1).eval()
    start_from(encoder, folder)
    return encoder


@pytest.mark.parametrize(
    "shape",
    [
        SMALL,
        PatchTransformerShape(name="patch-transformer", width=16, n_blocks=1, representation=READOUTS),
        ResNet50Shape(name="resnet50-1d", width=4, n_features=8, representation=READOUTS),
    ],
    ids=lambda shape: shape.name,
)
@torch.inference_mode()
def test_weights_of_one_channel_serve_three_as_they_serve_one(tmp_path, shape):
    start = saved(tmp_path, shape=shape)
    encoder = started(tmp_path, shape=shape, n_channels=3)
    segments = torch.randn(4, 1, 200, generator=torch.Generator().manual_seed(0))
    for found, wanted in zip(encoder.feature_maps(segments.repeat(1, 3, 1)), start.feature_maps(segments), strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-3)
    predicted = encoder.beat_head(encoder(segments.repeat(1, 3, 1)))
    for found, wanted in zip(predicted, start.beat_head(start(segments)), strict=True):
        torch.testing.assert_close(found, wanted.expand_as(found), atol=1e-4, rtol=1e-3)


def test_weights_of_the_same_channels_are_taken_as_they_are(tmp_path):
    start = saved(tmp_path, n_channels=2)
    for name, values in started(tmp_path, n_channels=2).state_dict().items():
        assert torch.equal(values, start.state_dict()[name]), name


@pytest.mark.parametrize(("of_start", "of_own"), [(READOUTS, "moments"), ("moments", READOUTS)])
def test_a_head_that_one_of_both_lacks_stays_as_it_was(tmp_path, of_start, of_own):
    start = saved(tmp_path, shape=SMALL.model_copy(update={"representation": of_start}))
    shape = SMALL.model_copy(update={"representation": of_own})
    before = make_encoder(1, shape, fs_hz=40.0, seed=1).state_dict()
    for name, values in started(tmp_path, shape=shape).state_dict().items():
        wanted = before if name.startswith("beat_head.") else start.state_dict()
        assert torch.equal(values, wanted[name]), name


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"shape": ResNet1dShape(width=16)}, r"resnet1d \(width 8, .*`pretraining.encoder` is resnet1d \(width 16, "),
        ({"shape": PatchTransformerShape(name="patch-transformer")}, r"is patch-transformer \(patch_samples 16"),
        ({"fs_hz": 50.0}, r"`inputs.fs_hz` 40, and this study has 50"),
        ({"n_channels": 3}, "has 2 channels, and this one has 3"),
    ],
)
def test_an_encoder_that_does_not_fit_is_refused_and_the_difference_named(tmp_path, changed, message):
    saved(tmp_path, n_channels=2)
    with pytest.raises(ConfigError, match=message):
        started(tmp_path, **{"n_channels": 2, **changed})


def test_pretraining_starts_from_the_weights_of_the_folder(tmp_path):
    start = saved(tmp_path / "start", shape=TINY.encoder, fs_hz=FS_HZ)
    still = TINY.model_copy(update={"n_steps": 1, "learning_rate": 1e-12, "init": str(tmp_path / "start")})
    found = pretrain(make_bank(), TRAIN, VALIDATION, still, fs_hz=FS_HZ, seed=1, folder=tmp_path / "run").encoder
    for name, values in found.state_dict().items():
        torch.testing.assert_close(values, start.state_dict()[name], atol=1e-9, rtol=1e-6)


def test_the_fingerprint_of_a_run_follows_the_weights_and_not_their_place(tmp_path):
    made = {}
    for name, seed in (("one", 7), ("copy", 7), ("other", 8)):
        saved(tmp_path / name, seed=seed)
        settings = Pretraining(init=str(tmp_path / name))
        made[name] = run_fingerprint({}, settings, fs_hz=40.0, seed=0)
    assert made["one"] == made["copy"] != made["other"]
    assert made["one"] != run_fingerprint({}, Pretraining(), fs_hz=40.0, seed=0)


def test_a_folder_without_an_encoder_is_refused(tmp_path):
    with pytest.raises(StoreError, match="there is no encoder in"):
        run_fingerprint({}, Pretraining(init=str(tmp_path)), fs_hz=40.0, seed=0)
