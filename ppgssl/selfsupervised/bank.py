"""All segments of a study as indices into resident samples: overlapping segments cost no memory of their own."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ppgssl.errors import TrainingError


class SegmentBank:
    """Samples of all recordings, and where each segment lies in them.

    Parameters
    ----------
    samples : array, shape (n_channels, n_samples)
        Recordings one after another. Samples that no segment touches may be NaN.
    starts : int array, shape (n_segments,)
        First sample of each segment.
    length : int
        Samples of a segment.
    offset, scale : arrays, shape (n_segments, n_channels)
        Normalisation: a segment is delivered as ``(samples - offset) * scale``.

    Raises
    ------
    TrainingError
        If the shapes do not fit together, or a segment reaches beyond the samples.
    """

    def __init__(self, samples: ArrayLike, starts: ArrayLike, length: int, offset: ArrayLike, scale: ArrayLike) -> None:
        self.samples = _tensor(samples, torch.float32)
        self.starts = _tensor(starts, torch.int64)
        self.length = int(length)
        self.offset = _tensor(offset, torch.float32)
        self.scale = _tensor(scale, torch.float32)
        self._check()

    def _check(self) -> None:
        if self.samples.ndim != 2 or self.starts.ndim != 1:
            raise TrainingError(
                "a segment bank needs samples of shape (n_channels, n_samples) and starts of shape (n_segments,), and "
                f"was given {tuple(self.samples.shape)} and {tuple(self.starts.shape)}"
            )
        expected = (len(self.starts), self.n_channels)
        for name, values in (("offset", self.offset), ("scale", self.scale)):
            if tuple(values.shape) != expected:
                raise TrainingError(
                    f"{name} must have the shape (n_segments, n_channels) = {expected}, and has {tuple(values.shape)}"
                )
        last = self.samples.shape[1] - self.length
        is_outside = (self.starts < 0) | (self.starts > last)
        if self.length < 1 or bool(is_outside.any()):
            raise TrainingError(
                f"{int(is_outside.sum())} of {len(self)} segments of {self.length} samples reach beyond the "
                f"{self.samples.shape[1]} samples: starts must lie in 0..{last}"
            )

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def n_channels(self) -> int:
        return int(self.samples.shape[0])

    @property
    def device(self) -> torch.device:
        return self.samples.device

    def gather(self, index: ArrayLike | Tensor) -> Tensor:
        """Normalised segments, float32, shape (len(index), n_channels, length)."""
        chosen = torch.as_tensor(index, dtype=torch.int64).to(self.device)
        windows = self.samples.unfold(1, self.length, 1)  # a view: every stretch of that length
        raw = windows[:, self.starts[chosen]].transpose(0, 1)
        return (raw - self.offset[chosen].unsqueeze(-1)) * self.scale[chosen].unsqueeze(-1)

    def to(self, device: torch.device | str) -> SegmentBank:
        """The same bank on a device; itself if it is there already."""
        if torch.device(device) == self.device:
            return self
        moved = object.__new__(SegmentBank)
        moved.length = self.length
        for name in ("samples", "starts", "offset", "scale"):
            setattr(moved, name, getattr(self, name).to(device))
        return moved

    def sha256(self) -> str:
        """Hash of everything that ``gather`` can deliver."""
        digest = hashlib.sha256(str((self.n_channels, self.length)).encode())
        for values in (self.samples, self.starts, self.offset, self.scale):
            digest.update(np.ascontiguousarray(values.cpu().numpy()).data)
        return digest.hexdigest()


def _tensor(values: ArrayLike, dtype: torch.dtype) -> Tensor:
    # A copy where the array is read-only (as from an Arrow table): torch warns of those.
    array = np.ascontiguousarray(values)
    return torch.as_tensor(array if array.flags.writeable else array.copy()).to(dtype)
