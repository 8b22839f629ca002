"""The same function over many tasks: in this process, in processes side by side, or on a Dask cluster."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import Any, Protocol, TypeVar

from joblib import Parallel, cpu_count, delayed, effective_n_jobs, parallel_config
from joblib.externals.loky import ProcessPoolExecutor, get_reusable_executor

from ppgssl.core.cluster import connect, workers_per_machine
from ppgssl.core.errors import PpgsslError
from ppgssl.core.interrupts import uninterrupted
from ppgssl.core.tasks import StepsFile, StepsFolder, Stopped, limit_threads, packed, work, write_values

Task = TypeVar("Task")
Result = TypeVar("Result")

# Tasks that are handed out at a time, for each process: results wait for their reader, and so are bounded in number.
_ROUND_TASKS = 8
_WATCH_S = 1.0
_FOLDER = ".workers-"


class Progress(Protocol):
    """How far some work is: steps done, steps to do, and a line about them."""

    def __call__(self, done: int, total: int, text: str = "", /) -> None: ...


def silent(_done: int, _total: int, _text: str = "") -> None:
    """The Progress that nobody sees."""


@dataclass(frozen=True)
class Died:
    """In place of a result: the process that worked on the task was killed, by a library's fault or by the system."""


class Workers:
    """Where tasks are worked on; made by :func:`workers`.

    A task, and the values that all tasks share, are pickled. Paths become absolute on the way. Large arrays of shared
    values are written once into a folder that all processes see, and mapped into their memory.

    ``n_jobs`` are processes, -1 one a core; ``client`` is that of a Dask cluster. Shared values go into ``folder``, by
    default the system's folder for temporary files.
    """

    def __init__(self, n_jobs: int, client: Any = None, folder: Path | None = None) -> None:
        self.n_jobs, self._client, self._folder = n_jobs, client, folder
        self._open: list[Any] = []  # generators, which end their processes when they are closed
        self._has_started = False

    @property
    def n_workers(self) -> int:
        """Tasks that are worked on at once."""
        return int(effective_n_jobs(self.n_jobs)) if self._client is None else max(1, len(self._client.nthreads()))

    def run(
        self,
        function: Callable[..., Result],
        tasks: Sequence[Task],
        *shared: Any,
        progress: Progress = silent,
        label: Callable[[Task], str] | str = "",
    ) -> Generator[Result]:
        """Results of ``function(task, *shared)`` in the order of the tasks, a bounded number of them in memory.

        Work starts when the first result is asked for. A single process, and a single task, are worked on right here.
        ``progress`` is called with tasks done, tasks to do, and the ``label`` of the task that is done. PpgsslError if
        a process is killed, also when it works on its task alone; or if the cluster is lost.
        """
        with closing(self.run_surviving(function, tasks, *shared)) as results:
            for number, (task, result) in enumerate(zip(tasks, results, strict=True), start=1):
                yield _alive(result)
                progress(number, len(tasks), label if isinstance(label, str) else label(task))

    def run_surviving(
        self, function: Callable[..., Result], tasks: Sequence[Task], *shared: Any
    ) -> Generator[Result | Died]:
        """As :meth:`run`; where a task's process is killed, its result is :class:`Died`."""
        if self._is_here(tasks):
            limit_threads(threads_of(1))
            for task in tasks:
                yield function(task, *shared)
            return
        with self._scratch() as folder:
            yield from self._spread(function, tasks, write_values(shared, folder) if shared else None)

    def run_in_steps(
        self,
        function: Callable[..., Result],
        tasks: Sequence[Task],
        *shared: Any,
        n_steps: int,
        progress: Progress = silent,
    ) -> list[Result]:
        """Results of ``function(task, *shared, report)``, whose tasks are long and have steps.

        ``report`` is the Progress of a task. At Ctrl-C, it raises KeyboardInterrupt in each task, which may save what
        it has, and here when all have ended; a second Ctrl-C ends the tasks at once. ``progress`` is called with the
        steps done and to do (``n_steps``) in all tasks together, and the text of the task that reported last.
        PpgsslError as :meth:`run`.
        """
        done: dict[int, int] = {}

        def report(number: int, n_done: int, text: str) -> None:
            done[number] = n_done
            progress(sum(done.values()), n_steps, text)

        if self._is_here(tasks):
            limit_threads(threads_of(1))
            return [function(task, *shared, _numbered(report, number)) for number, task in enumerate(tasks)]
        with self._scratch() as folder:
            steps = StepsFolder(folder / "steps", len(tasks), report)
            with steps.watched():
                values = write_values(shared, folder) if shared else None
                results = [_alive(one) for one in self._spread(function, tasks, values, steps.files)]
            if any(isinstance(one, Stopped) for one in results):
                raise KeyboardInterrupt
            return results

    def run_alone(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Generator[Result | Died]:
        """As :meth:`run_surviving`, one task at a time in another process: if that is killed, it is to blame.

        Always on this machine.
        """
        with closing(_alone([(function, task, None, 1) for task in tasks])) as results:
            self._open.append(results)
            yield from results

    # --- how ---------------------------------------------------------------------------------------------------

    def _is_here(self, tasks: Sequence[Any]) -> bool:
        return self._client is None and (self.n_workers == 1 or len(tasks) < 2)

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        """A folder for what the tasks need, which goes when they are done."""
        if self._client is not None and self._folder is not None:
            # Of a command that was killed: what is still at work for it stops.
            for outdated in self._folder.glob(f"{_FOLDER}*"):
                rmtree(outdated, ignore_errors=True)
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=_FOLDER, dir=self._folder, ignore_cleanup_errors=True) as folder:
            yield Path(folder)

    def _spread(
        self,
        function: Callable[..., Result],
        tasks: Sequence[Task],
        values: Path | None,
        steps: Sequence[StepsFile] | None = None,
    ) -> Generator[Any]:
        """Results from other processes, of a bounded number of tasks at a time."""
        n_workers = min(self.n_workers, len(tasks))
        n_side_by_side = n_workers if self._client is None else workers_per_machine(self._client)
        calls = [
            (function, task, values, n_side_by_side, *([steps[number]] if steps else []))
            for number, task in enumerate(tasks)
        ]
        # Where tasks have steps, all are handed out at once, so that no process waits for the longest of a round.
        size = len(calls) if steps else n_workers * _ROUND_TASKS
        for first in range(0, len(calls), size):
            some = calls[first : first + size]
            work_on = self._on_cluster(some) if self._client is not None else self._in_processes(some, n_workers)
            with closing(work_on) as results:
                self._open = [results]
                yield from results

    def _in_processes(self, calls: Sequence[tuple[Any, ...]], n: int) -> Generator[Any]:
        n_done = 0
        with parallel_config(
            backend="loky", inner_max_num_threads=threads_of(n), initializer=_begin, initargs=(os.getpid(),)
        ):
            parallel = Parallel(n_jobs=n, batch_size=1, return_as="generator")
        results: Any = None
        try:
            with _starting():
                self._has_started = True
                results = parallel(delayed(_work)(*call) for call in calls)
            for result in results:
                yield result
                n_done += 1
        except BrokenProcessPool:
            # It is not known which task it was: they are worked on again, one after the other.
            with closing(_alone(calls[n_done:])) as rest:
                yield from rest
        finally:
            if results is not None:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # joblib's, of work that was done in vain
                    results.close()

    def _on_cluster(self, calls: Sequence[tuple[Any, ...]]) -> Generator[Any]:
        # Not through joblib, whose results of a worker that was killed never come.
        from distributed import CancelledError, KilledWorker
        from distributed.comm.core import CommClosedError

        try:
            futures = self._client.map(_work_packed, [packed(call) for call in calls], pure=False)
            for call, future in zip(calls, futures, strict=True):
                try:
                    yield future.result()
                except KilledWorker:
                    # Several times, and maybe by another task: here it is seen whether this one is the cause.
                    with closing(_alone([call])) as results:
                        yield from results
        except (CancelledError, CommClosedError) as error:
            raise PpgsslError(
                f"--scheduler {self._client.scheduler.address}: the connection to the Dask cluster was lost "
                f"({type(error).__name__}). What was finished is kept; run the same command again to go on."
            ) from None

    def _end(self, *, at_once: bool) -> None:
        """Leave no process behind."""
        with uninterrupted():
            for results in self._open:
                results.close()
            if self._client is not None:
                self._client.close()
            if self._has_started:
                get_reusable_executor(max_workers=1, reuse=True).shutdown(wait=True, kill_workers=at_once)


