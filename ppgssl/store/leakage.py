"""No patient is tested whom an encoder or another fitted part has seen.

Whatever is fitted for a fold is recorded in its :class:`FittedParts`, which is asked once before anybody is tested:

    parts = FittedParts(fold.name, shared_signals=data.shared_signals)
    parts.fit("imputer and scaler of the covariates", columns, X_train)  # fits, and remembers whose rows it was given
    parts.record("network", patients[training_segments])                 # the patient of each segment trained on
    parts.record_hashed("encoder ssl-all", patients_seen(job))           # of an encoder only hashes are kept
    checks = parts.check(fold.test)                                      # LeakageError, or rows for the report

Who was seen is read off the data that the fit is given (the index of its rows, the patient of each of its segments),
not off the split that was meant: a scaler fitted to everybody gives itself away. :meth:`FittedParts.fit` does both.

Two ids are one person as soon as they share a recording: ``shared_signals`` has, for each patient who holds a signal
that another patient holds, too, the hashes of those signals (``StudyData.shared_signals``). With it, ``check`` also
refuses to test a patient whose recording a part has seen under another id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pandas as pd

from ppgssl.core.errors import LeakageError
from ppgssl.core.results.data import LeakageCheck

Estimator = TypeVar("Estimator", bound=Any)

SHARED_SIGNALS = "Recordings under two ids"
_N_NAMED = 5


def check_no_leakage(test_patients: Iterable[str], seen_patients: Iterable[str], what: str) -> None:
    """Raise a ``LeakageError`` if patients to be tested took part in training; up to five of them are named.

    ``seen_patients`` are those whose signals or outcomes reached the fitted part, which ``what`` names in words that a
    user knows, for example ``encoder 'ssl-all' of repeat 0, fold 1``.
    """
    shared = sorted(set(test_patients) & set(seen_patients))
    if shared:
        raise LeakageError(
            f"{what} has seen {len(shared)} of the patients to be tested ({_named(shared)}), so their predictions "
            "would be too good. Train it without them, or test on other patients."
        )


def hashed_patient(patient: str) -> str:
    """How a fitted part remembers a patient: SHA-256 of the patient key, in hexadecimal."""
    return hashlib.sha256(patient.encode()).hexdigest()


@dataclass
class FittedParts:
    """Whom each part that was fitted for a fold has seen; see the head of this module.

    ``fold`` is the name for errors. ``shared_signals`` maps patient keys to hashes of signals that more than one
    patient holds; patients without such a signal may be absent.
    """

    fold: str
    shared_signals: Mapping[str, Collection[str]] = field(default_factory=dict, repr=False)
    _seen: dict[str, set[str]] = field(default_factory=dict, init=False, repr=False)
    _transductive: set[str] = field(default_factory=set, init=False, repr=False)

    def record(self, what: str, patients: Iterable[str]) -> None:
        """Remember that a part was fitted to these patients, in any order, repeats allowed.

        ``what`` names the part in words for errors and report; of a part that is fitted several times, all patients
        count.
        """
        self.record_hashed(what, map(hashed_patient, dict.fromkeys(patients)))

    def record_hashed(self, what: str, hashes: Iterable[str], *, is_transductive: bool = False) -> None:
        """As :meth:`record`, of a part that remembers patients by :func:`hashed_patient`, such as an encoder.

        Where the study asks for a transductive encoder, :meth:`check` reports test patients it has seen, and goes on.
        """
        self._seen.setdefault(what, set()).update(hashes)
        if is_transductive:
            self._transductive.add(what)

    def fit(self, what: str, estimator: Estimator, X: pd.DataFrame, *more: Any) -> Estimator:
        """Fit an estimator to ``X``, indexed by patient key, and ``more``; remember the patients, and return it."""
        self.record(what, X.index)
        return estimator.fit(X, *more)

    def check(self, test_patients: Collection[str]) -> list[LeakageCheck]:
        """Compare everybody seen with those to be tested; call it before anybody is.

        Returned is one check for each part, and one for recordings that are held under two ids; :func:`merge_checks`
        joins folds. A ``LeakageError`` is raised if a part has seen a patient to be tested, or the same recording under
        another id. It names the part, the fold, the number of patients and up to five of them.
        """
        checks = [self._check_part(what, seen, test_patients) for what, seen in self._seen.items()]
        return [*checks, self._check_signals(test_patients)]

    def _check_part(self, what: str, seen: set[str], test_patients: Collection[str]) -> LeakageCheck:
        shared = sorted(name for name in test_patients if hashed_patient(name) in seen)
        if shared and what not in self._transductive:
            check_no_leakage(test_patients, shared, f"{self.fold}: {what}")
        text = "Asked for by the study: it was pretrained on signals of test patients, never on outcomes."
        return LeakageCheck(what=what, n_checked=len(test_patients), n_shared=len(shared), text=text if shared else "")

    def _check_signals(self, test_patients: Collection[str]) -> LeakageCheck:
        """Test patients whose recording another patient holds, too, whom a part has seen."""
        tested = {hashed_patient(name) for name in test_patients}
        holders = {hashed_patient(name): set(signals) for name, signals in self.shared_signals.items()}
        for what, seen in self._seen.items():
            if what in self._transductive:
                continue
            signals = set().union(*(holders[name] for name in (seen - tested) & holders.keys()))
            shared = sorted(name for name in test_patients if signals & set(self.shared_signals.get(name, ())))
            if shared:
                raise LeakageError(
                    f"{self.fold}: {what} has seen recordings of {len(shared)} of the patients to be tested "
                    f"({_named(shared)}) under another patient's id. Keep patients who share a recording on one side "
                    "of the split."
                )
        n_checked = sum(name in self.shared_signals for name in test_patients)
        return LeakageCheck(what=SHARED_SIGNALS, n_checked=n_checked, n_shared=0)


def merge_checks(checks: Iterable[LeakageCheck]) -> list[LeakageCheck]:
    """One row for each part, over all folds: numbers are added up."""
    merged: dict[str, LeakageCheck] = {}
    for check in checks:
        before = merged.get(check.what)
        if before is None:
            merged[check.what] = check
            continue
        merged[check.what] = LeakageCheck(
            what=check.what,
            n_checked=before.n_checked + check.n_checked,
            n_shared=before.n_shared + check.n_shared,
            text=before.text or check.text,
        )
    return list(merged.values())


def _named(patients: list[str]) -> str:
    return ", ".join(patients[:_N_NAMED]) + (", ..." if len(patients) > _N_NAMED else "")
