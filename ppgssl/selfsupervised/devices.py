"""Where training runs, in which precision, and what that machine is."""

from __future__ import annotations

import logging
import os
import platform
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import torch
from lightning_fabric import Fabric

from ppgssl.core.provenance import peak_memory_mb
from ppgssl.selfsupervised.distributed import ALONE, Team, cluster_environment

Precision = Literal["bf16-mixed", "32-true"]


def choose_precision(wanted: str = "auto", *, is_cuda: bool, pays_on_cpu: bool = False) -> Precision:
    """As wanted (``auto``, ``bf16-mixed`` or ``32-true``), or: bfloat16 where it is much faster, elsewhere float32.

    GPUs multiply bfloat16 many times faster; on a processor that multiplies it, only a network for which
    ``pays_on_cpu`` is true gains.
    """
    if wanted == "auto":
        return "bf16-mixed" if is_cuda or (pays_on_cpu and cpu_multiplies_bf16()) else "32-true"
    return "bf16-mixed" if wanted == "bf16-mixed" else "32-true"


def cpu_multiplies_bf16() -> bool:
    """Whether the processor has instructions for products of bfloat16 (avx512_bf16, amx_bf16 and the like)."""
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # absent from old torch
    return any(has for name, has in capabilities.items() if "bf16" in name)


def make_fabric(precision: Precision = "32-true", team: Team = ALONE) -> Fabric:
    """The fastest device there is; in a team, one for each process, which waits here until all have come."""
    with quiet():
        fabric = Fabric(
            accelerator="auto",
            devices=team.devices,
            num_nodes=team.nodes,
            strategy="ddp" if team.size > 1 else "auto",
            plugins=[cluster_environment()],
            precision=precision,
        )
        fabric.launch()
    return fabric


def device_name(device: torch.device) -> str:
    """For people: ``CPU``, or the GPU's name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper()


def describe_hardware(device: torch.device, precision: Precision, team: Team = ALONE) -> dict[str, Any]:
    """What a run was trained on, for the record: processor, threads of a process, memory, GPU, team."""
    return {
        "cpu": cpu_name(),
        "n_cores": os.cpu_count(),
        "n_threads": torch.get_num_threads(),
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1),
        "gpu": device_name(device) if device.type == "cuda" else None,
        **_gpu_memory(device),
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "precision": precision,
        "devices": team.devices,
        "nodes": team.nodes,
    }


def cpu_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name where the system reports it, or its architecture."""
    with suppress(OSError):
        found = re.search(r"^model name\s*:\s*(\S.*)$", cpuinfo.read_text(), re.MULTILINE)
        if found:
            return found[1]
    return platform.processor() or platform.machine()


def _gpu_memory(device: torch.device) -> dict[str, float | None]:
    """What the GPU has, and the most that tensors of this process took so far."""
    if device.type != "cuda":
        return {"gpu_memory_gb": None, "peak_gpu_memory_mb": None}
    has, peak = torch.cuda.get_device_properties(device).total_memory, torch.cuda.max_memory_allocated(device)
    return {"gpu_memory_gb": round(has / 1e9, 1), "peak_gpu_memory_mb": round(peak / 1e6, 1)}


@contextmanager
def quiet(*names: str) -> Iterator[None]:
    """Without warnings; Fabric's advice on clusters, data loaders and tensor cores concerns none of our users."""
    loggers = [logging.getLogger(name) for name in names or ("lightning.fabric", "lightning_fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
