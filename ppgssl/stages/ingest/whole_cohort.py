"""What only all recordings and all patients of a cohort together show."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ppgssl.core.config.cohort import Cohort
from ppgssl.core.reasons import Reason
from ppgssl.core.records import Reject
from ppgssl.core.text import listed
from ppgssl.readers.clinical.table import Clinical, id_hint

# Of recordings with the cohort's typical length, from which a length that is a multiple of it is suspicious.
_TYPICAL_PROPORTION = 0.8


def joined_reject(source: str) -> Reject:
    detail = "a whole number of times as long as nearly all other recordings: split at that length"
    return Reject(Reason.JOINED, source, detail)


def vital_rejects(cohort: Cohort) -> list[Reject]:
    """What a reader must know of the vital signs of a cohort."""
    if not cohort.has_uncalibrated_spo2:
        return []
    detail = "computed by 110 - 25 R of the textbooks, since `vitals.spo2_calibration` gives no curve of the device"
    return [Reject(Reason.SPO2_UNCALIBRATED, "spo2_percent", detail)]


def find_joined(recordings: pd.DataFrame) -> pd.DataFrame:
    """Recordings whose length is a multiple (2 or more) of the length that at least 80 % of the cohort has.

    Long recordings that are stored in parts are none of them.
    """
    in_parts = set(recordings.loc[recordings["start_s"] > 0, "source"])
    recordings = recordings[~recordings["source"].isin(in_parts)]
    lengths = recordings["duration_s"].astype(float).round(6)
    typical = lengths.mode()
    if typical.empty or (lengths == typical.iloc[0]).mean() < _TYPICAL_PROPORTION:
        return recordings.iloc[:0]
    ratio = lengths / typical.iloc[0]
    return recordings[(ratio >= 2) & np.isclose(ratio, ratio.round(), atol=1e-6)]


def find_duplicates(recordings: pd.DataFrame) -> list[Reject]:
    """Recordings with identical signals: all but the first of one patient; all of them if the patients differ.

    Recordings in which nothing varies have no hash, and are not compared.
    """
    recordings = recordings[recordings["signal_sha256"] != ""]
    repeated = recordings[recordings.duplicated("signal_sha256", keep=False)]
    rejects: list[Reject] = []
    for _, group in repeated.groupby("signal_sha256"):
        names = listed(group["recording_id"].tolist(), most=10)
        if len(set(group["patient_id"])) == 1:
            reason, excluded = Reason.COPY_OF_PATIENT, group["recording_id"].iloc[1:]
        else:
            reason, excluded = Reason.COPY_OF_OTHER, group["recording_id"]
        rejects.extend(Reject(reason, name, f"identical signals: {names}") for name in excluded)
    return rejects


def clinical_rejects(
    clinical: Clinical | None, patients_with_signals: set[str], originals: Mapping[str, str] | None = None
) -> list[Reject]:
    """What is wrong with the clinical table, and the patients that only the table or only the files know.

    Where patients have pseudonyms, ``originals`` are their names as far as they are known; ids that nearly match are
    counted then, and not named.
    """
    if clinical is None:
        return []
    kept = set(clinical.patients.index)
    in_table = kept | set(clinical.rejected_ids)
    written = [in_table, patients_with_signals]
    if originals is not None:
        written = [{originals[name] for name in names if name in originals} for names in written]
    hint = id_hint(*written, show_ids=originals is None)
    hint = f" ({hint})" if hint else ""
    no_signals = sorted(kept - patients_with_signals)
    no_row = sorted(patients_with_signals - in_table)
    return [
        *clinical.problems,
        *(Reject(Reason.NO_SIGNALS, name, f"no signal file names this patient{hint}") for name in no_signals),
        *(Reject(Reason.NOT_IN_TABLE, name, f"no row in the clinical table{hint}") for name in no_row),
    ]
