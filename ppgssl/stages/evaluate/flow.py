"""From files to patients analysed: what each cohort lost on the way, and the defects that were met."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ppgssl.core.results.data import CohortFlow, Exclusion, Finding
from ppgssl.store.assembly import shared_recordings
from ppgssl.store.rows import JOINED
from ppgssl.store.segmenting import LOW_SQI
from ppgssl.store.study_data import StudyData
from ppgssl.store.tables import CohortStore

_N_EXAMPLES = 5

DEFECT_LABELS = {
    "gap": "missing samples",
    "flat": "flat line",
    "clipped": "saturated",
    "jump": "jump or wrap-around",
    LOW_SQI: "low signal quality index",
}

# Reason of a reject -> what was done about it, and whether a reader should hesitate.
_CONSEQUENCES: dict[str, tuple[str, bool]] = {
    "identical signals under two patients": (
        "At least one of the patients has a wrong recording and the data cannot say which, so none of these is used. "
        "The patients stay on one side of every split.",
        True,
    ),
    "identical to another recording of the patient": ("The first is used, its copies are not.", False),
    JOINED: ("Split into recordings of the usual length; no segment spans the seam.", False),
    "file cannot be read": ("Left out; the store's table of rejects says why for each.", True),
    "signal cannot be processed": ("Left out; the store's table of rejects says why for each.", True),
    "file name nearly matches": ("Not read: rename them, or correct the pattern in cohort.yaml.", True),
    "patient twice in the table, other values": ("None of the contradicting rows is used.", True),
    "patient without signals": ("Not analysed.", False),
    "perhaps another unit": ("Left as they are: correct the table if so.", True),
    "identical rows under two ids": ("", False),
    "file no longer in the folder": ("Their recordings are kept in the store, and used.", False),
    "signals without a patient": ("Used for pretraining only: there is no outcome to learn or test.", False),
}


def cohort_flow(data: StudyData, store: CohortStore) -> CohortFlow:
    """Counts and exclusions of one cohort."""
    cohort = store.cohort
    rejects = store.rejects()
    recordings = store.recordings(["recording_id", "patient_id", "source"])
    verdicts = data.segments.verdicts.query("cohort == @cohort.name")
    accepted = verdicts[verdicts["accepted"]]
    is_labelled = store is data.labelled
    patients = store.patients()
    return CohortFlow(
        cohort=cohort.name,
        title=cohort.title or cohort.name,
        role="labelled" if is_labelled else "unlabelled",
        citation=cohort.citation,
        n_files=recordings["source"].nunique() + int((rejects["unit"] == "file").sum()),
        n_recordings=len(recordings),
        n_recordings_used=accepted["recording_id"].nunique(),
        n_segments=len(verdicts),
        n_segments_accepted=len(accepted),
        n_patients_table=len(patients) + _n_rejected(rejects) if cohort.clinical else None,
        n_patients_with_recordings=recordings["patient_id"].nunique(),
        n_patients_analysed=len(data.y) if is_labelled else accepted["patient"].nunique(),
        n_events=int(data.y.sum()) if is_labelled else None,
        exclusions=[
            *_reject_exclusions(rejects),
            *_recording_exclusions(data, store, verdicts, set(recordings["recording_id"])),
            *_segment_exclusions(verdicts),
            *(_patient_exclusions(data, patients, rejects) if is_labelled else []),
        ],
    )


def findings(data: StudyData, store: CohortStore) -> list[Finding]:
    """The defects that were met in one cohort, and what was done about each."""
    rejects = store.rejects()
    found = [
        _reject_finding(store.cohort.name, str(reason), group)
        for (_, reason), group in rejects.groupby(["unit", "reason"])
    ]
    shared = shared_recordings(data.stores)[store.cohort.name]
    if shared:
        text = f"{_listed(sorted(shared))}: an earlier cohort holds the same signals. Left out of this one."
        found.append(
            Finding(cohort=store.cohort.name, kind="Signals shared with another cohort", text=text, severity="caution")
        )
    verdicts = data.segments.verdicts.query("cohort == @store.cohort.name")
    found += [_defect_finding(store.cohort.name, name, verdicts) for name in ("gap", "flat", "clipped", "jump")]
    return [item for item in found if item.text]


def _reject_finding(cohort: str, reason: str, group: pd.DataFrame) -> Finding:
    consequence, is_caution = _CONSEQUENCES.get(reason, ("", False))
    unit = str(group["unit"].iloc[0])
    what = f"{len(group)} {unit}{'s' if len(group) > 1 else ''}: {_listed(group['subject'].tolist())}."
    if unit in ("variable", "row"):  # few, and each with a text of its own
        what = " ".join(f"{row.subject}: {row.detail}." for row in group.itertuples())
    return Finding(
        cohort=cohort,
        kind=reason[0].upper() + reason[1:],
        text=f"{what} {consequence}".strip(),
        severity="caution" if is_caution else "note",
    )


def _defect_finding(cohort: str, defect: str, verdicts: pd.DataFrame) -> Finding:
    rows = verdicts[verdicts["defect"] == defect]
    label = DEFECT_LABELS[defect]
    kind = f"Signal stretches with {label}" if defect in ("gap", "jump") else f"Signal stretches: {label}"
    if rows.empty:
        return Finding(cohort=cohort, kind=kind, text="")
    names = sorted(rows["recording_id"].unique())
    text = (
        f"{len(rows)} segments of {len(names)} recording{'s' if len(names) > 1 else ''} ({_listed(names)}). Not used."
    )
    return Finding(cohort=cohort, kind=kind, text=text)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_N_EXAMPLES])
    return f"{shown} and {len(names) - _N_EXAMPLES} more" if len(names) > _N_EXAMPLES else shown


def _exclusion(unit: str, reason: str, subjects: Sequence[str], n: int | None = None) -> list[Exclusion]:
    count = len(subjects) if n is None else n
    if not count:
        return []
    return [Exclusion(unit=unit, reason=reason, n=count, examples=list(subjects[:_N_EXAMPLES]))]


def _reject_exclusions(rejects: pd.DataFrame) -> list[Exclusion]:
    # A split recording is not lost, and a suspicion about a unit takes nothing out.
    lost = rejects[~rejects["reason"].eq(JOINED) & rejects["unit"].isin(_UNITS)]
    return [
        exclusion
        for (unit, reason), group in lost.groupby(["unit", "reason"])
        for exclusion in _exclusion(str(unit), str(reason), group["subject"].tolist())
    ]


_UNITS = ("file", "recording", "patient", "cell")


def _n_rejected(rejects: pd.DataFrame) -> int:
    """Patients of the clinical table that the reader left out."""
    is_patient = (rejects["stage"] == "clinical") & (rejects["unit"] == "patient")
    return int((is_patient & ~rejects["reason"].isin(["patient without signals", "signals without a patient"])).sum())


def _recording_exclusions(
    data: StudyData, store: CohortStore, verdicts: pd.DataFrame, stored: set[str]
) -> list[Exclusion]:
    """Recordings that are lost after ingest, each for the first of its reasons; duplicates are among the rejects."""
    duplicates = set(store.rejects().query("stage == 'duplicates'")["subject"])
    shared = shared_recordings(data.stores)[store.cohort.name] - duplicates
    cut = set(verdicts["recording_id"])
    used = set(verdicts.loc[verdicts["accepted"], "recording_id"])
    return [
        *_exclusion("recording", "signals shared with another cohort", sorted(shared)),
        *_exclusion("recording", "shorter than one segment", sorted(stored - duplicates - shared - cut)),
        *_exclusion("recording", "no accepted segment", sorted(cut - used)),
    ]


def _segment_exclusions(verdicts: pd.DataFrame) -> list[Exclusion]:
    counts = verdicts.loc[~verdicts["accepted"], "defect"].value_counts()
    return [
        exclusion
        for name, n in counts.items()
        for exclusion in _exclusion("segment", DEFECT_LABELS[str(name)], [], int(n))
    ]


def _patient_exclusions(data: StudyData, patients: pd.DataFrame, rejects: pd.DataFrame) -> list[Exclusion]:
    """Patients of the table who have signal files and are not analysed, each for the first of their reasons."""
    cohort = data.labelled.cohort.name
    with_recordings = set(data.labelled.recordings(["patient_id"])["patient_id"])
    with_files = set(patients.index) - set(rejects.query("reason == 'patient without signals'")["subject"])
    known = patients[patients.index.isin(with_files & with_recordings)]
    no_outcome = set(known.index[known[data.study.outcome].isna()])
    analysed = {name.removeprefix(f"{cohort}/") for name in data.y.index}
    no_site = {name.removeprefix(f"{cohort}/") for name in data.without_site}
    return [
        *_exclusion("patient", "no file could be read", sorted(with_files - with_recordings)),
        *_exclusion("patient", "outcome missing", sorted(no_outcome)),
        *_exclusion("patient", "site missing", sorted(no_site)),
        *_exclusion("patient", "no accepted segment", sorted(set(known.index) - no_outcome - no_site - analysed)),
    ]
