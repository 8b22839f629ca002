"""The same function over many tasks: in this process, in processes side by side, or on a Dask cluster."""

from __future__ import annotations

import logging
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

from joblib import Parallel, delayed, effective_n_jobs, parallel_config

from ppgssl.core.errors import ConfigError, PpgsslError

Task = TypeVar("Task")
Result = TypeVar("Result")

# Tasks that are handed out at a time, for each process: results wait for their reader, and so are bounded in number.
_ROUND_TASKS = 8
_CONNECT_S = 20
_WATCH_S = 1.0


@dataclass(frozen=True)
class Died:
    """In place of a result: the process that worked on the task was killed, by a library's fault or by the system."""


@dataclass(frozen=True)
class Workers:
    """Where tasks are worked on; made by :func:`workers`."""

    n_jobs: int
    client: Any = None  # of a Dask cluster

    @property
    def n_workers(self) -> int:
        return (
            int(effective_n_jobs(self.n_jobs)) if self.client is None else max(1, sum(self.client.nthreads().values()))
        )

    def run(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result | Died]:
        """Results in the order of the tasks, a bounded number of them in memory.

        Work starts when the first result is asked for. A single process, and a single task, are worked on right here.
        """
        n_workers = self.n_workers
        if self.client is None and (n_workers == 1 or len(tasks) < 2):
            yield from map(function, tasks)
            return
        work = self._round_here if self.client is None else self._round_on_cluster
        for first in range(0, len(tasks), n_workers * _ROUND_TASKS):
            yield from work(function, tasks[first : first + n_workers * _ROUND_TASKS])

    def run_alone(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result | Died]:
        """As :meth:`run`, one task at a time in a process beside this one: if that is killed, the task is to blame."""
        executor = None
        try:
            for task in tasks:
                executor = executor or _one_process()
                try:
                    yield executor.submit(function, task).result()
                except BrokenProcessPool:
                    executor.shutdown()
                    executor = None
                    yield Died()
        finally:
            if executor:
                executor.shutdown()

    def _round_here(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result | Died]:
        n_done = 0
        try:
            with warnings.catch_warnings():
                # After Ctrl-C joblib would talk of work that was done in vain.
                warnings.filterwarnings("ignore", module="joblib")
                run = Parallel(n_jobs=self.n_jobs, batch_size=1, return_as="generator")
                for result in run(delayed(function)(task) for task in tasks):
                    yield result
                    n_done += 1
        except BrokenProcessPool:
            # Nobody says which task it was: they are worked on again, one after the other.
            yield from self.run_alone(function, tasks[n_done:])

    def _round_on_cluster(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result | Died]:
        # Past joblib, whose results of a worker that was killed never come.
        from distributed import CancelledError, KilledWorker

        try:
            for task, future in zip(tasks, self.client.map(function, tasks, pure=False), strict=True):
                try:
                    yield future.result()
                except KilledWorker:
                    # Several times, and maybe for the sake of another task: here it is seen whether it is to blame.
                    yield from self.run_alone(function, [task])
        except (CancelledError, OSError) as error:
            raise PpgsslError(
                f"--scheduler {self.client.scheduler.address}: the connection to the Dask cluster was lost "
                f"({type(error).__name__}). What was finished is kept; run the same command again to go on."
            ) from None


@contextmanager
def workers(n_jobs: int, *, scheduler: str | None = None, shared_folder: Path | None = None) -> Iterator[Workers]:
    """Processes of this machine, or the workers of a Dask cluster.

    Parameters
    ----------
    n_jobs : int
        Processes; -1 is one a core, or all workers of the cluster.
    scheduler : str, optional
        Address of a Dask scheduler, ``tcp://host:port``.
    shared_folder : Path, optional
        A folder that all workers of a cluster must see under the same path.

    Raises
    ------
    ConfigError
        If the cluster cannot be reached, has no workers, or a worker has another version of ppgssl or does not see the
        folder.
    """
    if scheduler is None:
        with parallel_config(backend="loky", initializer=_end_with, initargs=(os.getpid(),)):
            yield Workers(n_jobs)
        return
    client = _connect(scheduler)
    try:
        _check_workers(client, scheduler, shared_folder)
        yield Workers(n_jobs, client)
    finally:
        client.close()


def _connect(scheduler: str) -> Any:
    try:
        from distributed import Client
        from distributed.comm.addressing import get_address_host_port
    except ImportError:
        raise ConfigError("--scheduler needs the package `distributed`: pip install 'ppgssl[dask]'") from None
    # What it says of workers and connections that it lost is dealt with here.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    try:
        get_address_host_port(scheduler, strict=True)  # of a wrong one, Client would talk at the end of the process too
        client = Client(scheduler, timeout=_CONNECT_S, set_as_default=False)
        client.wait_for_workers(1, timeout=_CONNECT_S)
    except (OSError, TimeoutError, ValueError) as error:
        raise ConfigError(
            f"--scheduler {scheduler}: no Dask cluster with workers answers there ({type(error).__name__}). Start one, "
            "for example: dask scheduler, and on each machine: dask worker tcp://HOST:8786"
        ) from None
    return client


def _check_workers(client: Any, scheduler: str, shared_folder: Path | None) -> None:
    versions = client.run(_own_version)
    others = {name: found for name, found in versions.items() if found != _own_version()}
    if others:
        name, found = next(iter(others.items()))
        raise ConfigError(
            f"--scheduler {scheduler}: worker {name} has ppgssl {found}, and here it is {_own_version()}. "
            "Install the same version on all machines."
        )
    if shared_folder is not None:
        sees = client.run(os.path.isdir, str(shared_folder))
        blind = [name for name, found in sees.items() if not found]
        if blind:
            raise ConfigError(
                f"--scheduler {scheduler}: worker {blind[0]} has no folder {shared_folder}. All workers must see the "
                "raw files under the same path, for example on a network drive."
            )


def _own_version() -> str:
    return version("ppgssl")


def _end_with(main: int) -> None:
    """Let this process end when its ``main`` one has: killed, that one could not see to it, and the memory stayed."""

    def watch() -> None:
        while os.getppid() == main:
            time.sleep(_WATCH_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _one_process() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_end_with, initargs=(os.getpid(),))
