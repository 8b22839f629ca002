"""Work of processes that end in other ways than they should; imports nothing heavy, since each process does."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from ppgssl.core.errors import TrainingError


def misbehave(report: Callable[..., None], is_stopped: Callable[[], bool], how: str) -> None:
    rank = int(os.environ["RANK"])
    if rank == 1 and how == "raise":
        raise TrainingError("no more")
    if rank == 1 and how == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    report(rank)
    while not is_stopped():
        time.sleep(0.01)
    if how == "stop":
        raise KeyboardInterrupt
