"""An encoder as an ONNX file, for programs and devices without torch; compared with the original before it is kept."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ppgssl.core.errors import ConfigError, StoreError
from ppgssl.core.provenance import replaced
from ppgssl.selfsupervised.devices import quiet
from ppgssl.selfsupervised.encoder_io import load_encoder, read_model
from ppgssl.selfsupervised.encoders.base import EncoderNetwork
from ppgssl.selfsupervised.input_description import InputDescription, load_input_description

_PACKAGES = ("onnx", "onnxruntime", "onnxscript")
# Of the largest number of an embedding: what float32 sums in another order may differ by.
_TOLERANCE = 1e-3
_BATCHES = (1, 5)


def export_onnx(folder: Path, out: Path) -> float:
    """Write an encoder made by ``ppgssl pretrain`` as the ONNX file ``out``: normalised segments in, embeddings out.

    The file's input ``segments`` has the shape (batch, n_channels, length), its output ``embeddings`` (batch,
    embedding_dim), both float32; batch and length are free, lengths under a second or so excepted. Filter, resampling
    and normalisation are not in it: the file's metadata describe them (``fs_hz``, ``channels``, ``segment_samples``,
    and in ``input`` the whole description as JSON).

    Returns
    -------
    float
        Largest difference between the embeddings of onnxruntime and of torch for random segments, relative to the
        largest number among them.

    Raises
    ------
    ConfigError
        If a package of the extra ``onnx`` is not installed, or ``out`` is a folder.
    StoreError
        If there is no encoder, or what onnxruntime computes differs from what torch does: no file is left then.
    """
    onnx, onnxruntime = _packages()
    if out.is_dir():
        raise ConfigError(f"{out} is a folder: name the file to write, such as {out / 'encoder.onnx'}")
    description, encoder = load_input_description(folder), load_encoder(folder)
    out.parent.mkdir(parents=True, exist_ok=True)
    with replaced(out) as temporary:
        _write(encoder, description.segment_samples, temporary)
        _add_metadata(onnx, temporary, _metadata(description, encoder, read_model(folder)["weights_sha256"]))
        difference = largest_difference(onnxruntime, temporary, encoder, description.segment_samples)
        if not difference <= _TOLERANCE:
            raise StoreError(
                f"{out} was not written: onnxruntime and torch differ by {difference:.1%} of the largest number in the "
                f"embeddings of random segments. Versions of torch {torch.__version__}, onnx and onnxruntime "
                f"{onnxruntime.__version__} may not fit together."
            )
    return difference


def largest_difference(onnxruntime: Any, file: Path, encoder: EncoderNetwork, length: int) -> float:
    """Between onnxruntime and torch, of random segments alone and in a batch, of this length and of a longer one."""
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(0)
    worst = 0.0
    for n_segments in _BATCHES:
        for samples in (length, 2 * length + 1):
            segments = torch.randn(n_segments, encoder.n_channels, samples, generator=generator)
            with torch.inference_mode():
                expected = encoder.embed(segments).numpy()
            (found,) = session.run(None, {"segments": segments.numpy()})
            worst = max(worst, float(np.abs(found - expected).max() / np.abs(expected).max()))
    return worst


class _Embedding(nn.Module):
    def __init__(self, encoder: EncoderNetwork) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, segments: Tensor) -> Tensor:
        return self.encoder.embed(segments)


def _write(encoder: EncoderNetwork, length: int, file: Path) -> None:
    with quiet("torch.onnx"):  # on its own parts, and on packages that it does without
        torch.onnx.export(
            _Embedding(encoder).eval(),
            (torch.zeros(2, encoder.n_channels, length),),
            file,
            input_names=["segments"],
            output_names=["embeddings"],
            dynamic_shapes={"segments": {0: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC}},
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def _metadata(description: InputDescription, encoder: EncoderNetwork, weights_sha256: str) -> dict[str, str]:
    return {
        "encoder": encoder.name,
        "fs_hz": f"{description.fs_hz:g}",
        "channels": ",".join(description.channel_names),
        "segment_samples": str(description.segment_samples),
        "embedding_dim": str(encoder.embedding_dim),
        "input": json.dumps(description.model_dump(mode="json")),
        "weights_sha256": weights_sha256,
    }


def _add_metadata(onnx: Any, file: Path, values: dict[str, str]) -> None:
    model = onnx.load(str(file))
    onnx.helper.set_model_props(model, values)
    onnx.checker.check_model(model)
    onnx.save(model, str(file))


def _packages() -> tuple[Any, Any]:
    try:
        onnx, onnxruntime, _ = (importlib.import_module(name) for name in _PACKAGES)
    except ImportError as error:
        raise ConfigError(
            f"export to ONNX needs the packages {', '.join(_PACKAGES)}, and {error.name} is not installed. Install "
            "them with: pip install 'ppgssl[onnx]'"
        ) from None
    return onnx, onnxruntime
