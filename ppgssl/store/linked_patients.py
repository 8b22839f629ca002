"""Patients who hold the same recording: one person under two ids, or a file that was put under the wrong one.

Patients of two cohorts with the same pseudonym, made with the same key, are one person, and linked likewise: see
:mod:`ppgssl.readers.privacy.pseudonyms`.

The data cannot say which. Ingest uses neither copy; but the other recordings of the two patients, their rows of the
clinical table and their outcomes may still be those of one person. So they stay on one side of every split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from ppgssl.store.assembly import patient_key
from ppgssl.store.tables import CohortStore


def shared_signals(stores: Sequence[CohortStore]) -> dict[str, frozenset[str]]:
    """For each patient who holds a signal that another patient holds, too, the hashes of those signals.

    Patients of all cohorts, labelled or not, by patient key. A pseudonym that two cohorts of one key have counts as a
    signal that both hold. Signals are compared whole: a part cut out of another
    recording is not recognised, and neither is one that was filtered, scaled or rounded otherwise.
    """
    held = pd.concat(
        [part for store in stores for part in (held_signals(store), _pseudonyms(store))], ignore_index=True
    )
    n_holders = held.groupby("signal_sha256")["patient"].transform("size")
    return {
        str(patient): frozenset(hashes) for patient, hashes in held[n_holders > 1].groupby("patient")["signal_sha256"]
    }


def held_signals(store: CohortStore) -> pd.DataFrame:
    """Whose patients hold which signals: columns ``patient``, the key, and ``signal_sha256``."""
    recordings = store.recordings(["patient_id", "signal_sha256"])
    recordings = recordings[recordings["signal_sha256"] != ""].drop_duplicates()  # empty where nothing varies
    patients = [patient_key(store.cohort.name, name) for name in recordings["patient_id"]]
    return recordings.assign(patient=patients)[["patient", "signal_sha256"]]


def _pseudonyms(store: CohortStore) -> pd.DataFrame:
    """Patients of the same name in stores of the same key; nobody of a store of plain ids, which say less."""
    names: set[str] = set(store.recordings(["patient_id"])["patient_id"]) if store.key_fingerprint else set()
    return pd.DataFrame(
        {
            "patient": [patient_key(store.cohort.name, name) for name in names],
            "signal_sha256": [f"{store.key_fingerprint}/{name}" for name in names],
        },
        dtype=object,
    )


def linked_patients(shared: Mapping[str, frozenset[str]]) -> dict[str, str]:
    """The group of each patient of :func:`shared_signals`, named after its first patient.

    Patients are of one group if they share a signal, or each share one with a third, and so on.
    """
    patients = sorted(shared)
    if not patients:
        return {}
    holder = np.array([row for row, patient in enumerate(patients) for _ in shared[patient]])
    signal = pd.factorize(np.array([name for patient in patients for name in sorted(shared[patient])]))[0]
    holds = csr_array((np.ones(len(holder)), (holder, signal)), shape=(len(patients), int(signal.max()) + 1))
    label = connected_components(holds @ holds.T, directed=False)[1]
    first = [int(np.flatnonzero(label == one)[0]) for one in range(int(label.max()) + 1)]
    return {patient: patients[first[one]] for patient, one in zip(patients, label, strict=True)}
