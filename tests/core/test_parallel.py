from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ppgssl.core.errors import ConfigError
from ppgssl.core.parallel import Died, workers


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
    with workers(n_jobs) as crew:
        assert list(crew.run(double, list(range(40)))) == [2 * number for number in range(40)]


def test_one_job_works_in_this_process_and_two_do_not():
    with workers(1) as crew:
        assert set(crew.run(process_of, [1, 2, 3])) == {os.getpid()}
    with workers(2) as crew:
        assert os.getpid() not in set(crew.run(process_of, [1, 2, 3]))


def test_a_task_that_kills_its_process_costs_no_other_task():
    with workers(2) as crew:
        results = list(crew.run(double_or_die, list(range(6))))
    assert results == [0, 2, 4, Died(), 8, 10]


def test_tasks_run_alone_are_apart_from_each_other():
    with workers(1) as crew:
        assert list(crew.run_alone(double_or_die, [2, 3, 4])) == [4, Died(), 8]


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.setattr("ppgssl.core.parallel._CONNECT_S", 1)
    with (
        pytest.raises(ConfigError, match=r"--scheduler tcp://127\.0\.0\.1:9: no Dask cluster"),
        workers(-1, scheduler="tcp://127.0.0.1:9"),
    ):
        pass


def test_a_scheduler_without_an_address_is_refused():
    with pytest.raises(ConfigError, match="no Dask cluster"), workers(-1, scheduler="nonsense://x"):
        pass


def test_a_cluster_that_does_not_see_the_folder_is_refused(dask_cluster):
    with (
        pytest.raises(ConfigError, match="has no folder /nowhere"),
        workers(-1, scheduler=dask_cluster, shared_folder=Path("/nowhere")),
    ):
        pass


def test_the_workers_of_a_cluster_do_the_work(dask_cluster):
    with workers(-1, scheduler=dask_cluster) as crew:
        assert crew.n_workers == 2
        assert list(crew.run(double, list(range(40)))) == [2 * number for number in range(40)]
        used = set(crew.run(process_of, list(range(40))))
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
