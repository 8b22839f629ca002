"""The segment bank of a study whose samples do not fit in memory."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ppgssl.core.records import FloatArray
from ppgssl.selfsupervised.bank import SegmentBank
from ppgssl.selfsupervised.sampling import Locality
from ppgssl.store.streaming import StreamedSamples


class StreamedBank(SegmentBank):
    """As :class:`SegmentBank`, of samples that are read from the stores a block at a time.

    ``gather`` delivers the same segments, fast where it is asked for those of few blocks at a time: ``locality`` tells
    samplers which. On a GPU, normalisation runs there and samples stay with the processor.

    Parameters
    ----------
    samples : StreamedSamples
    starts, length, offset, scale, samples_sha256
        As of :class:`SegmentBank`; the hash must be known.
    """

    _on_device = ("offset", "scale")

    def __init__(
        self,
        samples: StreamedSamples,
        starts: ArrayLike,
        length: int,
        offset: ArrayLike,
        scale: ArrayLike,
        *,
        samples_sha256: str,
    ) -> None:
        self.streamed = samples
        self._set_segments(starts, length, offset, scale)
        self._samples_sha256 = samples_sha256
        self._kept = np.empty(0, dtype=np.int64)
        self._kept_segments = torch.empty((0, self.n_channels, self.length))
        self._check(samples.shape[1])

    @property
    def n_channels(self) -> int:
        return self.streamed.n_channels

    @property
    def locality(self) -> Locality:
        block = self.streamed.block_of(self.starts.numpy())
        return Locality(block, self.streamed.block_bytes, self.streamed.budget_bytes)

    def keep(self, index: ArrayLike | Tensor) -> None:
        """Hold these segments in memory beside the blocks, in place of those that were held before.

        If they take more than a quarter of what blocks may take, they are read whenever they are asked for, instead.
        """
        wanted = np.unique(torch.as_tensor(index, dtype=torch.int64).cpu().numpy())
        n_bytes = 4 * len(wanted) * self.n_channels * self.length
        self._kept = wanted if n_bytes <= self.streamed.budget_bytes // 4 else wanted[:0]
        self._kept_segments = self._read(self._kept)

    def _raw(self, numbers: Tensor) -> Tensor:
        wanted = numbers.cpu().numpy()
        place = np.searchsorted(self._kept, wanted)
        is_kept = np.append(self._kept, -1)[place] == wanted
        if not is_kept.any():
            return self._read(wanted).to(self.device)
        segments = torch.empty((len(wanted), self.n_channels, self.length))
        segments[torch.from_numpy(is_kept)] = self._kept_segments[place[is_kept]]
        segments[torch.from_numpy(~is_kept)] = self._read(wanted[~is_kept])
        return segments.to(self.device)

    def _read(self, numbers: np.ndarray) -> Tensor:
        return torch.from_numpy(self.streamed.segments(self.starts.numpy()[numbers], self.length))


def make_bank(
    samples: FloatArray | StreamedSamples,
    starts: ArrayLike,
    length: int,
    offset: ArrayLike,
    scale: ArrayLike,
    *,
    samples_sha256: str,
) -> SegmentBank:
    """The bank that suits the samples: see :class:`SegmentBank` and :class:`StreamedBank`."""
    if isinstance(samples, StreamedSamples):
        return StreamedBank(samples, starts, length, offset, scale, samples_sha256=samples_sha256)
    return SegmentBank(samples, starts, length, offset, scale, samples_sha256=samples_sha256)
