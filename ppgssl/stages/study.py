"""What the commands of a study begin with: its description, its folder and its data."""

from __future__ import annotations

from pathlib import Path

from ppgssl.core.config.loading import load_study
from ppgssl.core.config.study import Study
from ppgssl.store.study_data import StudyData, cohort_file, load_study_data, store_folder


def describe_study(study_file: Path, out: Path | None = None) -> tuple[Study, Path]:
    """Description of a study, and the folder of its outputs: ``out``, or that which ``study.yaml`` names."""
    study = load_study(study_file)
    return study, study_file.parent / study.out if out is None else out


def open_study(study_file: Path, out: Path | None = None) -> tuple[StudyData, Path]:
    """Data of a study whose cohorts were ingested, and the folder of its outputs.

    Raises
    ------
    ConfigError
        If the description is not valid, or names what its cohorts do not have.
    StoreError
        If the store of a cohort is absent or damaged.
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
