"""The samples of all processes together, for losses that compare the samples of a batch with each other."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed


def gather_samples(x: Tensor) -> Tensor:
    """Samples of all processes, in order of rank, shape (n_processes * n, ...), of each one's samples (n, ...).

    Where there is one process, these are its own. Otherwise every process has to call this, with equally many samples.

    If each process computes the loss of the whole batch from what it is given here, and gradients of parameters are
    then averaged over processes (as DistributedDataParallel does), the average is the gradient that one process would
    have found for the whole batch: the gradient of a process's samples is summed over all copies of the loss, so it is
    ``n_processes`` times too large, and it reaches the parameters of one process alone, so its average over processes
    is right again.
    """
    if not (distributed.is_available() and distributed.is_initialized()) or distributed.get_world_size() == 1:
        return x
    # A compiler that moved or left out the exchange in one process would keep all others waiting.
    gathered: Tensor = torch.compiler.disable(_GatherSamples.apply)(x)
    return gathered


class _GatherSamples(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ARG004 - torch passes it
        own = x.contiguous()
        parts = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, own)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ARG004 - torch passes it
        total = gradient.contiguous().clone()
        distributed.all_reduce(total)
        return total.chunk(distributed.get_world_size())[distributed.get_rank()]
