"""Encoder and linear head trained end to end on segments; a patient's score is the mean over their segments."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from ppgssl.config import Network
from ppgssl.errors import TrainingError
from ppgssl.records import FloatArray, IntArray
from ppgssl.selfsupervised.bank import SegmentBank
from ppgssl.selfsupervised.encoders.base import EncoderNetwork


class SegmentClassifier(nn.Module):
    """Encoder, standardisation of its embedding, linear head: segment -> log odds of the event.

    The standardisation holds the mean and SD of the embeddings of training segments before training: the head then
    starts from inputs of one size, whatever the encoder's.
    """

    mean: Tensor
    sd: Tensor

    def __init__(self, encoder: EncoderNetwork) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.embedding_dim, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.register_buffer("mean", torch.zeros(encoder.embedding_dim))
        self.register_buffer("sd", torch.ones(encoder.embedding_dim))

    def forward(self, segments: Tensor) -> Tensor:
        """Log odds, shape (batch,), of segments of shape (batch, channels, length)."""
        embedding = self.encoder.embed(segments)
        return self.head((embedding - self.mean) / self.sd).squeeze(-1)


@dataclass(frozen=True)
class EpochRow:
    """One epoch of training; both losses are log losses with the classes weighing the same."""

    epoch: int
    train_loss: float
    validation_loss: float
    is_frozen: bool


@dataclass(frozen=True)
class NetworkFit:
    """A trained network.

    Attributes
    ----------
    model : SegmentClassifier
        With the weights of the best epoch, in evaluation mode.
    history : tuple of EpochRow
    best_epoch : int
        From 0; the one of the lowest loss of the validation patients.
    validation_patients : tuple of str
        Training patients held out to decide when to stop.
    """

    model: SegmentClassifier = field(repr=False)
    history: tuple[EpochRow, ...] = field(repr=False)
    best_epoch: int
    validation_patients: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class _Patients:
    """Patients with the numbers of their segments in the bank."""

    ids: tuple[str, ...]
    y: FloatArray
    segments: Sequence[IntArray]

    def all_segments(self) -> IntArray:
        return np.concatenate(self.segments)


def fit_network(
    bank: SegmentBank,
    patient_of_segment: ArrayLike,
    y_of_patient: pd.Series,
    train_patients: Sequence[str],
    encoder: EncoderNetwork,
    *,
    is_pretrained: bool,
    settings: Network,
    seed: int,
) -> NetworkFit:
    """Train encoder and head on the segments of training patients.

    A draw picks either class with equal chance, then a patient of the class, then one of their segments: neither the
    rarer class nor patients with few segments are drowned. A pretrained encoder stays as it is for the first epochs, so
    that the head's first, wild gradients do not undo it. Training stops when the loss of held-out *training* patients
    no longer falls; the weights of the best epoch are kept. Test patients are never touched.

    Parameters
    ----------
    bank : SegmentBank
        Segments of any patients; only those of ``train_patients`` are used.
    patient_of_segment : array of str, shape (n_segments,)
        Patient of each segment of the bank.
    y_of_patient : Series of 0/1, index patient
    train_patients : sequence of str
    encoder : EncoderNetwork
        Copied, so that the caller's stays as it is.
    is_pretrained : bool
        Whether the encoder is to be kept frozen for ``settings.freeze_epochs``.
    settings : config.Network
    seed : int
        Of the inner split and of the draws. Runs are equal on one CPU; a GPU may differ in the last digits.

    Raises
    ------
    TrainingError
        If a training patient has no segment or no outcome, either class has fewer than two training patients, or the
        loss is not finite.
    """
    patients = _collect(patient_of_segment, train_patients, y_of_patient)
    inner, held_out = _split(patients, settings.validation_fraction, np.random.default_rng(seed))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = SegmentClassifier(copy.deepcopy(encoder)).to(bank.device)
        _standardise(model, bank, inner.all_segments(), settings.batch_size)
        n_frozen = settings.freeze_epochs if is_pretrained else 0
        history, best_epoch = _fit_loop(model, bank, inner, held_out, settings, n_frozen, np.random.default_rng(seed))
    return NetworkFit(model, history, best_epoch, held_out.ids)


def predict_network(
    fit: NetworkFit, bank: SegmentBank, patient_of_segment: ArrayLike, patients: Sequence[str]
) -> pd.Series:
    """Score of each patient: the mean probability of the event over their segments.

    Classes were drawn equally often in training, so a score speaks of a population with as many events as non-events:
    it ranks patients, and is too high to be read as the risk in a population where the event is rarer.

    Returns
    -------
    Series, index ``patients`` in the order given

    Raises
    ------
    TrainingError
        If a patient has no segment in the bank.
    """
    chosen = _collect(patient_of_segment, patients)
    scores = _patient_scores(fit.model, bank, chosen, batch_size=512)
    return pd.Series(scores, index=pd.Index(chosen.ids, name="patient"), name="y_score")


def _collect(patient_of_segment: ArrayLike, patients: Sequence[str], y: pd.Series | None = None) -> _Patients:
    """Segments and outcomes of the patients, in the order given; without ``y``, the outcome is not known (NaN)."""
    owners = np.asarray(patient_of_segment)
    position = pd.Index(patients).get_indexer(pd.Index(owners))
    order = np.argsort(position, kind="stable")
    bounds = np.searchsorted(position[order], np.arange(len(patients) + 1))
    segments = [order[start:stop] for start, stop in pairwise(bounds)]
    without = [name for name, own in zip(patients, segments, strict=True) if not len(own)]
    if without:
        raise TrainingError(
            f"{len(without)} patient(s) have no segment in the bank, for example {', '.join(without[:5])}"
        )
    outcomes = np.full(len(patients), np.nan) if y is None else y.reindex(list(patients)).to_numpy(dtype=float)
    if y is not None and not np.isin(outcomes, (0, 1)).all():
        unknown = [name for name, value in zip(patients, outcomes, strict=True) if value not in (0, 1)]
        raise TrainingError(f"{len(unknown)} training patient(s) have no outcome of 0 or 1, for example {unknown[0]}")
    return _Patients(tuple(patients), outcomes, segments)


def _split(patients: _Patients, fraction: float, rng: np.random.Generator) -> tuple[_Patients, _Patients]:
    """Hold out a share of each class, at least one patient; at least one stays."""
    held_out: list[int] = []
    for outcome in (0, 1):
        members = np.flatnonzero(patients.y == outcome)
        if len(members) < 2:
            raise TrainingError(
                f"{len(members)} training patient(s) have outcome {outcome}: the network needs two, one to learn from "
                "and one to decide when to stop. Lower `validation.n_folds`, or leave out the network arms."
            )
        n_out = min(max(1, round(fraction * len(members))), len(members) - 1)
        held_out += list(rng.permutation(members)[:n_out])
    inner = sorted(set(range(len(patients.ids))) - set(held_out))
    return _take(patients, inner), _take(patients, sorted(held_out))


def _take(patients: _Patients, rows: Sequence[int]) -> _Patients:
    return _Patients(
        tuple(patients.ids[row] for row in rows), patients.y[list(rows)], [patients.segments[row] for row in rows]
    )


@torch.no_grad()
def _standardise(model: SegmentClassifier, bank: SegmentBank, segments: IntArray, batch_size: int) -> None:
    model.eval()
    parts = [model.encoder.embed(_gather(bank, part)).double() for part in _in_batches(segments, batch_size)]
    embedding = torch.cat(parts)
    sd = embedding.std(dim=0, unbiased=False)
    model.mean.copy_(embedding.mean(dim=0))
    # A unit that never moves is left alone instead of being blown up.
    model.sd.copy_(torch.where(sd > 1e-6, sd, torch.ones_like(sd)))


def _fit_loop(
    model: SegmentClassifier,
    bank: SegmentBank,
    inner: _Patients,
    held_out: _Patients,
    settings: Network,
    n_frozen: int,
    rng: np.random.Generator,
) -> tuple[tuple[EpochRow, ...], int]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    history: list[EpochRow] = []
    best_epoch, best_loss, best_state = 0, math.inf, copy.deepcopy(model.state_dict())
    for epoch in range(settings.n_epochs):
        is_frozen = epoch < n_frozen
        train_loss = _train_epoch(model, bank, inner, settings, optimizer, rng, is_frozen=is_frozen)
        validation_loss = _balanced_log_loss(held_out.y, _patient_scores(model, bank, held_out, settings.batch_size))
        history.append(EpochRow(epoch, train_loss, validation_loss, is_frozen))
        if validation_loss < best_loss:
            best_epoch, best_loss, best_state = epoch, validation_loss, copy.deepcopy(model.state_dict())
        # Thawing starts a new search: the frozen epochs do not use up its patience.
        if epoch - max(best_epoch, n_frozen - 1) >= settings.patience:
            break
    model.load_state_dict(best_state)
    model.eval()
    return tuple(history), best_epoch


def _train_epoch(
    model: SegmentClassifier,
    bank: SegmentBank,
    inner: _Patients,
    settings: Network,
    optimizer: torch.optim.Optimizer,
    rng: np.random.Generator,
    *,
    is_frozen: bool,
) -> float:
    model.train()
    # Frozen means its running statistics too.
    model.encoder.train(not is_frozen).requires_grad_(not is_frozen)
    losses = []
    for segments, y in _balanced_batches(inner, settings.batch_size, rng):
        target = torch.as_tensor(y, dtype=torch.float32, device=bank.device)
        smooth = target * (1 - settings.label_smoothing) + 0.5 * settings.label_smoothing
        loss = binary_cross_entropy_with_logits(model(_gather(bank, segments)), smooth)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    train_loss = float(torch.stack(losses).mean())
    if not math.isfinite(train_loss):
        raise TrainingError(
            f"the network's loss is {train_loss} at learning rate {settings.learning_rate}: "
            "lower `network.learning_rate`"
        )
    return train_loss


def _balanced_batches(
    patients: _Patients, batch_size: int, rng: np.random.Generator
) -> list[tuple[IntArray, FloatArray]]:
    """An epoch: about as many draws as there are segments, in whole batches."""
    n_segments = sum(len(own) for own in patients.segments)
    size = min(batch_size, max(2, n_segments))
    n_batches = max(1, n_segments // size)
    y = rng.integers(0, 2, size=(n_batches, size))
    chosen = np.empty_like(y)
    for outcome in (0, 1):
        members = np.flatnonzero(patients.y == outcome)
        chosen[y == outcome] = members[rng.integers(len(members), size=int((y == outcome).sum()))]
    counts = np.array([len(own) for own in patients.segments])
    starts = np.cumsum(counts) - counts
    segments = patients.all_segments()[starts[chosen] + rng.integers(counts[chosen])]
    return list(zip(segments, y.astype(float), strict=True))


@torch.no_grad()
def _patient_scores(model: SegmentClassifier, bank: SegmentBank, patients: _Patients, batch_size: int) -> FloatArray:
    model.eval()
    batches = _in_batches(patients.all_segments(), batch_size)
    scores = torch.cat([torch.sigmoid(model(_gather(bank, part))).float() for part in batches]).cpu().numpy()
    counts = np.array([len(own) for own in patients.segments])
    return np.add.reduceat(scores.astype(float), np.cumsum(counts) - counts) / counts


def _balanced_log_loss(y: FloatArray, score: FloatArray) -> float:
    """Log loss with either class weighing one half, as in training."""
    of_truth = np.clip(np.where(y == 1, score, 1 - score), 1e-7, 1.0)
    return float(-0.5 * (np.log(of_truth[y == 1]).mean() + np.log(of_truth[y == 0]).mean()))


def _in_batches(segments: IntArray, batch_size: int) -> list[IntArray]:
    return [segments[start : start + batch_size] for start in range(0, len(segments), batch_size)]


def _gather(bank: SegmentBank, segments: IntArray) -> Tensor:
    return bank.gather(torch.as_tensor(segments, dtype=torch.int64, device=bank.device))
