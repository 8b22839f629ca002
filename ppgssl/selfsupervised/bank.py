"""All segments of a study as indices into samples: overlapping segments cost no memory of their own."""

from __future__ import annotations

import hashlib
import warnings

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ppgssl.core.errors import TrainingError
from ppgssl.store.samples import SamplesFile


class SegmentBank:
    """Samples of all recordings, and where each segment lies in them.

    ``samples``, shape (n_channels, n_samples), are recordings one after another; those that no segment touches may be
    NaN. They are never written to, nor copied if they are float32. Of a file, segments are read when they are asked
    for; on a GPU, they are normalised there. ``starts``, shape (n_segments,), are the first samples of segments of
    ``length`` samples; each is delivered as ``(samples - offset) * scale``, both of shape (n_segments, n_channels).

    Raises
    ------
    TrainingError
        If the shapes do not fit together, or a segment reaches beyond the samples.
    """

    def __init__(
        self,
        samples: ArrayLike | SamplesFile,
        starts: ArrayLike,
        length: int,
        offset: ArrayLike,
        scale: ArrayLike,
        *,
        samples_sha256: str | None = None,
    ) -> None:
        self.samples = samples if isinstance(samples, SamplesFile) else _tensor(samples, torch.float32)
        self.starts, self.length = _tensor(starts, torch.int64), int(length)
        self.offset, self.scale = _tensor(offset, torch.float32), _tensor(scale, torch.float32)
        self._samples_sha256 = samples_sha256
        if len(self.samples.shape) != 2 or self.starts.ndim != 1:
            raise TrainingError(
                "a segment bank needs samples of shape (n_channels, n_samples) and starts of shape (n_segments,), and "
                f"was given {tuple(self.samples.shape)} and {tuple(self.starts.shape)}"
            )
        self._check(self.samples.shape[1])

    def _check(self, n_samples: int) -> None:
        expected = (len(self.starts), self.n_channels)
        for name, values in (("offset", self.offset), ("scale", self.scale)):
            if tuple(values.shape) != expected:
                raise TrainingError(
                    f"{name} must have the shape (n_segments, n_channels) = {expected}, and has {tuple(values.shape)}"
                )
        last = n_samples - self.length
        is_outside = (self.starts < 0) | (self.starts > last)
        if self.length < 1 or bool(is_outside.any()):
            raise TrainingError(
                f"{int(is_outside.sum())} of {len(self)} segments of {self.length} samples reach beyond the "
                f"{n_samples} samples: starts must lie in 0..{last}"
            )

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def n_channels(self) -> int:
        return int(self.samples.shape[0])

    @property
    def device(self) -> torch.device:
        return self.offset.device

    def gather(self, index: ArrayLike | Tensor) -> Tensor:
        """Normalised segments of these numbers: float32, contiguous, shape (*index.shape, n_channels, length)."""
        chosen = torch.as_tensor(index, dtype=torch.int64)
        numbers = chosen.reshape(-1).to(self.device)
        segments = self._raw(numbers)
        segments.sub_(self.offset[numbers].unsqueeze(-1)).mul_(self.scale[numbers].unsqueeze(-1))
        return segments.reshape(*chosen.shape, self.n_channels, self.length)

    def _raw(self, numbers: Tensor) -> Tensor:
        """Segments as stored, a contiguous tensor of their own."""
        if isinstance(self.samples, SamplesFile):
            starts = self.starts[numbers].cpu().numpy()
            return torch.from_numpy(self.samples.segments(starts, self.length)).to(self.device)
        cut = _cut_on_cpu if self.device.type == "cpu" else _cut
        return cut(self.samples, self.starts[numbers], self.length)

    def to(self, device: torch.device | str) -> SegmentBank:
        """The same bank on a device; itself if it is there already."""
        if torch.device(device) == self.device:
            return self
        moved = object.__new__(type(self))
        moved.__dict__.update(self.__dict__)
        for name, values in self.__dict__.items():
            if isinstance(values, Tensor):
                setattr(moved, name, values.to(device))
        return moved

    def sha256(self) -> str:
        """Hash of everything that ``gather`` can deliver."""
        samples = self._samples_sha256
        if samples is None:
            assert isinstance(self.samples, Tensor)  # a file is named by its hash
            samples = hashlib.sha256(_bytes(self.samples)).hexdigest()
        digest = hashlib.sha256(str((self.n_channels, self.length, samples)).encode())
        for values in (self.starts, self.offset, self.scale):
            digest.update(_bytes(values))
        return digest.hexdigest()


def _cut(samples: Tensor, starts: Tensor, length: int) -> Tensor:
    """Intervals of the samples, shape (len(starts), n_channels, length), contiguous."""
    every = samples.unfold(1, length, 1)  # a view
    return every[:, starts].transpose(0, 1).contiguous()


def _cut_on_cpu(samples: Tensor, starts: Tensor, length: int) -> Tensor:
    """As :func:`_cut`, two to five times as fast: ``index_select`` copies whole rows, here of overlapping intervals."""
    shape = (samples.shape[1] - length + 1, samples.shape[0], length)
    return samples.as_strided(shape, (1, samples.stride(0), 1)).index_select(0, starts)


def _bytes(values: Tensor) -> memoryview:
    return np.ascontiguousarray(values.cpu().numpy()).data


def _tensor(values: ArrayLike, dtype: torch.dtype) -> Tensor:
    with warnings.catch_warnings():
        # Of arrays that are read-only, as those shared by several processes are: nothing here writes to them.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.as_tensor(np.ascontiguousarray(values)).to(dtype)
