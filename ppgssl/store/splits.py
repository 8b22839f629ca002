"""Which patients train and which are tested. Splits precede everything that is fitted, pretraining included."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from sklearn.model_selection import RepeatedStratifiedKFold, StratifiedShuffleSplit

from ppgssl.core.config.study import Validation
from ppgssl.core.errors import EvaluationError

# Of each outcome among training patients: inner splits need them.
_MIN_TRAINING = 2


@dataclass(frozen=True)
class Fold:
    """One split of the labelled patients, at a position in the repeated cross-validation that counts from 0.

    ``train`` and ``test`` are patient keys, disjoint and sorted. ``linked`` are patients of any cohort who are not
    tested, but hold a recording that a tested patient holds, too: nothing that is fitted for this fold may see them,
    encoders included. ``site`` is the one tested, of leave-one-site-out.
    """

    repeat: int
    fold: int
    train: tuple[str, ...]
    test: tuple[str, ...]
    linked: tuple[str, ...] = ()
    site: str = ""

    @property
    def name(self) -> str:
        return f"repeat{self.repeat}-fold{self.fold}"

    @property
    def unseen(self) -> tuple[str, ...]:
        """All patients whom nothing that is fitted for this fold may see."""
        return (*self.test, *self.linked)


@dataclass(frozen=True)
class _Part:
    """Who is tested, before it is known who may train."""

    repeat: int
    fold: int
    test: frozenset[str] = field(repr=False)
    site: str = ""


def make_folds(
    y: pd.Series,
    validation: Validation,
    *,
    seed: int,
    linked: Mapping[str, str] | None = None,
    sites: pd.Series | None = None,
) -> list[Fold]:
    """Split patients: each outcome class in equal proportions, or site by site.

    Patients who are linked, because they share a recording, are never on both sides of a split. Random splits keep them
    in one part; where two sites share a recording, the linked patients of the other sites do not train.

    Parameters
    ----------
    y : Series of 0/1, index patient key
        Outcome of every labelled patient.
    validation
        ``repeated-kfold``; ``single-split``, one 80/20 split (the published protocol); or ``leave-one-site-out``, which
        tests each site once, on models of all others.
    linked : mapping of patient key to group, optional
        Of patients of all cohorts who share a recording; see :mod:`ppgssl.store.linked_patients`.
    sites : Series of str, index patient key, optional
        Site of every labelled patient, for ``leave-one-site-out``.

    Raises
    ------
    EvaluationError
        If there are fewer events, or fewer patients without, than folds need, or there are fewer than two sites.
    """
    y = y.sort_index()
    linked = linked or {}
    if validation.scheme == "leave-one-site-out":
        assert sites is not None  # Validation asks for the variable, load_study_data reads it
        parts = list(_sites(sites.loc[y.index]))
    else:
        parts = list(_random_parts(y, validation, seed, linked))
    folds = [_fold(part, y, linked) for part in parts]
    for fold in folds:
        _check_training(fold, y)
    return folds


def _random_parts(y: pd.Series, validation: Validation, seed: int, linked: Mapping[str, str]) -> Iterator[_Part]:
    """Linked patients are drawn as one, who has the event if any of them has."""
    group = pd.Series([linked.get(name, name) for name in y.index], index=y.index)
    event = y.groupby(group, sort=False).max()
    _check_counts(event, validation)
    for repeat, fold, chosen in _positions(event, validation, seed):
        yield _Part(repeat, fold, frozenset(y.index[group.isin(event.index[chosen])]))


def _positions(y: pd.Series, validation: Validation, seed: int) -> Iterator[tuple[int, int, np.ndarray]]:
    placeholder = np.zeros((len(y), 1))
    if validation.scheme == "single-split":
        single = StratifiedShuffleSplit(n_splits=1, test_size=validation.test_fraction, random_state=seed)
        yield 0, 0, next(single.split(placeholder, y))[1]
        return
    splitter = RepeatedStratifiedKFold(n_splits=validation.n_folds, n_repeats=validation.n_repeats, random_state=seed)
    for number, (_, test) in enumerate(splitter.split(placeholder, y)):
        yield number // validation.n_folds, number % validation.n_folds, test


def _sites(sites: pd.Series) -> Iterator[_Part]:
    names = sorted(sites.unique())
    if len(names) < 2:
        raise EvaluationError(
            f"leave-one-site-out needs patients of at least two sites, and all {len(sites)} patients are of "
            f"{names[0]!r}. Choose another `validation.scheme`, or another `validation.site`."
        )
    for number, name in enumerate(names):
        yield _Part(0, number, frozenset(sites.index[sites == name]), site=name)


def _fold(part: _Part, y: pd.Series, linked: Mapping[str, str]) -> Fold:
    groups = {linked[name] for name in part.test if name in linked}
    others = {name for name, group in linked.items() if group in groups} - part.test
    train = [name for name in y.index if name not in part.test and name not in others]
    return Fold(part.repeat, part.fold, tuple(train), tuple(sorted(part.test)), tuple(sorted(others)), part.site)


def _check_counts(y: pd.Series, validation: Validation) -> None:
    n_events, n_others = int(y.sum()), int(len(y) - y.sum())
    # One of each class is tested, and enough must stay for training.
    needed = max(validation.n_folds if validation.scheme == "repeated-kfold" else 0, 1 + _MIN_TRAINING)
    if min(n_events, n_others) < needed:
        raise EvaluationError(
            f"cannot split {len(y)} patients, {n_events} with the event and {n_others} without: "
            f"{validation.scheme} needs at least {needed} of each. Lower `validation.n_folds`, or add patients."
        )


def _check_training(fold: Fold, y: pd.Series) -> None:
    n_events = int(y.loc[list(fold.train)].sum())
    n_others = len(fold.train) - n_events
    if min(n_events, n_others) >= _MIN_TRAINING:
        return
    what = f"site {fold.site!r}" if fold.site else f"the {len(fold.test)} patients of {fold.name}"
    cause = f", and the {len(fold.linked)} others who share a recording with them," if fold.linked else ""
    way_out = "Join small sites to larger ones in `validation.site`" if fold.site else "Lower `validation.n_folds`"
    raise EvaluationError(
        f"cannot test {what}: without them{cause} {n_events} patients with the event and {n_others} without are left "
        f"to train on, and at least {_MIN_TRAINING} of each are needed. {way_out}, or add patients."
    )


def site_counts(folds: Sequence[Fold]) -> dict[str, int]:
    """Patients tested of each site; empty unless sites were left out one by one."""
    return {fold.site: len(fold.test) for fold in folds if fold.site}


def split_notes(folds: Sequence[Fold], y: pd.Series, linked: Mapping[str, str]) -> list[str]:
    """Sentences about test parts with one outcome, and about patients who share a recording."""
    notes = []
    for outcome, words in ((1.0, "with the event"), (0.0, "without the event")):
        lacking = [fold for fold in folds if not (y.loc[list(fold.test)] == outcome).any()]
        if lacking:
            notes.append(
                f"{_these(lacking, len(folds))} {words}: "
                "there is no AUC of its own, and it does not contribute to how well patients are separated."
            )
    groups = defaultdict(set)
    for name in y.index.intersection(pd.Index(list(linked))):
        groups[linked[name]].add(name)
    together = [names for names in groups.values() if len(names) > 1]
    if together:
        n_patients = sum(map(len, together))
        notes.append(
            f"{n_patients} patients in {len(together)} {'groups' if len(together) > 1 else 'group'} share a recording "
            "within the group, and may be one person under several ids: they were never on both sides of a split."
        )
    return [*notes, *_linked_notes(folds, set(y.index))]


def _these(folds: Sequence[Fold], n_folds: int) -> str:
    if folds[0].site:
        return f"The test part of {', '.join(repr(fold.site) for fold in folds)} holds no patient"
    return f"The test part of {len(folds)} of {n_folds} folds holds no patient"


def _linked_notes(folds: Sequence[Fold], analysed: set[str]) -> list[str]:
    others = {name for fold in folds for name in fold.linked}
    notes = []
    if others & analysed:
        notes.append(
            f"{len(others & analysed)} patients share a recording with a patient of another site: where that site was "
            "tested, they did not train."
        )
    if others - analysed:
        notes.append(
            f"{len(others - analysed)} patients without an analysed outcome, or of other cohorts, share a recording "
            "with a patient analysed, or are that patient by their pseudonym: where that patient was tested, no "
            "encoder was pretrained on them."
        )
    return notes
