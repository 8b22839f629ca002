"""Which segments a step sees: random permutations, one after another, without gaps between epochs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class EpochSampler:
    """Batches of segment numbers; every segment comes once an epoch, in an order that the seed decides.

    A batch may span the end of an epoch, so all batches are of one size even where there are fewer segments than that.
    """

    def __init__(self, index: Tensor, batch_size: int, *, seed: int) -> None:
        self.index, self.batch_size = index, batch_size
        self.generator = torch.Generator().manual_seed(seed)
        self.queue = torch.empty(0, dtype=torch.int64)

    def draw(self) -> Tensor:
        """Numbers of the next batch, shape (batch_size,)."""
        while len(self.queue) < self.batch_size:
            order = torch.randperm(len(self.index), generator=self.generator)
            self.queue = torch.cat([self.queue, self.index[order]])
        batch, self.queue = self.queue[: self.batch_size], self.queue[self.batch_size :]
        return batch

    def state_dict(self) -> dict[str, Any]:
        return {"queue": self.queue.clone(), "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.queue = state["queue"]
        self.generator.set_state(state["generator"])
