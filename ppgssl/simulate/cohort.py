"""A simulated study on disk: raw files, clinical table, descriptions, and the truth beside them."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd

from ppgssl.errors import ConfigError
from ppgssl.simulate.descriptions import CLINICAL_YAML, COHORT_YAML, README, STUDY_YAML
from ppgssl.simulate.devices import Device, acquire
from ppgssl.simulate.physiology import SEVERITY_LOG_ODDS, simulate_clinical_table, simulate_patients
from ppgssl.simulate.waveform import Vitals, simulate_light

FS_HZ = 80
MISSING_FRACTION = 0.04
INPATIENT_SEVERITY = 1.0
_MAX_PATIENTS = 99_999
VITALS = [field.name for field in fields(Vitals)]


def simulate_cohort(
    out: Path,
    *,
    n_labelled: int = 60,
    n_unlabelled: int = 60,
    duration_s: float = 60.0,
    prevalence: float = 0.3,
    seed: int = 1,
) -> list[Path]:
    """Write a labelled cohort, an unlabelled cohort of sicker inpatients, and a study of both.

    Parameters
    ----------
    out : Path
        Folder to make; an existing one must be empty.
    n_labelled, n_unlabelled : int
        Patients of each cohort, one recording each.
    duration_s : float
        Length of a recording, 10 s (one segment) to one hour.
    prevalence : float
        Expected share of hospitalized children among the labelled. Outcomes are drawn, so that the share scatters:
        among few children, too few for an evaluation may have the event.
    seed : int
        Equal seeds and parameters write equal bytes, on one platform with one version of NumPy.

    Returns
    -------
    list of Path
        ``labelled.yaml``, ``unlabelled.yaml``, ``study.yaml``, ``truth.csv``, ``README.md``; the raw files lie in the
        folders ``labelled`` and ``unlabelled``.

    Raises
    ------
    ConfigError
        If a parameter is out of range (all such are listed), or ``out`` is not an empty folder. Nothing is written.
    """
    _check(n_labelled, n_unlabelled, duration_s, prevalence, seed)
    _check_empty(out)
    labelled = _patients("L", n_labelled, prevalence, 0.0, np.random.default_rng([seed, 0]))
    unlabelled = _patients("U", n_unlabelled, prevalence, INPATIENT_SEVERITY, np.random.default_rng([seed, 1]))
    clinical = simulate_clinical_table(
        labelled, missing_fraction=MISSING_FRACTION, rng=np.random.default_rng([seed, 2])
    )
    disturbed = [
        _write_signals(out / "labelled" / "signals", labelled, duration_s, [seed, 3]),
        _write_signals(out / "unlabelled" / "signals", unlabelled, duration_s, [seed, 4]),
    ]
    _write_csv(clinical, out / "labelled" / "clinical.csv")
    truth = pd.concat({"labelled": labelled, "unlabelled": unlabelled}, names=["cohort"]).drop(columns="is_event")
    _write_csv(truth.join(pd.concat(disturbed), on="patient_id").round(4), out / "truth.csv")
    texts = _texts(n_labelled, n_unlabelled, int(labelled["is_event"].sum()), duration_s, seed)
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8", newline="\n")
    return [out / name for name in ("labelled.yaml", "unlabelled.yaml", "study.yaml", "truth.csv", "README.md")]


def _check(n_labelled: int, n_unlabelled: int, duration_s: float, prevalence: float, seed: int) -> None:
    rules = [
        (1 <= n_labelled <= _MAX_PATIENTS, f"n_labelled is {n_labelled}: it must be 1 to {_MAX_PATIENTS}"),
        (1 <= n_unlabelled <= _MAX_PATIENTS, f"n_unlabelled is {n_unlabelled}: it must be 1 to {_MAX_PATIENTS}"),
        (10 <= duration_s <= 3600, f"duration_s is {duration_s:g}: it must be 10 (one segment) to 3600"),
        (0 < prevalence < 1, f"prevalence is {prevalence:g}: it must lie between 0 and 1, for example 0.3"),
        (0 <= seed < 2**31, f"seed is {seed}: it must be 0 to {2**31 - 1}"),
    ]
    problems = tuple(text for is_fine, text in rules if not is_fine)
    if problems:
        raise ConfigError("cannot simulate a study:", problems)


def _check_empty(out: Path) -> None:
    if out.is_dir() and any(out.iterdir()):
        raise ConfigError(
            f"cannot simulate into {out}: the folder is not empty. Name a new folder, or remove it first."
        )
    if out.exists() and not out.is_dir():
        raise ConfigError(f"cannot simulate into {out}: it is a file. Name a new folder.")


def _patients(prefix: str, n: int, prevalence: float, mean_severity: float, rng: np.random.Generator) -> pd.DataFrame:
    patients = simulate_patients(n, prevalence=prevalence, mean_severity=mean_severity, rng=rng)
    # A prefix of its own: no child is in both cohorts.
    patients.index = pd.Index([f"{prefix}{number:05d}" for number in range(1, n + 1)], name="patient_id")
    return patients


def _write_signals(folder: Path, patients: pd.DataFrame, duration_s: float, seeds: list[int]) -> pd.DataFrame:
    """One file a patient; returns seconds of motion and of lost contact, one row a patient."""
    folder.mkdir(parents=True)
    seconds = []
    for number, (patient_id, vitals) in enumerate(patients[VITALS].iterrows()):
        # A random stream for each patient: the recordings could be made in any order.
        rng = np.random.default_rng([*seeds, number])
        light = simulate_light(Vitals(**vitals), duration_s=duration_s, fs_hz=FS_HZ, rng=rng)
        acquired = acquire(light, Device(), fs_hz=FS_HZ, rng=rng)
        samples = pd.DataFrame({"red": acquired.red, "infrared": acquired.infrared})
        samples.to_csv(folder / f"{patient_id}.csv", index=False, lineterminator="\n")
        seconds.append((acquired.is_motion.sum() / FS_HZ, acquired.is_lost.sum() / FS_HZ))
    return pd.DataFrame(seconds, index=patients.index, columns=["motion_s", "lost_contact_s"])


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, lineterminator="\n")


def _texts(n_labelled: int, n_unlabelled: int, n_events: int, duration_s: float, seed: int) -> dict[str, str]:
    facts = {"seed": seed, "fs_hz": FS_HZ}
    return {
        "labelled.yaml": COHORT_YAML.substitute(
            facts,
            name="labelled",
            title="Simulated outpatient children",
            description=f"{n_labelled} made-up children under five, seen as outpatients; some are hospitalized.",
            clinical=CLINICAL_YAML,
        ),
        "unlabelled.yaml": COHORT_YAML.substitute(
            facts,
            name="unlabelled",
            title="Simulated inpatient children",
            description=f"{n_unlabelled} made-up children under five, sicker inpatients; no clinical table.",
            clinical="",
        ),
        "study.yaml": STUDY_YAML.substitute(facts),
        "README.md": README.substitute(
            facts,
            n_labelled=n_labelled,
            n_unlabelled=n_unlabelled,
            n_events=n_events,
            duration_s=f"{duration_s:g}",
            log_odds=SEVERITY_LOG_ODDS,
            missing_pct=f"{100 * MISSING_FRACTION:g}",
        ),
    }
