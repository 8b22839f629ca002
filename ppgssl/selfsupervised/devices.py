"""Where training runs, and in which precision."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from lightning_fabric import Fabric

Precision = Literal["bf16-mixed", "32-true"]


def choose_precision(*, is_cuda: bool) -> Precision:
    """bfloat16 where a GPU multiplies it many times faster; elsewhere float32, which is exact to resume."""
    return "bf16-mixed" if is_cuda else "32-true"


def make_fabric() -> Fabric:
    """One device, the fastest there is."""
    with quiet():
        fabric = Fabric(accelerator="auto", devices=1, precision=choose_precision(is_cuda=torch.cuda.is_available()))
        fabric.launch()
    return fabric


def device_name(device: torch.device) -> str:
    """For people: ``CPU``, or the GPU's name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper()


@contextmanager
def quiet() -> Iterator[None]:
    """Fabric's advice on clusters, data loaders and tensor cores concerns none of our users."""
    logger = logging.getLogger("lightning.fabric")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
