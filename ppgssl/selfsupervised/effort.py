"""Time and energy that a run takes, over all its sittings, and how far it has come."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from ppgssl.selfsupervised.energy import Energy, EnergyMeter, add_energy


@dataclass(frozen=True)
class Effort:
    """What a run has taken so far; ``energy`` is unknown as soon as that of one sitting is."""

    seconds: float = 0.0
    energy: Energy = field(default_factory=lambda: Energy(0.0, 0.0, ""))


class Sitting:
    """A stretch of a run without interruption, which begins when this is made.

    Parameters
    ----------
    before : Effort
        Of the sittings before.
    step : int
        Steps that are done already.
    gpus : sequence of torch.device
        Whose energy is counted beside that of the processor.
    """

    def __init__(self, before: Effort, step: int, gpus: Sequence[torch.device]) -> None:
        self._before, self._first_step, self._meter = before, step, EnergyMeter(gpus)
        self._started = time.perf_counter()

    def update(self) -> None:
        """To be called every few minutes, or a counter of energy might go round unnoticed."""
        self._meter.update()

    def effort(self) -> Effort:
        """Of this sitting so far, and of those before."""
        energy = add_energy(self._before.energy, self._meter.energy())
        return Effort(self._before.seconds + time.perf_counter() - self._started, energy)

    def seconds_left(self, step: int, n_steps: int) -> float:
        per_step = (time.perf_counter() - self._started) / max(1, step - self._first_step)
        return per_step * (n_steps - step)


@dataclass(frozen=True)
class Standing:
    """How a run stands.

    Attributes
    ----------
    step, n_steps : int
        Steps done, and to do in all.
    train_loss : float
        Mean since the last evaluation.
    validation_loss : float
        At the last evaluation.
    seconds_left : float
    warning : str
        What the last evaluation found wrong with the representation; mostly empty.
    """

    step: int
    n_steps: int
    train_loss: float
    validation_loss: float
    seconds_left: float
    warning: str


Progress = Callable[[Standing], None]
