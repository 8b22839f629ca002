"""Which segments a step sees: random permutations, one after another, without gaps between epochs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ppgssl.core.errors import TrainingError
from ppgssl.core.records import BoolArray, IntArray


class _Sampler(ABC):
    """Batches off a queue that is an epoch long, and is filled again when it runs out.

    A batch may span the end of an epoch, so all batches are of one size even where an epoch is shorter than that.
    """

    def __init__(self, batch_size: int, queue: Tensor, *, seed: int) -> None:
        self.batch_size, self.queue = batch_size, queue
        self.generator = torch.Generator().manual_seed(seed)

    @abstractmethod
    def _epoch(self) -> Tensor:
        """All rows of an epoch, in order."""

    def draw(self) -> Tensor:
        while len(self.queue) < self.batch_size:
            self.queue = torch.cat([self.queue, self._epoch()])
        batch, self.queue = self.queue[: self.batch_size], self.queue[self.batch_size :]
        return batch

    def state_dict(self) -> dict[str, Any]:
        return {"queue": self.queue.clone(), "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.queue = state["queue"]
        self.generator.set_state(state["generator"])


class EpochSampler(_Sampler):
    """Batches of segment numbers, shape (batch_size,); each comes once an epoch, in an order that the seed decides."""

    def __init__(self, index: Tensor, batch_size: int, *, seed: int) -> None:
        super().__init__(batch_size, torch.empty(0, dtype=torch.int64), seed=seed)
        self.index = index

    def _epoch(self) -> Tensor:
        return self.index[torch.randperm(len(self.index), generator=self.generator)]


class PairSampler(_Sampler):
    """Pairs of non-overlapping segments of one patient, the positive pairs of contrastive learning [1]_.

    ``draw()`` gives segment numbers, shape (batch_size, 2): anchors and their partners. In an epoch, each segment of an
    eligible patient that has a partner is an anchor once; its partner is any of the patient's segments that do not
    overlap it, each with equal chance. Segments of different recordings never overlap; those of one recording do if
    their starts are less than ``length`` apart.

    Each patient's anchors are spread over the epoch, one at a random place in each of as many equal intervals as the
    patient has anchors: a batch then seldom holds two pairs of one patient, which a loss that contrasts pairs (NT-Xent)
    would treat as pairs of different patients, and no part of the epoch belongs to the patients with the most segments.

    Parameters
    ----------
    index : int64 tensor, shape (n,)
        Segment numbers to draw from.
    patient, recording, start : int arrays, shape (n_segments,)
        Of all segments of the bank: codes of patient and of recording, and first sample.
    length : int
        Samples of a segment.
    min_segments : int
        Patients with fewer segments in ``index`` are left out; published: 16 [1]_.

    Raises
    ------
    TrainingError
        If no patient is eligible.

    References
    ----------
    .. [1] Mwaniki et al., Using self-supervised feature learning to improve the use of pulse oximeter signals to
       predict paediatric hospitalization, Wellcome Open Research 6:248, 2023, 10.12688/wellcomeopenres.17148.2.
    """

    def __init__(
        self,
        index: Tensor,
        batch_size: int,
        *,
        patient: ArrayLike,
        recording: ArrayLike,
        start: ArrayLike,
        length: int,
        min_segments: int,
        seed: int,
    ) -> None:
        super().__init__(batch_size, torch.empty((0, 2), dtype=torch.int64), seed=seed)
        numbers = index.numpy()
        group = np.unique(np.asarray(patient)[numbers], return_inverse=True)[1]
        pairs = _Pairs(numbers, group, np.asarray(recording)[numbers], np.asarray(start)[numbers], length)
        is_eligible = (np.bincount(group)[group] >= min_segments) & _any_of_group(group, pairs.n_partners > 0)
        if not is_eligible.any():
            n_most = int(np.bincount(group, minlength=1).max())
            raise TrainingError(
                f"no patient has {min_segments} segments, two of which do not overlap: of the {len(np.unique(group))} "
                f"patients to train on, the one with the most has {n_most}. Lower "
                "`pretraining.objective.min_segments`, or choose an objective that learns from single segments."
            )
        self._pairs = pairs.only(is_eligible)

    def _epoch(self) -> Tensor:
        pairs = self._pairs
        anchors = np.flatnonzero(pairs.n_partners)
        order = anchors[np.argsort(self._spread(pairs.group[anchors]), kind="stable")]
        partners = pairs.partners(order, self._uniform(len(order)))
        return torch.from_numpy(np.stack([pairs.index[order], pairs.index[partners]], axis=1))

    def _spread(self, group: IntArray) -> np.ndarray:
        """A place in 0..1 for each row: those of a group one in each of as many equal intervals, in random order."""
        order = torch.randperm(len(group), generator=self.generator).numpy()
        order = order[np.argsort(group[order], kind="stable")]  # by group, and at random within
        place = np.empty(len(group))
        counts = np.bincount(group)
        rank = np.arange(len(group)) - (np.cumsum(counts) - counts)[group[order]]
        place[order] = (rank + self._uniform(len(group))) / counts[group[order]]
        return place

    def _uniform(self, n: int) -> np.ndarray:
        return torch.rand(n, generator=self.generator, dtype=torch.float64).numpy()


class _Pairs:
    """Segments sorted by group, recording and start: what overlaps a segment then lies in one interval around it.

    ``index`` and ``group`` are segment numbers and who may be paired with whom, ``n_partners`` the segments of the same
    group that do not overlap this one; all int64, shape (n,), in the order given.
    """

    def __init__(self, index: IntArray, group: IntArray, recording: IntArray, start: IntArray, length: int) -> None:
        self.index, self.group, self._recording, self._start, self._length = index, group, recording, start, length
        self._order = np.lexsort((start, recording, group))
        sorted_group, sorted_start = group[self._order], start[self._order]
        # A line on which recordings of one group and of others lie more than a segment apart.
        is_new = np.diff(recording[self._order], prepend=-1) != 0
        is_new[1:] |= np.diff(sorted_group) != 0
        line = np.cumsum(is_new) * (int(start.max(initial=0)) + 2 * length) + sorted_start
        self._first = self._unsorted(np.searchsorted(line, line - length, side="right"))
        last = self._unsorted(np.searchsorted(line, line + length, side="left"))
        self._begin = np.searchsorted(sorted_group, group, side="left")
        self._n_overlapping = last - self._first
        self.n_partners = np.searchsorted(sorted_group, group, side="right") - self._begin - self._n_overlapping

    def _unsorted(self, values: IntArray) -> IntArray:
        result = np.empty_like(values)
        result[self._order] = values
        return result

    def only(self, kept: BoolArray) -> _Pairs:
        """Of these segments alone."""
        return _Pairs(self.index[kept], self.group[kept], self._recording[kept], self._start[kept], self._length)

    def partners(self, of: IntArray, uniform: np.ndarray) -> IntArray:
        """A partner for each of these rows, chosen by a number in 0..1; all are rows, not segment numbers."""
        n = self.n_partners[of]
        place = self._begin[of] + np.minimum((uniform * n).astype(np.int64), n - 1)
        place += np.where(place >= self._first[of], self._n_overlapping[of], 0)  # over those that overlap
        return self._order[place]


def _any_of_group(group: IntArray, is_true: BoolArray) -> BoolArray:
    """Whether it is true of any row of the group of each row."""
    return np.bincount(group, weights=is_true)[group] > 0
