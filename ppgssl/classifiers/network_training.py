"""Trains one network: encoder, standardisation and head, with balanced draws and early stopping."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from ppgssl.classifiers.network_heads import HEADS, AttentionHead, MeanHead
from ppgssl.classifiers.patient_segments import PatientSegments
from ppgssl.core.config.study import Network
from ppgssl.core.errors import TrainingError
from ppgssl.core.records import FloatArray, IntArray
from ppgssl.selfsupervised.bank import SegmentBank
from ppgssl.selfsupervised.encoders.base import EncoderNetwork

_AT_ONCE = 512
# Embeddings, shape (n, embedding_dim), of segments by their numbers in the bank.
Embed = Callable[[IntArray], Tensor]


class PatientNetwork(nn.Module):
    """Encoder, standardisation of its embedding, head: segments of a patient -> log odds of the event.

    The standardisation holds the mean and SD of the embeddings of training segments before training: the head then
    starts from inputs of one size, whatever the encoder's.
    """

    mean: Tensor
    sd: Tensor

    def __init__(self, encoder: EncoderNetwork, pooling: str) -> None:
        super().__init__()
        self.encoder = encoder
        self.head: MeanHead | AttentionHead = HEADS[pooling](encoder.embedding_dim)
        self.register_buffer("mean", torch.zeros(encoder.embedding_dim))
        self.register_buffer("sd", torch.ones(encoder.embedding_dim))

    def embed(self, segments: Tensor) -> Tensor:
        """Standardised embeddings, shape (n, embedding_dim), of segments of shape (n, channels, length)."""
        return (self.encoder.embed(segments) - self.mean) / self.sd


@dataclass(frozen=True)
class EpochRow:
    """One epoch of training; both losses are log losses with the classes weighing the same."""

    epoch: int
    train_loss: float
    validation_loss: float
    is_frozen: bool


@dataclass(frozen=True)
class NetworkMember:
    """One trained network.

    Attributes
    ----------
    model : with the weights of the best epoch, in evaluation mode
    best_epoch : from 0; the one of the lowest loss of the held-out patients
    fitted_to, held_out : training patients that it learned from, and those who decided when to stop
    """

    model: PatientNetwork = field(repr=False)
    history: tuple[EpochRow, ...] = field(repr=False)
    best_epoch: int
    fitted_to: tuple[str, ...] = field(repr=False)
    held_out: tuple[str, ...] = field(repr=False)


def fit_member(
    encoder: EncoderNetwork,
    bank: SegmentBank,
    inner: PatientSegments,
    held_out: PatientSegments,
    settings: Network,
    *,
    n_frozen: int,
    rng: np.random.Generator,
) -> NetworkMember:
    """Train an encoder, which is changed, and a new head on ``inner`` until ``held_out`` no longer gain.

    Raises TrainingError if the loss is not finite.
    """
    model = PatientNetwork(encoder, settings.pooling).to(bank.device)
    _standardise(model, bank, inner.all_segments())
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    frozen = _frozen_embeddings(model, bank, inner, held_out) if n_frozen else None
    history: list[EpochRow] = []
    best_epoch, best_loss, best_state = 0, math.inf, copy.deepcopy(model.state_dict())
    for epoch in range(settings.n_epochs):
        is_frozen = epoch < n_frozen
        embed = frozen if is_frozen and frozen else _embedder(model, bank)
        # Frozen means its running statistics too.
        model.train().encoder.train(not is_frozen).requires_grad_(not is_frozen)
        train_loss = _train_epoch(model, embed, inner, settings, optimizer, rng)
        model.eval()
        validation_loss = balanced_log_loss(held_out.y, _risks(model.head, embed, held_out))
        history.append(EpochRow(epoch, train_loss, validation_loss, is_frozen))
        if validation_loss < best_loss:
            best_epoch, best_loss, best_state = epoch, validation_loss, copy.deepcopy(model.state_dict())
        # Thawing starts a new search: the frozen epochs do not use up its patience.
        if epoch - max(best_epoch, n_frozen - 1) >= settings.patience:
            break
    model.load_state_dict(best_state)
    model.eval().requires_grad_(False)
    return NetworkMember(model, tuple(history), best_epoch, tuple(dict.fromkeys(inner.ids)), held_out.ids)


def patient_risks(model: PatientNetwork, bank: SegmentBank, patients: PatientSegments) -> FloatArray:
    """Score of each patient in 0..1, shape (n_patients,), in a population with as many events as non-events."""
    return _risks(model.head, _embedder(model, bank), patients)


def balanced_log_loss(y: FloatArray, score: FloatArray) -> float:
    """Log loss with either class weighing one half, as in training."""
    of_truth = np.clip(np.where(y == 1, score, 1 - score), 1e-7, 1.0)
    return float(-0.5 * (np.log(of_truth[y == 1]).mean() + np.log(of_truth[y == 0]).mean()))


def balanced_draws(
    patients: PatientSegments, bag_size: int, batch_size: int, rng: np.random.Generator
) -> Iterator[tuple[IntArray, FloatArray]]:
    """Batches of an epoch: bags of ``bag_size`` segments of a patient, shape (n_bags, bag_size), and their outcomes.

    An epoch has about as many draws of segments as there are segments, in whole batches. A patient with fewer segments
    than a bag holds has some of them twice in it.
    """
    n_segments = sum(len(own) for own in patients.segments)
    n_bags = max(2, min(batch_size, n_segments) // bag_size)
    n_batches = max(1, n_segments // (n_bags * bag_size))
    y = rng.integers(0, 2, size=(n_batches, n_bags))
    chosen = np.empty_like(y)
    for outcome in (0, 1):
        members = np.flatnonzero(patients.y == outcome)
        chosen[y == outcome] = members[rng.integers(len(members), size=int((y == outcome).sum()))]
    counts = np.array([len(own) for own in patients.segments])
    starts = np.cumsum(counts) - counts
    place = (rng.random((n_batches, n_bags, bag_size)) + np.arange(bag_size)) / bag_size  # spread over the recording
    own = counts[chosen][..., None]
    places = np.minimum((place * own).astype(np.int64), own - 1)
    yield from zip(patients.all_segments()[starts[chosen][..., None] + places], y.astype(float), strict=True)


def _train_epoch(
    model: PatientNetwork,
    embed: Embed,
    inner: PatientSegments,
    settings: Network,
    optimizer: torch.optim.Optimizer,
    rng: np.random.Generator,
) -> float:
    losses = []
    for bags, y in balanced_draws(inner, model.head.bag_size, settings.batch_size, rng):
        embeddings = embed(bags.ravel()).unflatten(0, bags.shape)
        target = torch.as_tensor(y, dtype=torch.float32, device=embeddings.device)
        smooth = target * (1 - settings.label_smoothing) + 0.5 * settings.label_smoothing
        loss = binary_cross_entropy_with_logits(model.head(embeddings), smooth)
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


@torch.no_grad()
def _standardise(model: PatientNetwork, bank: SegmentBank, segments: IntArray) -> None:
    model.eval()
    embedding = torch.cat([model.encoder.embed(part).double() for part in _batches(bank, segments)])
    sd = embedding.std(dim=0, unbiased=False)
    model.mean.copy_(embedding.mean(dim=0))
    # A unit that never moves is left alone instead of being blown up.
    model.sd.copy_(torch.where(sd > 1e-6, sd, torch.ones_like(sd)))


@torch.no_grad()
def _frozen_embeddings(
    model: PatientNetwork, bank: SegmentBank, inner: PatientSegments, held_out: PatientSegments
) -> Embed:
    """Embeddings looked up instead of computed: a frozen encoder gives the same in every epoch."""
    segments = np.unique(np.concatenate([inner.all_segments(), held_out.all_segments()]))
    model.eval()
    table = torch.cat([model.embed(part) for part in _batches(bank, segments)])
    return lambda wanted: table[torch.as_tensor(np.searchsorted(segments, wanted), device=table.device)]


def _embedder(model: PatientNetwork, bank: SegmentBank) -> Embed:
    return lambda segments: model.embed(_gather(bank, segments))


@torch.no_grad()
def _risks(head: MeanHead | AttentionHead, embed: Embed, patients: PatientSegments) -> FloatArray:
    segments = patients.all_segments()
    parts = [embed(segments[start : start + _AT_ONCE]) for start in range(0, len(segments), _AT_ONCE)]
    of_patient = torch.cat(parts).split([len(own) for own in patients.segments])
    risks: FloatArray = torch.stack([head.risk(own) for own in of_patient]).double().cpu().numpy()
    return risks


def _batches(bank: SegmentBank, segments: IntArray) -> Iterator[Tensor]:
    for start in range(0, len(segments), _AT_ONCE):
        yield _gather(bank, segments[start : start + _AT_ONCE])


def _gather(bank: SegmentBank, segments: IntArray) -> Tensor:
    return bank.gather(torch.as_tensor(segments, dtype=torch.int64, device=bank.device))
