"""What a pretraining run leaves: the encoder, how its loss fell, and a few examples of what it filled in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from ppgssl.core.errors import StoreError, TrainingError
from ppgssl.core.provenance import file_sha256, replaced
from ppgssl.core.records import BoolArray, FloatArray, IntArray
from ppgssl.selfsupervised.bank import SegmentBank
from ppgssl.selfsupervised.checkpoints import remove_checkpoints
from ppgssl.selfsupervised.encoder_io import MODEL_FILE, load_encoder, read_model, save_encoder
from ppgssl.selfsupervised.encoders.base import EncoderNetwork
from ppgssl.selfsupervised.objectives.base import Objective
from ppgssl.selfsupervised.objectives.contrastive_masked_autoencoder import ContrastiveMaskedAutoencoder
from ppgssl.selfsupervised.objectives.reconstruction import ReconstructionObjective
from ppgssl.selfsupervised.resource_use import Energy
from ppgssl.selfsupervised.validation import Evaluation, spread_out

EXAMPLES_FILE = "examples.safetensors"
N_EXAMPLES = 6
_UNLEARNT = (
    "the loss of held-out patients never fell below that of the first, untrained weights, so these were kept: the "
    "encoder has learnt nothing. Give it more steps, a lower `pretraining.learning_rate`, or more patients"
)


@dataclass(frozen=True)
class HistoryRow:
    """One evaluation, after ``step`` optimizer steps.

    ``train_loss`` is the mean over the steps since the last evaluation, None before the first step. The other values
    are of held-out patients: see :class:`~ppgssl.selfsupervised.validation.Evaluation` and
    :class:`~ppgssl.selfsupervised.health.Health`.
    """

    step: int
    train_loss: float | None
    validation_loss: float
    score: float | None
    effective_rank: float
    dead_fraction: float
    is_collapsed: bool
    warning: str = ""

    @classmethod
    def of(cls, step: int, train_loss: float | None, found: Evaluation) -> HistoryRow:
        return cls(step, train_loss, found.loss, found.score, **asdict(found.health))


@dataclass(frozen=True)
class Examples:
    """Held-out segments, what was hidden of them, and what the network made of the rest.

    ``index`` holds their numbers in the bank, shape (n,); the other arrays have the shape (n, n_channels, length), with
    samples normalised.
    """

    index: IntArray
    original: FloatArray
    is_masked: BoolArray
    reconstruction: FloatArray


@dataclass(frozen=True)
class PretrainingResult:
    """A finished run: its encoder has the weights of the lowest validation loss, on the CPU, in evaluation mode.

    ``examples`` are None where the objective reconstructs nothing, ``score_name`` is empty where evaluations have no
    score. ``seconds`` and ``energy`` are of all sessions together; for ``hardware`` see
    :func:`~ppgssl.selfsupervised.devices.describe_hardware`. ``restart_reason`` is why an earlier, unfinished or
    differing run in the folder was not used; ``note`` what else should be known, such as that the training could not be
    compiled.
    """

    encoder: EncoderNetwork = field(repr=False)
    history: tuple[HistoryRow, ...] = field(repr=False)
    examples: Examples | None = field(repr=False)
    score_name: str
    seconds: float
    energy: Energy
    device: str
    hardware: Mapping[str, Any]
    n_parameters: int
    restart_reason: str | None = None
    note: str = ""

    @property
    def best(self) -> HistoryRow:
        """The evaluation of the weights that were kept."""
        return min(self.history, key=lambda row: row.validation_loss)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What evaluations found wrong, a line for each interval of the training; mostly none.

        Untrained weights may be as they are, unless these were kept: where the loss of held-out patients never fell
        below theirs, that comes first.
        """
        intervals = [
            list(rows)
            for is_wrong, rows in groupby(self.history, key=lambda row: bool(row.warning) and row.step > 0)
            if is_wrong
        ]
        unlearnt = (_UNLEARNT,) if len(self.history) > 1 and self.best.step == 0 else ()
        return (*unlearnt, *(f"steps {rows[0].step} to {rows[-1].step}: {rows[-1].warning}" for rows in intervals))


_FACTS = ("score_name", "seconds", "device", "hardware", "n_parameters", "restart_reason", "note")


