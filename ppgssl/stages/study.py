"""What the commands of a study have in common: its description, folder, data and workers."""

from __future__ import annotations

import shutil
from contextlib import AbstractContextManager
from pathlib import Path

from ppgssl.core.config.loading import load_study
from ppgssl.core.config.study import Study
from ppgssl.core.parallel import Workers, workers
from ppgssl.store.study_data import StudyData, cohort_file, load_study_data, store_folder


def describe_study(study_file: Path, out: Path | None = None) -> tuple[Study, Path]:
    """Description of a study, and the folder of its outputs: ``out``, or that which ``study.yaml`` names."""
    study = load_study(study_file)
    return study, study_file.parent / study.out if out is None else out


def open_study(study_file: Path, out: Path | None = None) -> tuple[StudyData, Path]:
    """Data of a study whose cohorts were ingested, and the folder of its outputs.

    Raises ConfigError if the description is not valid, StoreError if the store of a cohort is absent or damaged.
    """
    study, folder = describe_study(study_file, out)
    return load_study_data(study, study_file, folder), folder


def stores_to_make(study_file: Path, out: Path | None = None) -> list[tuple[Path, Path]]:
    """The cohort.yaml and the store of each cohort that the study describes."""
    study, folder = describe_study(study_file, out)
    return [
        (cohort_file(entry, study_file), store_folder(entry, study_file, folder))
        for entry in study.cohorts
        if entry.cohort is not None
    ]


def study_workers(data: StudyData, folder: Path, n_jobs: int, scheduler: str | None) -> AbstractContextManager[Workers]:
    """Workers for the tasks of a study, which write into ``folder``.

    Parameters
    ----------
    n_jobs : int
        Tasks side by side, where there is no GPU; -1 is one a core. On a GPU, one at a time.
    scheduler : str or None
        Address of a Dask scheduler (``tcp://host:port``) whose workers do the work. They must see ``folder`` and the
        stores under the same path.
    """
    import torch  # takes seconds

    n_processes = 1 if torch.cuda.is_available() else n_jobs
    return workers(n_processes, scheduler=scheduler, folder=folder, reads=[store.folder for store in data.stores])


def current_folder(parent: Path, made_of: str) -> Path:
    """The folder in ``parent`` of what was made of these inputs; the folders of other inputs are removed."""
    folder = parent / made_of[:16]
    folder.mkdir(parents=True, exist_ok=True)
    for outdated in parent.iterdir():
        if outdated != folder:
            shutil.rmtree(outdated)
    return folder
