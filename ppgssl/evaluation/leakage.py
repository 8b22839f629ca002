"""No patient is tested whom an encoder or another fitted part has seen."""

from __future__ import annotations

from collections.abc import Iterable

from ppgssl.errors import LeakageError


def check_no_leakage(test_patients: Iterable[str], seen_patients: Iterable[str], what: str) -> None:
    """Refuse to test on patients who took part in training.

    Parameters
    ----------
    test_patients, seen_patients : iterable of str
        Patient keys; ``seen_patients`` are those whose signals or outcomes reached the fitted part.
    what : str
        The fitted part, in words that a user knows, for example ``encoder 'ssl-all' of repeat 0, fold 1``.

    Raises
    ------
    LeakageError
        If the two share a patient; up to five of them are named.
    """
    shared = sorted(set(test_patients) & set(seen_patients))
    if not shared:
        return
    named = ", ".join(shared[:5]) + (", ..." if len(shared) > 5 else "")
    raise LeakageError(
        f"{what} has seen {len(shared)} of the patients to be tested ({named}), so their predictions would not be "
        "honest. Train it without them, or test on other patients."
    )
