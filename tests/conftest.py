"""Fixtures that all tests share."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import pytest
import yaml
from distributed import Client
from hypothesis import HealthCheck, settings
from ppgssl.cli.app import main

from ppgssl.core.config.loading import load_cohort
from ppgssl.core.config.study import Study
from ppgssl.models.fitted import FittedModel
from ppgssl.simulate.cohort import simulate_cohort
from ppgssl.stages.evaluate.evaluate import evaluate
from ppgssl.stages.ingest.ingest import ingest
from ppgssl.store.study_data import StudyData, load_study_data
from tests.support.fitted_models import fit_hospital
from tests.support.processes import started

REPOSITORY = Path(__file__).parents[1]

# Examples of a property-based test that sets no number of its own: PPGSSL_HYPOTHESIS=thorough draws many.
for _profile, _n in (("quick", 25), ("thorough", 200)):
    _unchecked = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    settings.register_profile(_profile, max_examples=_n, deadline=None, suppress_health_check=_unchecked)
settings.load_profile(os.environ.get("PPGSSL_HYPOTHESIS", "quick"))


@pytest.fixture(scope="session", autouse=True)
def _default_ctrl_c() -> Iterator[None]:
    """A shell that starts the tests in the background lets them, and what they start, ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Folder of the public recordings; the test is skipped where it is absent."""
    folder = Path(os.environ.get("PPGSSL_TEST_DATA", "../shared/data"))
    folder = folder if folder.is_absolute() else REPOSITORY / folder
    if not folder.is_dir():
        pytest.skip(f"no recordings at {folder}: set PPGSSL_TEST_DATA to the folder that holds ppg_bp, mw_ppg, ...")
    return folder.resolve()


@pytest.fixture(scope="session")
def dask_cluster(tmp_path_factory) -> Iterator[str]:
    """Address of a Dask scheduler on loopback with two workers, processes of their own."""
    folder = tmp_path_factory.mktemp("dask")
    file = folder / "scheduler.json"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    dask = [sys.executable, "-m", "dask"]
    scheduler = ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    worker = ["worker", "--nworkers", "2", "--nthreads", "1", "--no-dashboard"]
    at = ["--scheduler-file", str(file)]
    with (folder / "log").open("w") as log:
        options = {"stdout": log, "stderr": log, "env": environment, "cwd": folder}
        with started([*dask, *scheduler, *at], **options), started([*dask, *worker, *at], **options):
            yield _address(file, folder / "log")


@pytest.fixture(scope="session")
def hospital_model(tmp_path_factory) -> FittedModel:
    """A model of clinical values and signals, of 40 patients whose files lie in the folder that its own lies in."""
    return fit_hospital(tmp_path_factory.mktemp("hospital"), n=40)


@pytest.fixture(scope="session")
def clinical_model(tmp_path_factory) -> FittedModel:
    """A model of clinical values alone."""
    return fit_hospital(tmp_path_factory.mktemp("ward"), "covariates")


@dataclass(frozen=True)
class Done:
    """Exit code and output of a command."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture(scope="session")
def ppgssl() -> Callable[..., Done]:
    """A command as its user meets it, without a process of its own, whose start would take seconds."""

    def run(*arguments: object) -> Done:
        out, err, before, handler = StringIO(), StringIO(), sys.argv, signal.getsignal(signal.SIGINT)
        sys.argv = ["ppgssl", *map(str, arguments)]
        try:
            with patch.dict(os.environ), redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as stop:
                main()
        finally:
            sys.argv = before
            signal.signal(signal.SIGINT, handler)
        return Done(int(stop.value.code or 0), out.getvalue(), err.getvalue())

    return run


def _address(file: Path, log: Path) -> str:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if file.is_file() and (text := file.read_text()):
            address = str(json.loads(text)["address"])
            with Client(address, set_as_default=False) as client:
                client.wait_for_workers(2, timeout=60)
            return address
        time.sleep(0.05)
    raise TimeoutError(f"no Dask scheduler came up: {log.read_text()}")


@dataclass(frozen=True)
class TinyStudy:
    """A simulated study, ingested: small enough that every stage takes seconds."""

    file: Path
    out: Path

    def data(self, **changes: object) -> StudyData:
        """The study's data, with keys of study.yaml changed: ``pretraining__n_steps=5`` changes a nested one."""
        description = yaml.safe_load(self.file.read_text())
        for key, value in changes.items():
            *parents, last = key.split("__")
            inner = description
            for parent in parents:
                inner = inner[parent]
            inner[last] = value
        return load_study_data(Study.model_validate(description), self.file, self.out)


@pytest.fixture(scope="session")
def tiny_study(tmp_path_factory) -> TinyStudy:
    """Do not write into its folder: give stages a folder of your own."""
    folder = tmp_path_factory.mktemp("tiny")
    simulate_cohort(folder / "raw", n_labelled=24, n_unlabelled=6, duration_s=20, prevalence=0.4, seed=3)
    file = folder / "raw" / "study.yaml"
    description = yaml.safe_load(file.read_text())
    # Few: with as many covariates as events, profile intervals of the odds ratios take most of an evaluation.
    description["covariates"] = ["weight_kg", "muac_cm", "difficulty_breathing"]
    description["pretraining"] |= {"n_steps": 8, "batch_size": 16, "evaluate_every": 4}
    description["pretraining"]["encoder"] = {"width": 8, "n_stages": 1}
    description["network"] |= {"n_epochs": 2, "freeze_epochs": 1, "patience": 1}
    description["validation"] |= {"n_folds": 2, "n_repeats": 1, "n_bootstrap": 200, "n_optimism": 4}
    description["learning_curve"] = {"fractions": [0.5, 1.0], "n_draws": 1}
    file.write_text(yaml.safe_dump(description))
    for name in ("labelled", "unlabelled"):
        cohort_file = folder / "raw" / f"{name}.yaml"
        ingest(cohort_file, folder / "out" / "stores" / load_cohort(cohort_file).name, n_jobs=1)
    made = TinyStudy(file, folder / "out")
    y = made.data().y
    assert min(y.sum(), (1 - y).sum()) >= 8, "too few usable patients of one outcome: nothing is wrong with the tests"
    return made


@pytest.fixture(scope="session")
def evaluated_study(tiny_study, tmp_path_factory) -> tuple[StudyData, Path]:
    """Data and folder of a study of three quick arms, evaluated in two repeats of two folds."""
    out = tmp_path_factory.mktemp("quick")
    data = tiny_study.data(arms=["covariates", "pulse-wave", "covariates+pulse-wave"], validation__n_repeats=2)
    evaluate(data, out, n_jobs=1)
    return data, out
