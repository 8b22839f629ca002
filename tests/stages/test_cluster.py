"""A study on a Dask cluster: the encoders and predictions of one process, whatever happens to a worker."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from distributed import Client, KilledWorker
from distributed.client import FutureCancelledError
from distributed.comm import CommClosedError
from safetensors.numpy import load_file

from ppgssl.core.errors import ConfigError, PpgsslError
from ppgssl.core.parallel import Workers
from ppgssl.selfsupervised.distributed import Team
from ppgssl.stages.evaluate.evaluate import evaluate
from ppgssl.stages.pretrain import pretrain

STUDY = {"arms": ["covariates", "ssl-labelled"], "validation__n_optimism": 11}  # refits in two tasks


def assert_same_encoders(jobs, others):
    for job, other in zip(jobs, others, strict=True):
        ours, theirs = (load_file(one.folder / "encoder.safetensors") for one in (job, other))
        for name, values in ours.items():
            np.testing.assert_allclose(values, theirs[name], atol=1e-4)


def flat(optimism):
    return pd.json_normalize(optimism.model_dump()).select_dtypes("number").iloc[0].to_dict()


@pytest.fixture(scope="module")
def alone(tiny_study, tmp_path_factory):
    """Encoders and results of this process, and their folder."""
    out = tmp_path_factory.mktemp("alone")
    data = tiny_study.data(**STUDY)
    return pretrain(data, out, n_jobs=1), evaluate(data, out, n_jobs=1), out


def test_a_cluster_gives_what_one_process_gives(alone, tiny_study, tmp_path, dask_cluster, monkeypatch):
    jobs, results, folder = alone
    monkeypatch.chdir(tmp_path)
    data, out = tiny_study.data(**STUDY), tmp_path / "out"
    steps = []
    on_cluster = pretrain(data, out, scheduler=dask_cluster, progress=lambda *how: steps.append(how))
    assert_same_encoders(jobs, on_cluster)
    assert steps[-1][:2] == (16, 16)
    found = evaluate(data, out, scheduler=dask_cluster)
    ours, theirs = (pd.read_parquet(one / "predictions.parquet").drop(columns="seconds") for one in (folder, out))
    pd.testing.assert_frame_equal(ours, theirs, atol=1e-4)
    assert results.optimism
    for one, other in zip(results.optimism, found.optimism, strict=True):
        assert flat(other) == pytest.approx(flat(one), abs=1e-6)
    assert not list(out.rglob(".workers-*"))


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_nothing(alone, tiny_study, tmp_path, dask_cluster):
    jobs, _, _ = alone
    killed = []

    def kill_one(done, _total, _text):
        if done and not killed:
            with Client(dask_cluster, set_as_default=False) as client:
                pids = client.run(os.getpid)
            killed.append(next(iter(pids.values())))
            os.kill(killed[0], signal.SIGKILL)

    on_cluster = pretrain(tiny_study.data(**STUDY), tmp_path, scheduler=dask_cluster, progress=kill_one)
    assert killed
    assert_same_encoders(jobs, on_cluster)


def test_devices_and_a_cluster_cannot_be_had_together(tiny_study, tmp_path):
    with pytest.raises(ConfigError, match="give one of them"):
        pretrain(tiny_study.data(**STUDY), tmp_path, scheduler="tcp://127.0.0.1:1", team=Team(2))


class LostFuture:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def result(self) -> int:
        raise self.error


class LostCluster:
    """Stands in for the client of a cluster on which a task kills its worker, or which goes away."""

    scheduler = SimpleNamespace(address="tcp://there:8786")

    def __init__(self, error: Exception) -> None:
        self.error = error

    def nthreads(self) -> dict[str, int]:
        return {"tcp://there:1": 2}

    def map(self, _function: object, tasks: Sequence[object], *, pure: bool) -> list[LostFuture]:
        assert not pure  # or files that changed meanwhile would not be read again
        return [LostFuture(self.error) for _ in tasks]


def test_what_kills_the_workers_of_a_cluster_is_tried_here():
    pool = Workers(-1, LostCluster(KilledWorker("abs", None, 3)))
    assert list(pool.run(abs, [-1, -2, -3])) == [1, 2, 3]


@pytest.mark.parametrize("error", [FutureCancelledError("abs", "scheduler-connection-lost"), CommClosedError()])
def test_a_cluster_that_goes_away_is_reported(error):
    with pytest.raises(PpgsslError, match="connection to the Dask cluster was lost") as caught:
        list(Workers(-1, LostCluster(error)).run(abs, [-1, -2, -3]))
    assert caught.value.exit_code == 1
