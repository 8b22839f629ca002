"""How many processes train or embed at once, and how many threads each of them has."""

from __future__ import annotations

import os

import torch


def worker_count(n_to_do: int, n_jobs: int) -> tuple[int, int]:
    """Processes, and threads of each: encoders side by side use cores better than one encoder on all cores."""
    n_cores = os.cpu_count() or 1
    wanted = n_cores if n_jobs < 0 else n_jobs
    n_workers = 1 if torch.cuda.is_available() else max(1, min(wanted, n_to_do))
    return n_workers, threads_of(n_workers)


def threads_of(n_processes: int) -> int:
    """Threads of each of so many processes: an equal share of the cores, and no more than ``OMP_NUM_THREADS`` says."""
    most = os.environ.get("OMP_NUM_THREADS", "")
    share = max(1, (os.cpu_count() or 1) // n_processes)
    return min(share, int(most)) if most.isdigit() and int(most) else share
