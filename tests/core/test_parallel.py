from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from ppgssl.core.errors import ConfigError
from ppgssl.core.parallel import Died, threads_of, workers


def double(number):
    return 2 * number


def process_of(_):
    return os.getpid()


def double_or_die(number):
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * number


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_results_come_in_the_order_of_the_tasks(n_jobs):
    with workers(n_jobs) as pool:
        assert list(pool.run(double, list(range(40)))) == [2 * number for number in range(40)]


def test_one_job_works_in_this_process_and_two_do_not():
    with workers(1) as pool:
        assert set(pool.run(process_of, [1, 2, 3])) == {os.getpid()}
    with workers(2) as pool:
        assert os.getpid() not in set(pool.run(process_of, [1, 2, 3]))


def test_a_task_that_kills_its_process_costs_no_other_task():
    with workers(2) as pool:
        results = list(pool.run_surviving(double_or_die, list(range(6))))
    assert results == [0, 2, 4, Died(), 8, 10]


def test_tasks_run_alone_are_apart_from_each_other():
    with workers(1) as pool:
        assert list(pool.run_alone(double_or_die, [2, 3, 4])) == [4, Died(), 8]


def test_a_cluster_that_cannot_be_used_is_refused(monkeypatch, dask_cluster):
    monkeypatch.setattr("ppgssl.core.cluster._CONNECT_S", 1)
    for scheduler, words in {
        "tcp://127.0.0.1:9": r"--scheduler tcp://127\.0\.0\.1:9: no Dask cluster",
        "nonsense://x": "no Dask cluster",
        dask_cluster: "has no folder /nowhere",
    }.items():
        with pytest.raises(ConfigError, match=words), workers(-1, scheduler=scheduler, reads=[Path("/nowhere")]):
            pass


def test_the_workers_of_a_cluster_do_the_work(dask_cluster):
    with workers(-1, scheduler=dask_cluster) as pool:
        assert pool.n_workers == 2
        assert list(pool.run(double, list(range(40)))) == [2 * number for number in range(40)]
        used = set(pool.run(process_of, list(range(40))))
    assert os.getpid() not in used
    assert 1 <= len(used) <= 2


def test_the_dask_extra_is_asked_for_where_it_is_missing():
    code = (
        "import sys; sys.modules['distributed'] = None\n"
        "from ppgssl.core.parallel import workers\n"
        "from ppgssl.core.errors import ConfigError\n"
        "try:\n"
        "    with workers(1, scheduler='tcp://127.0.0.1:1'): pass\n"
        "except ConfigError as error: print(error)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'ppgssl[dask]'" in run.stdout


@pytest.mark.parametrize(("n_processes", "given", "n_threads"), [(2, "", 4), (2, "1", 1), (2, "6", 4), (16, "", 1)])
def test_processes_times_threads_are_no_more_than_cores_or_than_the_system_allows(
    monkeypatch, n_processes, given, n_threads
):
    monkeypatch.setattr("ppgssl.core.parallel.cpu_count", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert threads_of(n_processes) == n_threads


def threads(_):
    return os.environ["OMP_NUM_THREADS"]


def test_libraries_in_the_processes_have_no_more_threads_than_that(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS")
    with workers(2) as pool:
        assert list(pool.run(threads, [1, 2])) == [str(threads_of(2))] * 2


def test_torch_is_given_its_threads_where_it_is_in_use(monkeypatch):
    given = []
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(set_num_threads=given.append))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with workers(1) as pool:
        list(pool.run(double, [1]))
    assert given == [1]


def shared_sum(number, values, place):
    assert place == values.folder
    return number + float(values.array.sum()), type(values.array).__name__


class Values:
    def __init__(self, folder):
        self.array, self.folder = np.ones(300_000), folder


@pytest.mark.parametrize("is_cluster", [False, True])
def test_large_arrays_that_tasks_share_are_mapped_and_paths_are_absolute(request, tmp_path, monkeypatch, is_cluster):
    monkeypatch.chdir(tmp_path)
    scheduler = request.getfixturevalue("dask_cluster") if is_cluster else None
    with workers(2, scheduler=scheduler, folder=tmp_path) as pool:
        results = list(pool.run(shared_sum, [1, 2], Values(tmp_path / "here"), Path("here").absolute()))
    assert results == [(300_001.0, "memmap"), (300_002.0, "memmap")]
    assert list(tmp_path.iterdir()) == []
    with workers(1, folder=tmp_path) as pool:
        assert list(pool.run(shared_sum, [1], Values(Path("here")), Path("here"))) == [(300_001.0, "ndarray")]


def test_progress_counts_the_tasks_that_are_done():
    seen = []
    with workers(1) as pool:
        list(pool.run(double, [5, 6], progress=lambda *how: seen.append(how), label=str))
    assert seen == [(1, 2, "5"), (2, 2, "6")]


def count_to(number, offset, report):
    for done in range(1, number + 1):
        report(done, number, f"{number}")
    return number + offset


@pytest.mark.parametrize("place", ["here", "processes", "cluster"])
def test_tasks_report_their_steps(request, tmp_path, place):
    scheduler = request.getfixturevalue("dask_cluster") if place == "cluster" else None
    seen = []
    with workers(1 if place == "here" else 2, scheduler=scheduler, folder=tmp_path) as pool:
        results = pool.run_in_steps(count_to, [3, 4], 10, n_steps=7, progress=lambda *how: seen.append(how))
    assert results == [13, 14]
    assert seen[-1][:2] == (7, 7)
    assert all(total == 7 for _, total, _ in seen)
    assert [done for done, *_ in seen] == sorted(done for done, *_ in seen)


def saves_when_stopped(number, folder, report):
    try:
        for done in range(600):
            report(done, 600, str(number))
            time.sleep(0.05)
    except KeyboardInterrupt:
        (folder / f"saved{number}").touch()
        raise


@pytest.mark.parametrize("place", ["processes", "cluster"])
def test_ctrl_c_lets_tasks_save_what_they_have(request, tmp_path, place):
    scheduler = request.getfixturevalue("dask_cluster") if place == "cluster" else None

    started = set()

    def press(_done, _total, task):
        if len(started) < 2:
            started.add(task)
            if len(started) == 2:
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), workers(2, scheduler=scheduler, folder=tmp_path) as pool:
        pool.run_in_steps(saves_when_stopped, [1, 2], tmp_path, n_steps=1200, progress=press)
    assert {path.name for path in tmp_path.iterdir()} == {"saved1", "saved2"}


def double_with_workers(numbers, out):
    with workers(2) as pool:
        out.send(list(pool.run(double, numbers)))


def test_a_child_of_multiprocessing_that_used_workers_ends_at_once():
    receiver, sender = get_context("spawn").Pipe(duplex=False)
    child = get_context("spawn").Process(target=double_with_workers, args=([1, 2, 3], sender))
    child.start()
    assert receiver.recv() == [2, 4, 6]
    child.join(20)  # idle processes would end after 300 s
    assert child.exitcode == 0


def children():
    return {process.pid for process in psutil.Process().children(recursive=True) if "loky" in str(process.cmdline())}


def test_no_process_is_left_behind():
    before = children()
    with workers(2) as pool:
        results = pool.run(process_of, [1, 2, 3])
        next(results)
        assert children() - before
    assert not [process for process in children() - before if "resource_tracker" not in str(process)]
