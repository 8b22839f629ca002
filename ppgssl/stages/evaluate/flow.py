"""From files to patients analysed: what each cohort lost on the way, and its defects."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ppgssl.core.config.study import Study
from ppgssl.core.reasons import DEFECTS, Reason
from ppgssl.core.results.data import CohortFlow, Exclusion, Finding, finding
from ppgssl.core.text import listed
from ppgssl.features.patient_table import needs_spo2_curve
from ppgssl.store.assembly import shared_recordings
from ppgssl.store.study_data import StudyData
from ppgssl.store.tables import CohortStore

_N_EXAMPLES = 5


def cohort_flow(data: StudyData, store: CohortStore) -> CohortFlow:
    """Counts and exclusions of one cohort."""
    cohort = store.cohort
    rejects = store.rejects()
    recordings = store.recordings(["recording_id", "patient_id", "source"])
    decisions = data.segments.decisions.query("cohort == @cohort.name")
    accepted, rejected = decisions[decisions["accepted"]], decisions.loc[~decisions["accepted"], "defect"]
    noted = {Reason(str(reason)): group["subject"].tolist() for reason, group in rejects.groupby("reason")}
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
        n_segments=len(decisions),
        n_segments_accepted=len(accepted),
        n_patients_table=len(patients) + _n_rejected(rejects) if cohort.clinical else None,
        n_patients_with_recordings=recordings["patient_id"].nunique(),
        n_patients_analysed=len(data.y) if is_labelled else accepted["patient"].nunique(),
        n_events=int(data.y.sum()) if is_labelled else None,
        exclusions=[
            *exclusions({reason: subjects for reason, subjects in noted.items() if reason.is_loss}),
            *_recording_exclusions(data, store, decisions, set(recordings["recording_id"])),
            *(_exclusion(Reason(str(defect)), int(n)) for defect, n in rejected.value_counts().items()),
            *(_patient_exclusions(data, patients, rejects) if is_labelled else []),
        ],
    )


def findings(data: StudyData, store: CohortStore) -> list[Finding]:
    """The defects of one cohort, and what was done about each."""
    cohort = store.cohort.name
    arms = _arms_with_spo2_of_signals(data.study) if store is data.labelled else ""
    rows = [
        finding(
            cohort,
            Reason(str(reason)),
            _reject_text(Reason(str(reason)), group) + (arms if reason == Reason.SPO2_UNCALIBRATED else ""),
        )
        for reason, group in store.rejects().groupby("reason")
    ]
    shared = sorted(shared_recordings(data.stores)[cohort])
    if shared:
        text = f"{listed(shared)}: {Reason.SHARED_WITH_COHORT.consequence}"
        rows.append(finding(cohort, Reason.SHARED_WITH_COHORT, text))
    decisions = data.segments.decisions.query("cohort == @cohort")
    for defect, segments in decisions[decisions["defect"].isin(DEFECTS)].groupby("defect"):
        names = sorted(segments["recording_id"].unique())
        recordings = f"{len(names)} recording{'s' if len(names) > 1 else ''} ({listed(names)})"
        text = f"{len(segments)} segments of {recordings}. {Reason(str(defect)).consequence}"
        rows.append(finding(cohort, Reason(str(defect)), text))
    return rows


def _arms_with_spo2_of_signals(study: Study) -> str:
    names = [name for name, arm in zip(study.arms, study.arm_list, strict=True) if needs_spo2_curve(arm, study)]
    return f" It is a clinical input of {', '.join(names)}: these models serve this device alone." if names else ""


def _reject_text(reason: Reason, group: pd.DataFrame) -> str:
    what = f"{len(group)} {reason.unit}{'s' if len(group) > 1 else ''}: {listed(group['subject'].tolist())}."
    if reason.unit in ("variable", "row"):  # few, and each with a text of its own
        what = " ".join(f"{row.subject}: {row.detail}." for row in group.itertuples())
    return f"{what} {reason.consequence}".strip()


def exclusions(lost: dict[Reason, Sequence[str]]) -> list[Exclusion]:
    """Of each reason that took something out, how many and the first few."""
    return [_exclusion(reason, len(subjects), subjects) for reason, subjects in lost.items() if subjects]


def _exclusion(reason: Reason, n: int, subjects: Sequence[str] = ()) -> Exclusion:
    return Exclusion.model_validate(
        {"unit": reason.unit, "reason": reason, "n": n, "examples": list(subjects[:_N_EXAMPLES])}
    )


def _n_rejected(rejects: pd.DataFrame) -> int:
    """Patients of the clinical table that the reader left out."""
    is_patient = (rejects["stage"] == "clinical") & (rejects["unit"] == "patient")
    return int((is_patient & ~rejects["reason"].isin([Reason.NO_SIGNALS, Reason.NOT_IN_TABLE])).sum())


def _recording_exclusions(
    data: StudyData, store: CohortStore, decisions: pd.DataFrame, stored: set[str]
) -> list[Exclusion]:
    """Recordings that are lost after ingest, each for the first of its reasons; duplicates are among the rejects."""
    duplicates = set(store.rejects().query("stage == 'duplicates'")["subject"])
    shared = shared_recordings(data.stores)[store.cohort.name] - duplicates
    cut = set(decisions["recording_id"])
    used = set(decisions.loc[decisions["accepted"], "recording_id"])
    return exclusions(
        {
            Reason.SHARED_WITH_COHORT: sorted(shared),
            Reason.TOO_SHORT: sorted(stored - duplicates - shared - cut),
            Reason.RECORDING_WITHOUT_SEGMENT: sorted(cut - used),
        }
    )


def _patient_exclusions(data: StudyData, patients: pd.DataFrame, rejects: pd.DataFrame) -> list[Exclusion]:
    """Patients of the table who have signal files and are not analysed, each for the first of their reasons."""
    cohort = data.labelled.cohort.name
    with_recordings = set(data.labelled.recordings(["patient_id"])["patient_id"])
    with_files = set(patients.index) - set(rejects.loc[rejects["reason"] == Reason.NO_SIGNALS, "subject"])
    known = patients[patients.index.isin(with_files & with_recordings)]
    no_outcome = set(known.index[known[data.study.outcome].isna()])
    analysed = {name.removeprefix(f"{cohort}/") for name in data.y.index}
    no_site = {name.removeprefix(f"{cohort}/") for name in data.without_site}
    return exclusions(
        {
            Reason.NO_READABLE_FILE: sorted(with_files - with_recordings),
            Reason.OUTCOME_MISSING: sorted(no_outcome),
            Reason.SITE_MISSING: sorted(no_site),
            Reason.PATIENT_WITHOUT_SEGMENT: sorted(set(known.index) - no_outcome - no_site - analysed),
        }
    )
