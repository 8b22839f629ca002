"""All segments of a study as indices into samples: overlapping segments cost no memory of their own."""

from __future__ import annotations

import hashlib
import warnings
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ppgssl.core.errors import TrainingError
from ppgssl.selfsupervised.sampling import Locality


class SegmentBank:
    """Samples of all recordings in memory, and where each segment lies in them.

    Parameters
    ----------
    samples : array, shape (n_channels, n_samples)
        Recordings one after another. Samples that no segment touches may be NaN. Never written to, nor copied if they
        are float32.
    starts : int array, shape (n_segments,)
        First sample of each segment.
    length : int
        Samples of a segment.
    offset, scale : arrays, shape (n_segments, n_channels)
        Normalisation: a segment is delivered as ``(samples - offset) * scale``.
    samples_sha256 : str or None
        Hash of the samples, where it is known already.

    Raises
    ------
    TrainingError
        If the shapes do not fit together, or a segment reaches beyond the samples.
    """

    _on_device: ClassVar[tuple[str, ...]] = ("samples", "starts", "offset", "scale")

    def __init__(
        self,
        samples: ArrayLike,
        starts: ArrayLike,
        length: int,
        offset: ArrayLike,
        scale: ArrayLike,
        *,
        samples_sha256: str | None = None,
    ) -> None:
        self.samples = _tensor(samples, torch.float32)
        self._set_segments(starts, length, offset, scale)
        self._samples_sha256 = samples_sha256
        if self.samples.ndim != 2 or self.starts.ndim != 1:
            raise TrainingError(
                "a segment bank needs samples of shape (n_channels, n_samples) and starts of shape (n_segments,), and "
                f"was given {tuple(self.samples.shape)} and {tuple(self.starts.shape)}"
            )
        self._check(self.samples.shape[1])

    def _set_segments(self, starts: ArrayLike, length: int, offset: ArrayLike, scale: ArrayLike) -> None:
        self.starts = _tensor(starts, torch.int64)
        self.length = int(length)
        self.offset = _tensor(offset, torch.float32)
        self.scale = _tensor(scale, torch.float32)

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

    @property
    def locality(self) -> Locality | None:
        """Where segments lie, if asking for those of a few blocks at a time is what makes ``gather`` fast."""
        return None

    def keep(self, index: ArrayLike | Tensor) -> None:
        """Hold these segments in memory from now on, if there is room: they will be asked for again and again."""

    def gather(self, index: ArrayLike | Tensor) -> Tensor:
        """Normalised segments.

        Parameters
        ----------
        index : int64 array or tensor of any shape
            Segment numbers.

        Returns
        -------
        float32 tensor, shape (*index.shape, n_channels, length)
            Contiguous, on the bank's device.
        """
        chosen = torch.as_tensor(index, dtype=torch.int64)
        numbers = chosen.reshape(-1).to(self.device)
        segments = self._raw(numbers)
        segments.sub_(self.offset[numbers].unsqueeze(-1)).mul_(self.scale[numbers].unsqueeze(-1))
        return segments.reshape(*chosen.shape, self.n_channels, self.length)

    def _raw(self, numbers: Tensor) -> Tensor:
        """Segments as stored, a contiguous tensor of their own."""
        cut = _cut_on_cpu if self.device.type == "cpu" else _cut
        return cut(self.samples, self.starts[numbers], self.length)

    def to(self, device: torch.device | str) -> SegmentBank:
        """The same bank on a device; itself if it is there already."""
        if torch.device(device) == self.device:
            return self
        moved = object.__new__(type(self))
        moved.__dict__.update(self.__dict__)
        for name in self._on_device:
            setattr(moved, name, getattr(self, name).to(device))
        return moved

    def sha256(self) -> str:
        """Hash of everything that ``gather`` can deliver."""
        samples = self._samples_sha256 or hashlib.sha256(_bytes(self.samples)).hexdigest()
        digest = hashlib.sha256(str((self.n_channels, self.length, samples)).encode())
        for values in (self.starts, self.offset, self.scale):
            digest.update(_bytes(values))
        return digest.hexdigest()


def _cut(samples: Tensor, starts: Tensor, length: int) -> Tensor:
    """Stretches of the samples, shape (len(starts), n_channels, length), contiguous."""
    every = samples.unfold(1, length, 1)  # a view
    return every[:, starts].transpose(0, 1).contiguous()


def _cut_on_cpu(samples: Tensor, starts: Tensor, length: int) -> Tensor:
    """As :func:`_cut`, two to five times as fast: ``index_select`` copies whole rows, here of overlapping stretches."""
    shape = (samples.shape[1] - length + 1, samples.shape[0], length)
    return samples.as_strided(shape, (1, samples.stride(0), 1)).index_select(0, starts)


def _bytes(values: Tensor) -> memoryview:
    return np.ascontiguousarray(values.cpu().numpy()).data


def _tensor(values: ArrayLike, dtype: torch.dtype) -> Tensor:
    with warnings.catch_warnings():
        # Of arrays that are read-only, as those shared by several processes are: nothing here writes to them.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.as_tensor(np.ascontiguousarray(values)).to(dtype)
