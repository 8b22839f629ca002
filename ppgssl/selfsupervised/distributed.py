"""Several processes that train one network: who they are, how they share a batch, and how they agree."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from torch import Tensor

from ppgssl.core.errors import ConfigError

Result = TypeVar("Result")


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Team:
    """The processes that train one network: on each of ``nodes`` machines so many as ``devices``.

    Each has a GPU of its own or, where there are no GPUs, works on the CPU. ``is_stopped`` returns whether somebody has
    asked the team to save and stop.
    """

    devices: int = 1
    nodes: int = 1
    is_stopped: Callable[[], bool] = _never

    @property
    def size(self) -> int:
        return self.devices * self.nodes

    def check(self, batch_size: int, accumulate: int) -> None:
        """Raise a ``ConfigError`` if the team cannot be, or cannot share the batch equally."""
        if self.devices < 1 or self.nodes < 1:
            raise ConfigError(
                f"--devices {self.devices} --nodes {self.nodes}: there must be at least one device on at least one node"
            )
        if torch.cuda.is_available() and self.devices > torch.cuda.device_count():
            raise ConfigError(f"--devices {self.devices}: there are {torch.cuda.device_count()} GPUs on this machine")
        if batch_size % (self.size * accumulate):
            raise ConfigError(
                f"`pretraining.batch_size` {batch_size} cannot be shared equally by {self.size} processes (--devices "
                f"{self.devices} --nodes {self.nodes}) in {accumulate} parts each (`pretraining.accumulate`): choose a "
                f"multiple of {self.size * accumulate}"
            )
        n_cores = max(2, os.cpu_count() or 1)  # two are let through everywhere, to try it out
        if not torch.cuda.is_available() and self.devices > n_cores:
            raise ConfigError(
                f"--devices {self.devices}: without a GPU each is a process of its own, and this machine has {n_cores} "
                "cores. Leave --devices out: encoders are then trained side by side (--jobs), which is faster"
            )
        self._check_started(os.environ)

    def _check_started(self, environ: Mapping[str, str]) -> None:
        n_started = n_processes_started(environ)
        if n_started not in (None, self.size):
            raise ConfigError(
                f"{n_started} processes were started (by torchrun or srun), and --devices {self.devices} --nodes "
                f"{self.nodes} make {self.size}: give the numbers that they were started with"
            )
        if n_started is None and self.nodes > 1:
            raise ConfigError(
                f"--nodes {self.nodes}: start the command on every node, with torchrun or srun. For example:\n"
                f"  torchrun --nnodes {self.nodes} --nproc-per-node {self.devices} --rdzv-backend c10d "
                "--rdzv-endpoint FIRST_NODE:29500 \\\n"
                f"    --no-python ppgssl pretrain STUDY.yaml --devices {self.devices} --nodes {self.nodes}"
            )


ALONE = Team()


def n_processes_started(environ: Mapping[str, str]) -> int | None:
    """How many processes torchrun, srun or this package started as a team; None where this process is on its own."""
    if "LOCAL_RANK" in environ:
        return int(environ.get("WORLD_SIZE", 1))
    return int(environ["SLURM_STEP_NUM_TASKS"]) if _is_of_srun(environ) else None


def is_first_process(environ: Mapping[str, str] | None = None) -> bool:
    """Whether this is the process that writes files and talks to people."""
    environ = os.environ if environ is None else environ
    if "LOCAL_RANK" in environ:
        return int(environ.get("RANK", environ["LOCAL_RANK"])) == 0
    return not _is_of_srun(environ) or int(environ["SLURM_PROCID"]) == 0


def cluster_environment(environ: Mapping[str, str] | None = None) -> ClusterEnvironment:
    """Where Fabric finds the other processes; left to itself it would take any process within a SLURM job for one of a
    team.

    A ``ConfigError`` is raised if SLURM was asked for processes in a way that leaves open how many each node has.
    """
    environ = os.environ if environ is None else environ
    if "LOCAL_RANK" in environ or not _is_of_srun(environ):
        return LightningEnvironment()
    try:
        return SLURMEnvironment()
    except RuntimeError as error:
        raise ConfigError(f"the SLURM job cannot be used to train on several devices: {error}") from None


def _is_of_srun(environ: Mapping[str, str]) -> bool:
    return int(environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1 and "SLURM_PROCID" in environ


def part_of(values: Tensor, number: int, n_parts: int) -> Tensor:
    """The rows of one of so many equal parts."""
    size = len(values) // n_parts
    return values[number * size : (number + 1) * size]


def mean_over(fabric: Fabric, values: Tensor) -> Tensor:
    """Mean over the processes of each value."""
    if fabric.world_size == 1:
        return values
    mean = fabric.all_reduce(values, reduce_op="mean")
    assert isinstance(mean, Tensor)
    return mean


def gather_samples(x: Tensor) -> Tensor:
    """Samples of all processes, in order of rank, shape (n_processes * n, ...), of each one's samples (n, ...).

    Where there is one process, these are its own. Otherwise every process has to call this, with equally many samples.

    If each process computes the loss of the whole batch from what it is given here, and gradients of parameters are
    then averaged over processes (as DistributedDataParallel does), the average is the gradient that one process would
    have found for the whole batch: the gradient of a process's samples is summed over all copies of the loss, so it is
    ``n_processes`` times too large, and it reaches the parameters of one process alone, so its average over processes
    is right again.
    """
    if (
        not (torch.distributed.is_available() and torch.distributed.is_initialized())
        or torch.distributed.get_world_size() == 1
    ):
        return x
    # A compiler that moved or left out the exchange in one process would keep all others waiting.
    gathered: Tensor = torch.compiler.disable(_GatherSamples.apply)(x)
    return gathered


class _GatherSamples(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ARG004 - torch passes it
        own = x.contiguous()
        parts = [torch.empty_like(own) for _ in range(torch.distributed.get_world_size())]
        torch.distributed.all_gather(parts, own)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ARG004 - torch passes it
        total = gradient.contiguous().clone()
        torch.distributed.all_reduce(total)
        return total.chunk(torch.distributed.get_world_size())[torch.distributed.get_rank()]


def any_of(fabric: Fabric, is_so: bool) -> bool:
    """Whether it is so in any of the processes."""
    if fabric.world_size == 1:
        return is_so
    return bool(mean_over(fabric, torch.tensor(float(is_so), device=fabric.device)) > 0)


def first_does(fabric: Fabric, action: Callable[[], Result]) -> Result:
    """The first process acts; all get its result, or all raise its error, so that none waits for another in vain."""
    if fabric.world_size == 1:
        return action()
    result: Result | None = None
    error: BaseException | None = None
    if fabric.global_rank == 0:
        try:
            result = action()
        except (Exception, KeyboardInterrupt) as caught:
            error = caught
    result, error = fabric.broadcast((result, error))
    if error is not None:
        raise error
    return result  # type: ignore[return-value]
