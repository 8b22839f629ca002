"""Samples that do not fit in memory: blocks are read when a segment of theirs is asked for, and kept while they fit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ppgssl.core.errors import StoreError
from ppgssl.core.records import FloatArray, IntArray
from ppgssl.store.row_groups import RowGroup


@dataclass(frozen=True)
class Places:
    """Where each recording of a study lies: in the study's numbering of samples, and in the blocks.

    Attributes
    ----------
    bounds : int64 array, shape (n_recordings + 1,)
        First sample of each recording in the study's numbering, and the number of samples.
    block, within : int64 arrays, shape (n_recordings,)
        Block that holds it, and its first sample there.
    """

    bounds: IntArray = field(repr=False)
    block: IntArray = field(repr=False)
    within: IntArray = field(repr=False)

    def recording(self, samples: IntArray) -> IntArray:
        """Number of the recording that each sample is of."""
        return np.searchsorted(self.bounds, samples, side="right") - 1


class StreamedSamples:
    """The samples of a study, read from its stores when they are needed.

    Pickled, it takes along where samples lie and none of them.

    Parameters
    ----------
    blocks : sequence of RowGroup
    places : Places
    budget_bytes : int
        Memory for blocks; one block is held in any case.
    """

    def __init__(self, blocks: Sequence[RowGroup], places: Places, budget_bytes: int) -> None:
        self.blocks, self.places, self.budget_bytes = tuple(blocks), places, budget_bytes
        self.n_channels = len(self.blocks[0].channels)
        n_samples = np.bincount(places.block, weights=np.diff(places.bounds), minlength=len(self.blocks))
        self.block_bytes = (4 * self.n_channels * n_samples).astype(np.int64)
        self._forget()

    def _forget(self) -> None:
        self._held: OrderedDict[int, FloatArray] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_held"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    @property
    def shape(self) -> tuple[int, int]:
        return self.n_channels, int(self.places.bounds[-1])

    @property
    def held_bytes(self) -> int:
        """Memory that blocks take now."""
        return sum(block.nbytes for block in self._held.values())

    def read_all(self) -> FloatArray:
        """All samples in the study's numbering, float32, shape (n_channels, n_samples); each block is read once."""
        samples, places = np.empty(self.shape, dtype=np.float32), self.places
        order = np.argsort(places.block, kind="stable")
        bounds = np.searchsorted(places.block[order], np.arange(len(self.blocks) + 1))
        for number, (begin, end) in enumerate(pairwise(bounds)):
            block = self._read(number)
            for recording in order[begin:end]:
                first, last = places.bounds[recording : recording + 2]
                within = places.within[recording]
                samples[:, first:last] = block[:, within : within + last - first]
        return samples

    def sharing(self, n: int) -> StreamedSamples:
        """The same samples for one of n processes that share the memory."""
        return StreamedSamples(self.blocks, self.places, self.budget_bytes // n)

    def block_of(self, starts: IntArray) -> IntArray:
        """The block that holds each segment, given its first sample."""
        return self.places.block[self.places.recording(starts)]

    def segments(self, starts: IntArray, length: int) -> FloatArray:
        """Segments as stored, float32, shape (len(starts), n_channels, length); each block is read at most once.

        Raises
        ------
        StoreError
            If a block cannot be read.
        """
        recording = self.places.recording(starts)
        first = starts - self.places.bounds[recording] + self.places.within[recording]
        block = self.places.block[recording]
        segments = np.empty((len(starts), self.n_channels, length), dtype=np.float32)
        # Those in memory first, before others take their place.
        for number in sorted(set(block.tolist()), key=lambda number: number not in self._held):
            rows = np.flatnonzero(block == number)
            windows = sliding_window_view(self._block(number), length, axis=1)
            segments[rows] = windows[:, first[rows]].swapaxes(0, 1)
        return segments

    def _block(self, number: int) -> FloatArray:
        if number in self._held:
            self._held.move_to_end(number)
            return self._held[number]
        size = int(self.block_bytes[number])
        while self._held and self.held_bytes + size > self.budget_bytes:
            self._held.popitem(last=False)
        self._held[number] = self._read(number)
        return self._held[number]

    def _read(self, number: int) -> FloatArray:
        samples, _ = self.blocks[number].samples()
        if samples.nbytes != self.block_bytes[number]:
            raise StoreError(
                f"{self.blocks[number].file} has changed since the study was loaded: run the same command again"
            )
        return samples
