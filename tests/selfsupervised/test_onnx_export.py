"""ONNX files of every encoder compute what the encoder does, or are not left."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch

from ppgssl.core.config.pretraining import PatchTransformerShape, ResNet1dShape, ResNet50Shape
from ppgssl.core.errors import ConfigError, StoreError
from ppgssl.selfsupervised.encoder_io import load_encoder, save_encoder
from ppgssl.selfsupervised.encoders import ENCODERS, make_encoder
from ppgssl.selfsupervised.input_description import InputDescription, save_input_description
from ppgssl.selfsupervised.onnx_export import export_onnx

SHAPES = {
    "resnet1d": ResNet1dShape(width=8, representation="moments+readouts"),
    "resnet50-1d": ResNet50Shape(name="resnet50-1d", width=4),
    "patch-transformer": PatchTransformerShape(
        name="patch-transformer", width=16, n_blocks=1, representation="moments+readouts"
    ),
}


@pytest.fixture
def runtime():
    for name in ("onnx", "onnxscript"):
        pytest.importorskip(name, reason="the extra `onnx` is not installed")
    return pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed")


def save(folder, name="resnet1d"):
    encoder = make_encoder(2, SHAPES[name], fs_hz=40.0, seed=1)
    encoder.embed(torch.randn(16, 2, 200, generator=torch.Generator().manual_seed(0)))  # batch statistics
    save_encoder(folder, encoder, {})
    channels = [{"name": name, "band_hz": [0.5, 8.0]} for name in ("red", "infrared")]
    description = {"channels": channels, "fs_hz": 40, "segment_s": 5, "step_s": 1, "normalisation": "segment"}
    save_input_description(folder, InputDescription.model_validate(description))
    return folder


def test_every_encoder_is_tested_here():
    assert set(SHAPES) == set(ENCODERS)


@pytest.mark.parametrize("name", SHAPES)
def test_onnxruntime_gives_the_same_embeddings_for_any_batch_and_length(ppgssl, tmp_path, runtime, name):
    out = tmp_path / "made" / "encoder.onnx"
    done = ppgssl("export", save(tmp_path / "encoder", name), "--out", out, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    written = json.loads(done.stdout)
    assert written["file"] == str(out)
    assert float(written["largest_difference"]) < 1e-3
    assert list(out.parent.iterdir()) == [out]
    session = runtime.InferenceSession(str(out))
    described = session.get_modelmeta().custom_metadata_map
    assert (described["fs_hz"], described["channels"], described["segment_samples"]) == ("40", "red,infrared", "200")
    assert described["encoder"] == name
    assert InputDescription.model_validate(json.loads(described["input"])).segment_samples == 200
    encoder = load_encoder(tmp_path / "encoder")
    for shape in ((1, 2, 200), (7, 2, 200), (3, 2, 333)):
        segments = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        with torch.inference_mode():
            expected = encoder.embed(torch.from_numpy(segments)).numpy()
        (found,) = session.run(["embeddings"], {"segments": segments})
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


@pytest.mark.usefixtures("runtime")
def test_a_file_that_computes_something_else_is_not_left(tmp_path, monkeypatch):
    save(tmp_path)
    (tmp_path / "encoder.onnx").write_bytes(b"an older one")
    # An exporter that writes another network than it was given.
    real = torch.onnx.export

    def wrong(module, *rest, **options):
        with torch.no_grad():
            module.encoder.stem.weight.mul_(1.5)
        real(module, *rest, **options)
        with torch.no_grad():
            module.encoder.stem.weight.div_(1.5)

    monkeypatch.setattr(torch.onnx, "export", wrong)
    with pytest.raises(StoreError, match=r"encoder.onnx was not written: onnxruntime and torch differ by"):
        export_onnx(tmp_path, tmp_path / "encoder.onnx")
    assert (tmp_path / "encoder.onnx").read_bytes() == b"an older one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["encoder.onnx", "encoder.safetensors", "model.json"]


def test_a_missing_package_is_named_with_the_way_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match=r"is not installed.*pip install 'ppgssl\[onnx\]'"):
        export_onnx(save(tmp_path), tmp_path / "encoder.onnx")


def test_a_folder_in_place_of_the_file_is_refused_and_left_alone(tmp_path):
    pytest.importorskip("onnxscript")
    with pytest.raises(ConfigError, match="is a folder: name the file to write"):
        export_onnx(save(tmp_path / "encoder"), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["encoder"]


def test_a_folder_without_an_encoder_is_named(tmp_path):
    pytest.importorskip("onnxscript", reason="the extra `onnx` is not installed")
    with pytest.raises(StoreError, match="no encoder in"):
        export_onnx(tmp_path, tmp_path / "encoder.onnx")
