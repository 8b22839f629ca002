"""An encoder on disk: ``encoder.safetensors`` holds the numbers, ``model.json`` what they are. No code, no pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ppgssl.core.config.pretraining import EncoderShape
from ppgssl.core.errors import StoreError
from ppgssl.core.provenance import file_sha256, fingerprint, replaced, write_atomically
from ppgssl.selfsupervised.encoders import build_encoder
from ppgssl.selfsupervised.encoders.base import EncoderNetwork

MODEL_FILE = "model.json"
WEIGHTS_FILE = "encoder.safetensors"
_VERSION = 3


def save_encoder(folder: Path, encoder: EncoderNetwork, card: Mapping[str, Any]) -> None:
    """Write an encoder in place of one that is there; ``model.json`` comes last, so a folder that has it is whole.

    ``card`` holds what people should know of it as JSON values: training data, settings, losses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / WEIGHTS_FILE
    with replaced(weights) as temporary:
        save_file({name: value.detach().cpu().contiguous() for name, value in encoder.state_dict().items()}, temporary)
    model = {
        "version": _VERSION,
        "n_channels": encoder.n_channels,
        "fs_hz": encoder.fs_hz,
        "shape": encoder.shape.model_dump(mode="json"),
        "embedding_dim": encoder.embedding_dim,
        "weights_sha256": file_sha256(weights),
        "card": dict(card),
    }
    model["sha256"] = fingerprint(model)
    write_atomically(folder / MODEL_FILE, json.dumps(model, indent=1, ensure_ascii=False))


def load_encoder(folder: Path) -> EncoderNetwork:
    """The encoder of a folder, on the CPU and in evaluation mode.

    Raises
    ------
    StoreError
        If there is none, it was written by another version, or one of its files is not what was written.
    """
    model = read_model(folder)
    weights = folder / WEIGHTS_FILE
    if not weights.is_file():
        raise StoreError(f"{weights} is missing: the encoder is not complete. Pretrain it again.")
    if file_sha256(weights) != model["weights_sha256"]:
        raise StoreError(
            f"{weights} is not the file that {MODEL_FILE} describes (its SHA-256 differs): it was damaged or replaced. "
            "Restore it, or pretrain the encoder again."
        )
    return _rebuild(model, weights)


def read_model(folder: Path) -> dict[str, Any]:
    """What ``model.json`` holds, its own checksum verified; raises as :func:`load_encoder`."""
    path = folder / MODEL_FILE
    try:
        model = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StoreError(
            f"there is no encoder in {folder}: {MODEL_FILE} is missing. Make it with: ppgssl pretrain"
        ) from None
    except (OSError, ValueError) as error:
        raise StoreError(f"cannot read {path}: {error}. Restore it, or pretrain the encoder again.") from None
    if not isinstance(model, dict) or model.get("version") != _VERSION:
        found = model.get("version") if isinstance(model, dict) else None
        raise StoreError(
            f"{path} is an encoder of version {found!r}, and this ppgssl reads version {_VERSION}: pretrain it again, "
            "or use the ppgssl that made it"
        )
    if model.pop("sha256", None) != fingerprint(model):
        raise StoreError(f"{path} was changed after it was written: restore it, or pretrain the encoder again")
    return model


def _rebuild(model: dict[str, Any], weights: Path) -> EncoderNetwork:
    try:
        shape = TypeAdapter(EncoderShape).validate_python(model["shape"])
        encoder = build_encoder(model["n_channels"], shape, fs_hz=model["fs_hz"])
        encoder.load_state_dict(load_file(weights))
    except (KeyError, ValidationError, RuntimeError, SafetensorError) as error:
        raise StoreError(f"{weights} does not hold the encoder that {MODEL_FILE} describes: {error}") from None
    return encoder.eval()
