"""How well an objective does on held-out patients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ppgssl.selfsupervised.bank import SegmentBank
from ppgssl.selfsupervised.health import Health, check_health
from ppgssl.selfsupervised.objectives.masked_autoencoder import MaskedAutoencoder

# More segments would not make the loss curve more certain, as they come from the same patients.
MAX_SEGMENTS = 4096
# Any fixed number: every evaluation of every encoder hides the same samples of a segment.
_MASK_SEED = 0


@dataclass(frozen=True)
class Judgement:
    """Validation of one set of weights.

    Attributes
    ----------
    loss : float
        Mean squared error over the hidden samples of all segments (over all samples where nothing is hidden).
    variance_explained : float
        1 - loss / variance of those samples about each channel's mean; 0 for a constant, negative if worse,
        None where the samples do not vary.
    health : Health
        Of the embeddings of the whole segments.
    """

    loss: float
    variance_explained: float | None
    health: Health


def spread_out(index: Tensor, n: int) -> Tensor:
    """At most n of the segment numbers, evenly spaced."""
    if len(index) <= n:
        return index
    return index[torch.linspace(0, len(index) - 1, n, dtype=torch.float64).round().to(torch.int64)]


@torch.inference_mode()
def judge(objective: MaskedAutoencoder, bank: SegmentBank, index: Tensor, *, batch_size: int) -> Judgement:
    """Judge an objective on held-out segments; the weights and all generators stay as they were.

    Parameters
    ----------
    objective : MaskedAutoencoder
        On the device of the bank.
    index : int tensor
        Held-out segments; at most ``MAX_SEGMENTS`` of them, evenly spaced, are used.
    """
    was_training = objective.training
    objective.eval()
    generator = torch.Generator().manual_seed(_MASK_SEED)
    sums = np.zeros((4, bank.n_channels))
    embeddings = []
    for part in spread_out(index, MAX_SEGMENTS).split(batch_size):
        batch = bank.gather(part)
        mask, reconstruction = objective.reconstruct(batch, generator)
        sums += _sums(batch, reconstruction, objective.judged(mask))
        embeddings.append(objective.encoder.embed(batch).cpu().numpy())
    objective.train(was_training)
    loss, explained = _summarise(*sums)
    return Judgement(loss, explained, check_health(np.concatenate(embeddings)))


def _sums(batch: Tensor, reconstruction: Tensor, judged: Tensor) -> np.ndarray:
    """Per channel: number of samples, their sum, their sum of squares, sum of squared errors."""
    values = torch.stack([torch.ones_like(batch), batch, batch.square(), (batch - reconstruction).square()])
    return (values * judged).sum(dim=-1).cpu().double().sum(dim=1).numpy()


def _summarise(n: np.ndarray, total: np.ndarray, squares: np.ndarray, errors: np.ndarray) -> tuple[float, float | None]:
    variance = (squares - total**2 / n).sum() / n.sum()
    loss = errors.sum() / n.sum()
    return float(loss), float(1 - loss / variance) if variance > 0 else None
