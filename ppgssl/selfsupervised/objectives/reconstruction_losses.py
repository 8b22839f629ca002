"""How far a reconstruction is from the segment, over the samples that count."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor


def mse(output: Tensor, target: Tensor, judged: Tensor) -> Tensor:
    """Mean squared error over the samples where ``judged`` is True."""
    return ((output - target).square() * judged).sum() / judged.sum().clamp(min=1)


# Each takes (output, target, judged) of shape (batch, n_channels, length) and gives a scalar.
RECONSTRUCTION_LOSSES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {"mse": mse}