@torch.inference_mode()
def make_examples(objective: Objective, bank: SegmentBank, index: torch.Tensor, *, seed: int) -> Examples | None:
    """Reconstruct a few of the segments, evenly spaced; None where the objective reconstructs nothing."""
    if isinstance(objective, ContrastiveMaskedAutoencoder):
        objective, index = objective.masked, index.reshape(len(index), -1)[:, 0]
    if not isinstance(objective, ReconstructionObjective):
        return None
    objective.eval()
    chosen = spread_out(index, N_EXAMPLES)
    batch = bank.gather(chosen)
    draws = objective.draw(len(batch), bank.length, torch.Generator(bank.device).manual_seed(seed))
    draws.pop("keep", None)  # dropped channels would pass for visible ones
    shown = batch, objective.hidden(batch, draws), objective.reconstruct(batch, draws)
    return Examples(chosen.numpy(), *[values.cpu().numpy() for values in shown])


def save_result(folder: Path, made_of: str, result: PretrainingResult, record: Mapping[str, Any] | None = None) -> None:
    """Write a finished run in place of its checkpoint; ``record`` holds what else the model's card should hold.

    The folder counts as finished once ``model.json`` is there, which is written last. A ``TrainingError`` is raised if
    it cannot be written, for example because the disk is full; the checkpoint of the last step then stays.
    """
    try:
        _save(folder, made_of, result, record or {})
    except (OSError, SafetensorError) as error:
        for part in [*folder.glob(f".*.{os.getpid()}"), *folder.glob(f".*.{os.getpid()}.*")]:
            part.unlink(missing_ok=True)  # it would take the room that is missing
        raise TrainingError(
            f"cannot write the encoder into {folder}: {error}. Is there room on the disk? The checkpoint of the last "
            "step is kept; run the same command again to go on."
        ) from None
    remove_checkpoints(folder)


def _save(folder: Path, made_of: str, result: PretrainingResult, record: Mapping[str, Any]) -> None:
    card = {
        **record,
        "made_of": made_of,
        "history": [asdict(row) for row in result.history],
        "examples_sha256": _save_examples(folder, result.examples) if result.examples else None,
        "best_step": result.best.step,
        "energy": asdict(result.energy),
        "warnings": list(result.warnings),
        **{name: getattr(result, name) for name in _FACTS},
    }
    save_encoder(folder, result.encoder, card)


def load_result(folder: Path) -> PretrainingResult:
    """The finished run of a folder; raises a ``StoreError`` if there is none, or a file is not what was written."""
    card = read_model(folder)["card"]
    try:
        history = tuple(HistoryRow(**row) for row in card["history"])
        facts = {name: card[name] for name in _FACTS} | {"energy": Energy(**card["energy"])}
    except (KeyError, TypeError):
        raise StoreError(f"{folder / MODEL_FILE} does not describe how the encoder was pretrained") from None
    return PretrainingResult(load_encoder(folder), history, _load_examples(folder, card), **facts)


def finished(folder: Path, made_of: str) -> bool:
    """Whether the folder holds the finished run of this fingerprint; a checkpoint of it is removed."""
    if not ((folder / MODEL_FILE).is_file() and read_model(folder)["card"].get("made_of") == made_of):
        return False
    remove_checkpoints(folder)
    return True


def _save_examples(folder: Path, examples: Examples) -> str:
    with replaced(folder / EXAMPLES_FILE) as temporary:
        save_file({name: np.ascontiguousarray(values) for name, values in vars(examples).items()}, temporary)
    return file_sha256(folder / EXAMPLES_FILE)


def _load_examples(folder: Path, card: Mapping[str, object]) -> Examples | None:
    if card.get("examples_sha256") is None:
        return None
    path = folder / EXAMPLES_FILE
    if not path.is_file() or file_sha256(path) != card.get("examples_sha256"):
        raise StoreError(f"{path} is missing or not what was written with {MODEL_FILE}: pretrain the encoder again")
    try:
        return Examples(**load_file(path))
    except (SafetensorError, TypeError) as error:
        raise StoreError(f"{path} does not hold reconstructed segments: {error}") from None