@contextmanager
def workers(
    n_jobs: int, *, scheduler: str | None = None, folder: Path | None = None, reads: Sequence[Path] = ()
) -> Iterator[Workers]:
    """Processes of this machine, or the workers of a Dask cluster.

    Parameters
    ----------
    n_jobs : int
        Processes; -1 is one a core. A cluster uses all of its workers.
    scheduler : str, optional
        Address of a Dask scheduler, ``tcp://host:port``.
    folder : Path, optional
        Where values that all tasks share are written while they are worked on, and where the tasks put what they make.
        All workers of a cluster must see it under the same path.
    reads : sequence of Path
        Other folders that all workers of a cluster must see.

    Raises
    ------
    ConfigError
        If the cluster cannot be reached or used, see :func:`ppgssl.core.cluster.connect`.
    """
    client = None if scheduler is None else connect(scheduler, folder=folder, reads=reads)
    pool = Workers(n_jobs, client, folder)
    try:
        yield pool
    except BaseException:
        pool._end(at_once=True)
        raise
    pool._end(at_once=False)


def threads_of(n_processes: int) -> int:
    """Threads of each of so many processes: cores divided equally, and no more than ``OMP_NUM_THREADS``."""
    most = os.environ.get("OMP_NUM_THREADS", "")
    n_threads = max(1, int(cpu_count()) // n_processes)
    return min(n_threads, int(most)) if most.isdigit() and int(most) else n_threads


def _numbered(report: Callable[[int, int, str], None], number: int) -> Progress:
    def of_task(done: int, _total: int, text: str = "") -> None:
        report(number, done, text)

    return of_task


def _alive(result: Result | Died) -> Result:
    if isinstance(result, Died):
        raise PpgsslError(
            "a process was killed, by the system for want of memory or by a fault of a library. Use fewer --jobs. What "
            "was finished is kept; run the same command again to go on."
        )
    return result


@contextmanager
def _starting() -> Iterator[None]:
    """Processes that are started in the block inherit that Ctrl-C does not reach them, however young they are."""
    resource_tracker.ensure_running()  # in the block, its start would let Ctrl-C through again
    with uninterrupted():
        yield


# --- in the processes ------------------------------------------------------------------------------------------


def _alone(calls: Sequence[tuple[Any, ...]]) -> Generator[Any]:
    executor: Any = None
    try:
        for call in calls:
            try:
                with _starting():
                    executor = executor or ProcessPoolExecutor(1, initializer=_begin, initargs=(os.getpid(),))
                    future = executor.submit(_work, *call)
                yield future.result()
            except BrokenProcessPool:
                executor.shutdown(kill_workers=True)
                executor = None
                yield Died()
    finally:
        if executor:
            executor.shutdown(kill_workers=True)


def _work(
    function: Callable[..., Any], task: Any, values: Path | None, n_side_by_side: int, steps: StepsFile | None = None
) -> Any:
    return work(function, task, values, threads_of(n_side_by_side), steps)


def _work_packed(call: bytes) -> Any:
    return _work(*pickle.loads(call))


def _begin(main: int) -> None:
    """Leave Ctrl-C to the ``main`` process, and end when it has: killed, it could not see to it, and memory stayed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == main:
            time.sleep(_WATCH_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
