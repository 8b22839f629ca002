"""The training loss as a module of its own, compiled where that is asked for and works."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ppgssl.selfsupervised.objectives.base import Draws, Objective


class TrainingLoss(nn.Module):
    """What a step calls, and what processes and the compiler take hold of: the loss of an objective, not copied."""

    def __init__(self, objective: Objective) -> None:
        super().__init__()
        self.objective = objective
        self._loss: Callable[[Tensor, Draws], Tensor] = objective.loss

    def forward(self, batch: Tensor, draws: Draws) -> Tensor:
        return self._loss(batch, draws)

    def compile_or_explain(self, batch: Tensor, draws: Draws) -> str:
        """Compile the loss, trying it forwards and backwards on a batch; if that fails, all stays as it was.

        The compiler needs a C++ compiler on a CPU and Triton on a GPU, and does not know every operation; which of its
        many parts then fails, and how, differs by version. Whatever is wrong with the loss itself comes up again in the
        first step. Returned is why the loss is not compiled; an empty string if it is.
        """
        before = copy.deepcopy(self.objective.state_dict())
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the compiler's, of its own parts
                self._loss = torch.compile(self.objective.loss)
                self._loss(batch, draws).backward()
        except Exception as error:
            self._loss = self.objective.loss
            torch._dynamo.reset()
            reason = str(error).strip().split("\n")[0][:200]
            return f"not compiled, and so slower ({type(error).__name__}: {reason})"
        finally:
            self.objective.load_state_dict(before)  # statistics that some layers gather
            self.objective.zero_grad(set_to_none=True)
        return ""
