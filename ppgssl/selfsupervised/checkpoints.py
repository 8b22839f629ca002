"""The state of a training run on disk, whole or not at all, and only for the run that wrote it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch

from ppgssl.pretraining_options import Pretraining
from ppgssl.provenance import fingerprint
from ppgssl.records import IntArray
from ppgssl.selfsupervised.bank import SegmentBank

CHECKPOINT_FILE = "checkpoint.pt"
# Raised when a change to encoder, objective or loop makes older checkpoints unfit to go on from.
_VERSION = 2


def run_fingerprint(
    bank: SegmentBank,
    train_index: IntArray,
    validation_index: IntArray,
    settings: Pretraining,
    *,
    fs_hz: float,
    seed: int,
) -> str:
    """Hash of all that decides a run's weights, the samples themselves included."""
    return fingerprint(
        {
            "version": _VERSION,
            "bank": bank.sha256(),
            "train": hashlib.sha256(np.ascontiguousarray(train_index, dtype="<i8").data).hexdigest(),
            "validation": hashlib.sha256(np.ascontiguousarray(validation_index, dtype="<i8").data).hexdigest(),
            "settings": settings.model_dump(mode="json"),
            "fs_hz": fs_hz,
            "seed": seed,
        }
    )


def save_checkpoint(folder: Path, made_of: str, state: dict[str, Any]) -> None:
    """Replace the folder's checkpoint; a kill at any moment leaves the old one or the new one."""
    path = folder / CHECKPOINT_FILE
    temporary = path.with_name(f".{CHECKPOINT_FILE}.{os.getpid()}")
    with temporary.open("wb") as file:
        torch.save({"made_of": made_of, **state}, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def load_checkpoint(folder: Path, made_of: str) -> tuple[dict[str, Any] | None, str | None]:
    """The state to go on from, or None; and why a checkpoint that lies there is not used.

    Only tensors, numbers and text are ever read (``weights_only``), no code.
    """
    path = folder / CHECKPOINT_FILE
    if not path.is_file():
        return None, None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        return None, f"{path} is damaged ({type(error).__name__}), so training starts anew"
    if not isinstance(state, dict) or state.get("made_of") != made_of:
        return None, f"{path} belongs to other settings, another seed or other data, so training starts anew"
    return state, None


def remove_checkpoints(folder: Path) -> None:
    """Remove the checkpoint, and parts of checkpoints that a kill left behind."""
    for path in [folder / CHECKPOINT_FILE, *folder.glob(f".{CHECKPOINT_FILE}.*")]:
        path.unlink(missing_ok=True)
