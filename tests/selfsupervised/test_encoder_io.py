"""Encoders on disk: what comes back is what was written, or an error says why not."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from ppgssl.core.config.pretraining import PatchTransformerShape, ResNet1dShape, ResNet50Shape
from ppgssl.core.errors import StoreError
from ppgssl.core.provenance import file_sha256, fingerprint
from ppgssl.selfsupervised.encoder_io import load_encoder, read_model, save_encoder
from ppgssl.selfsupervised.encoders import make_encoder

SHAPE = ResNet1dShape(width=8, n_stages=2, blocks_per_stage=2, kernel_size=5)


@pytest.fixture
def folder(tmp_path):
    save_encoder(tmp_path, make_encoder(2, SHAPE, fs_hz=40.0, seed=1), {"trained_on": "made-up segments", "loss": 0.5})
    return tmp_path


def rewrite(folder, *, sign=True, **changed):
    model = json.loads((folder / "model.json").read_text())
    model.update(changed)
    if sign:
        model.pop("sha256")
        model["sha256"] = fingerprint(model)
    (folder / "model.json").write_text(json.dumps(model))


def test_a_loaded_encoder_equals_the_saved_one(folder):
    encoder, loaded = make_encoder(2, SHAPE, fs_hz=40.0, seed=1).eval(), load_encoder(folder)
    assert loaded.shape == SHAPE
    assert not loaded.training
    segments = torch.randn(4, 2, 200)
    assert torch.equal(loaded.embed(segments), encoder.embed(segments))
    for name, value in encoder.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)


@pytest.mark.parametrize(
    "shape",
    [
        ResNet50Shape(name="resnet50-1d", width=4, representation="moments"),
        PatchTransformerShape(name="patch-transformer", width=16, n_blocks=1),
    ],
    ids=lambda shape: shape.name,
)
def test_a_loaded_encoder_is_of_the_kind_that_was_saved(tmp_path, shape):
    encoder = make_encoder(2, shape, fs_hz=40.0, seed=1)
    encoder.embed(torch.randn(8, 2, 200))  # batch statistics, where there are any, are saved too
    save_encoder(tmp_path, encoder.eval(), {})
    loaded, segments = load_encoder(tmp_path), torch.randn(4, 2, 200)
    assert (loaded.name, loaded.shape) == (shape.name, shape)
    assert torch.equal(loaded.embed(segments), encoder.embed(segments))


def test_the_card_comes_back(folder):
    assert read_model(folder)["card"] == {"trained_on": "made-up segments", "loss": 0.5}


def test_saving_again_replaces_the_encoder_and_leaves_nothing_else(folder):
    save_encoder(folder, make_encoder(1, SHAPE, fs_hz=40.0, seed=2), {})
    assert load_encoder(folder).n_channels == 1
    assert sorted(path.name for path in folder.iterdir()) == ["encoder.safetensors", "model.json"]


def test_changed_weights_are_noticed(folder):
    weights = load_file(folder / "encoder.safetensors")
    weights["stem.bias"][0] += 1e-3
    save_file(weights, folder / "encoder.safetensors")
    with pytest.raises(StoreError, match=r"encoder.safetensors is not the file that model.json describes"):
        load_encoder(folder)


def test_another_description_than_the_one_written_is_noticed(folder):
    for changed in ({"n_channels": 1}, {"card": {"loss": 0.1}}):
        rewrite(folder, sign=False, **changed)
        with pytest.raises(StoreError, match=r"model.json was changed after it was written"):
            load_encoder(folder)
    rewrite(folder, version=99)
    with pytest.raises(StoreError, match="version 99, and this ppgssl reads version 3"):
        load_encoder(folder)


SHAPES = [{"name": "transformer"}, {"name": "patch-transformer"}, {"width": -1}, {"width": 9}]


@pytest.mark.parametrize("changed", [{"n_channels": 3}, *({"shape": shape} for shape in SHAPES)])
def test_a_description_that_does_not_fit_the_weights_is_refused(folder, changed):
    rewrite(folder, **changed)
    with pytest.raises(StoreError, match="does not hold the encoder"):
        load_encoder(folder)


def test_weights_that_are_no_safetensors_or_missing_are_refused(folder):
    (folder / "encoder.safetensors").write_bytes(b"not weights")
    rewrite(folder, weights_sha256=file_sha256(folder / "encoder.safetensors"))
    with pytest.raises(StoreError, match="does not hold the encoder"):
        load_encoder(folder)
    (folder / "encoder.safetensors").unlink()
    with pytest.raises(StoreError, match=r"encoder.safetensors is missing"):
        load_encoder(folder)


def test_an_empty_folder_names_the_command(tmp_path):
    with pytest.raises(StoreError, match=r"no encoder in .*ppgssl pretrain"):
        load_encoder(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", "null", "\x00"])
def test_a_broken_description_is_refused(folder, text):
    (folder / "model.json").write_text(text)
    with pytest.raises(StoreError, match=r"model.json"):
        load_encoder(folder)
