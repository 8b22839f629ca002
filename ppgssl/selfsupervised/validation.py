"""How well an objective does on held-out patients."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ppgssl.selfsupervised.bank import SegmentBank
from ppgssl.selfsupervised.encoders.base import EncoderNetwork
from ppgssl.selfsupervised.health import Health, check_health
from ppgssl.selfsupervised.objectives.base import Draws, Objective

# More segments would not make the loss curve more certain, as they come from the same patients.
MAX_SEGMENTS = 2048
# Any fixed number: every evaluation of every encoder hides the same samples of a segment.
_SEED = 0


@dataclass(frozen=True)
class Evaluation:
    """Validation of one set of weights: the objective's mean loss, and what its ``score_name`` names, where it has one.

    ``health`` is that of the embeddings of the whole segments.
    """

    loss: float
    score: float | None
    health: Health


def spread_out(index: Tensor, n: int) -> Tensor:
    """At most n of the segment numbers (or pairs of them), evenly spaced."""
    if len(index) <= n:
        return index
    return index[torch.linspace(0, len(index) - 1, n, dtype=torch.float64).round().to(torch.int64)]


def validation_batches(
    objective: Objective, bank: SegmentBank, index: Tensor, *, batch_size: int
) -> Iterator[tuple[Tensor, Draws]]:
    """Held-out batches and their randomness, the same at every evaluation."""
    generator = torch.Generator(bank.device).manual_seed(_SEED)
    for part in spread_out(index, MAX_SEGMENTS).split(batch_size):
        yield bank.gather(part), objective.draw(len(part), bank.length, generator)


@torch.inference_mode()
def evaluate(objective: Objective, bank: SegmentBank, index: Tensor, *, batch_size: int) -> Evaluation:
    """Evaluate an objective on held-out segments; the weights and all generators stay as they were.

    The objective is on the device of the bank. Of the segments, shape (n,), or pairs, shape (n, 2), at most
    ``MAX_SEGMENTS``, evenly spaced, are used.
    """
    was_training = objective.training
    objective.eval()
    total: Tensor | None = None
    embeddings = []
    for batch, draws in validation_batches(objective, bank, index, batch_size=batch_size):
        tally = objective.tally(batch, draws)
        total = tally if total is None else total + tally
        segments = batch.reshape(-1, bank.n_channels, bank.length)
        embeddings.append(objective.encoder.embed_moments(segments).cpu().numpy())
    objective.train(was_training)
    assert total is not None  # training refuses an empty validation set
    loss, score = objective.evaluation(total)
    return Evaluation(loss, score, check_health(np.concatenate(embeddings), _depth_dims(objective.encoder)))


def _depth_dims(encoder: EncoderNetwork) -> tuple[int, ...]:
    """Dimensions of the embedding that each depth gives: mean and SD of its maps; none where one depth gives all."""
    return tuple(2 * n for n in encoder.depth_dims) if encoder.representation != "last" else ()
