"""What a pretraining run leaves: the encoder, how its loss fell, and a few examples of what it filled in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from ppgssl.errors import StoreError
from ppgssl.provenance import file_sha256
from ppgssl.records import BoolArray, FloatArray, IntArray
from ppgssl.selfsupervised.bank import SegmentBank
from ppgssl.selfsupervised.encoder_io import MODEL_FILE, load_encoder, read_model, save_encoder
from ppgssl.selfsupervised.encoders.base import EncoderNetwork
from ppgssl.selfsupervised.objectives.base import Objective
from ppgssl.selfsupervised.objectives.reconstruction import ReconstructionObjective
from ppgssl.selfsupervised.validation import spread_out

EXAMPLES_FILE = "examples.safetensors"
N_EXAMPLES = 6


@dataclass(frozen=True)
class HistoryRow:
    """One evaluation.

    Attributes
    ----------
    step : int
        Optimizer steps done.
    train_loss : float or None
        Mean over the steps since the last evaluation; None before the first step.
    validation_loss, score, effective_rank, dead_fraction, is_collapsed
        On held-out patients; see :class:`~ppgssl.selfsupervised.validation.Judgement` and
        :class:`~ppgssl.selfsupervised.health.Health`.
    """

    step: int
    train_loss: float | None
    validation_loss: float
    score: float | None
    effective_rank: float
    dead_fraction: float
    is_collapsed: bool


@dataclass(frozen=True)
class Examples:
    """Held-out segments, what was hidden of them, and what the network made of the rest.

    Attributes
    ----------
    index : int array, shape (n,)
        Numbers of the segments in the bank.
    original, reconstruction : float32 arrays, shape (n, n_channels, length)
        Normalised samples.
    is_masked : bool array, shape (n, n_channels, length)
    """

    index: IntArray
    original: FloatArray
    is_masked: BoolArray
    reconstruction: FloatArray


@dataclass(frozen=True)
class PretrainingResult:
    """A finished run.

    Attributes
    ----------
    encoder : EncoderNetwork
        With the weights of the lowest validation loss, on the CPU, in evaluation mode.
    history : tuple of HistoryRow
    examples : Examples or None
        None where the objective reconstructs nothing.
    best_step : int
        Step of these weights.
    score_name, score, effective_rank, is_collapsed
        Of these weights, on held-out patients.
    seconds : float
        Training time, all sittings together.
    device : str
    n_parameters : int
        Of the encoder.
    restart_reason : str or None
        Why an earlier, unfinished or differing run in the folder was not used.
    """

    encoder: EncoderNetwork = field(repr=False)
    history: tuple[HistoryRow, ...] = field(repr=False)
    examples: Examples | None = field(repr=False)
    best_step: int
    score_name: str
    score: float | None
    effective_rank: float
    is_collapsed: bool
    seconds: float
    device: str
    n_parameters: int
    restart_reason: str | None = None


_FACTS = (
    "best_step",
    "score_name",
    "score",
    "effective_rank",
    "is_collapsed",
    "seconds",
    "device",
    "n_parameters",
    "restart_reason",
)


@torch.inference_mode()
def make_examples(objective: Objective, bank: SegmentBank, index: torch.Tensor, *, seed: int) -> Examples | None:
    """Reconstruct a few of the segments, evenly spaced; None where the objective reconstructs nothing."""
    if not isinstance(objective, ReconstructionObjective):
        return None
    objective.eval()
    chosen = spread_out(index, N_EXAMPLES)
    batch = bank.gather(chosen)
    draws = objective.draw(len(batch), bank.length, torch.Generator(bank.device).manual_seed(seed))
    shown = batch, objective.hidden(batch, draws), objective.reconstruct(batch, draws)
    return Examples(chosen.numpy(), *[values.cpu().numpy() for values in shown])


def save_result(folder: Path, made_of: str, result: PretrainingResult) -> None:
    """Write a finished run; the folder counts as finished once ``model.json`` is there, which comes last."""
    card = {
        "made_of": made_of,
        "history": [asdict(row) for row in result.history],
        "examples_sha256": _save_examples(folder, result.examples) if result.examples else None,
        **{name: getattr(result, name) for name in _FACTS},
    }
    save_encoder(folder, result.encoder, card)


def load_result(folder: Path) -> PretrainingResult:
    """The finished run of a folder.

    Raises
    ------
    StoreError
        If there is none, or one of its files is not what was written.
    """
    card = read_model(folder)["card"]
    try:
        history = tuple(HistoryRow(**row) for row in card["history"])
        facts = {name: card[name] for name in _FACTS}
    except (KeyError, TypeError):
        raise StoreError(f"{folder / MODEL_FILE} does not tell how the encoder was pretrained") from None
    return PretrainingResult(load_encoder(folder), history, _load_examples(folder, card), **facts)


def finished(folder: Path, made_of: str) -> bool:
    """Whether the folder holds the finished run of this fingerprint."""
    return (folder / MODEL_FILE).is_file() and read_model(folder)["card"].get("made_of") == made_of


def _save_examples(folder: Path, examples: Examples) -> str:
    temporary = folder / f".{EXAMPLES_FILE}.{os.getpid()}"
    save_file({name: np.ascontiguousarray(values) for name, values in vars(examples).items()}, temporary)
    temporary.replace(folder / EXAMPLES_FILE)
    return file_sha256(folder / EXAMPLES_FILE)


def _load_examples(folder: Path, card: Mapping[str, object]) -> Examples | None:
    if card.get("examples_sha256") is None:
        return None
    path = folder / EXAMPLES_FILE
    if not path.is_file() or file_sha256(path) != card.get("examples_sha256"):
        raise StoreError(f"{path} is missing or not what was written beside {MODEL_FILE}: pretrain the encoder again")
    try:
        return Examples(**load_file(path))
    except (SafetensorError, TypeError) as error:
        raise StoreError(f"{path} does not hold reconstructed segments: {error}") from None
