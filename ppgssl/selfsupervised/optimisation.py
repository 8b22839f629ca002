"""The optimizer, and its learning rate as a function of the step alone."""

from __future__ import annotations

import math

import torch
from torch import nn

from ppgssl.core.config.pretraining import Pretraining

# Values of the masked autoencoder of He et al. 2022, appendix A.
_BETAS = (0.9, 0.95)
_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Linear)


def learning_rate(step: int, n_steps: int, settings: Pretraining) -> float:
    """Linear warm-up, then half a cosine down to 0; ``step`` of ``n_steps`` counts from 0."""
    n_warmup = round(settings.warmup_fraction * n_steps)
    if step < n_warmup:
        return settings.learning_rate * (step + 1) / n_warmup
    progress = (step - n_warmup) / max(1, n_steps - n_warmup)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def make_optimizer(module: nn.Module, settings: Pretraining) -> torch.optim.AdamW:
    """AdamW; gains, offsets, biases and whatever else is learned are not drawn to 0, the weights of layers are."""
    layers = [part for part in module.modules() if isinstance(part, _LAYERS)]
    of_layers = {id(layer.weight) for layer in layers}
    weights = [parameter for parameter in module.parameters() if id(parameter) in of_layers]
    others = [parameter for parameter in module.parameters() if id(parameter) not in of_layers]
    groups = [{"params": weights, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=_BETAS, fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The rate of the next step."""
    for group in optimizer.param_groups:
        group["lr"] = rate
