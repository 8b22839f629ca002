"""The state of a training run on disk, whole or not at all, and only for the run that wrote it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from ppgssl.core.config.pretraining import Pretraining
from ppgssl.core.errors import TrainingError
from ppgssl.core.provenance import fingerprint, write_atomically
from ppgssl.selfsupervised.encoder_io import MODEL_FILE
from ppgssl.selfsupervised.initial_weights import decisive_settings

CHECKPOINT_FILE = "checkpoint.pt"
# Raised when a change to encoder, objective or loop makes older checkpoints unfit to go on from.
_VERSION = 4


def run_fingerprint(data: Mapping[str, str], settings: Pretraining, *, fs_hz: float, seed: int) -> str:
    """Hash of all that decides a run's weights; ``data`` holds hashes of what it learns from."""
    return fingerprint(
        {
            "version": _VERSION,
            "data": dict(data),
            "settings": decisive_settings(settings),
            "fs_hz": fs_hz,
            "seed": seed,
        }
    )


def save_checkpoint(folder: Path, made_of: str, state: dict[str, Any]) -> None:
    """Replace the folder's checkpoint; a kill at any moment leaves the old one or the new one.

    A ``TrainingError`` is raised if it cannot be written, for example because the disk is full; the old one then stays.
    """
    path = folder / CHECKPOINT_FILE
    content = io.BytesIO()  # torch hides what goes wrong while it writes to a file
    torch.save({"made_of": made_of, **state}, content)
    try:
        write_atomically(path, content.getbuffer(), sync=True)
    except OSError as error:
        kept = "The last one is kept" if path.exists() else "There is none yet"
        raise TrainingError(
            f"cannot write the checkpoint {path}: {error.strerror or error}. Is there room on the disk "
            f"({len(content.getbuffer()) / 1e6:.1f} MB)? {kept}; run the same command again to go on."
        ) from None


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
        return None, f"{path} is damaged ({type(error).__name__}), so training starts again"
    if not isinstance(state, dict) or state.get("made_of") != made_of:
        return None, f"{path} belongs to other settings, another seed or other data, so training starts again"
    return state, None


def remove_checkpoints(folder: Path) -> None:
    """Remove the checkpoint, and parts of checkpoints that a kill left behind."""
    for path in [folder / CHECKPOINT_FILE, *folder.glob(f".{CHECKPOINT_FILE}.*")]:
        path.unlink(missing_ok=True)


def state_to_go_on_from(folder: Path, made_of: str) -> tuple[dict[str, Any] | None, str | None]:
    """As :func:`load_checkpoint`, in a folder that is made if need be, and from which another run's encoder goes."""
    folder.mkdir(parents=True, exist_ok=True)
    state, reason = load_checkpoint(folder, made_of)
    if (folder / MODEL_FILE).is_file():
        reason = f"the encoder in {folder} was made from other settings, another seed or other data, and is replaced"
        (folder / MODEL_FILE).unlink()
    return state, reason
