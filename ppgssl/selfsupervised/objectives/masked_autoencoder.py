"""Masked autoencoder: stretches of a segment are hidden, and the network has to fill them in."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ppgssl.config import Pretraining
from ppgssl.errors import TrainingError
from ppgssl.selfsupervised.encoders import ResNet1d, ResNet1dDecoder


class MaskedAutoencoder(nn.Module):
    """Encoder, decoder and the loss of filling in what was hidden [1]_.

    Hidden samples are the same times in all channels, or else one channel would betray the other. A convolution cannot
    leave hidden samples out as the transformer of [1]_ does; they are replaced by a value learned for each channel, as
    in SimMIM [2]_, and the loss counts hidden samples alone. The encoder is not told the mask: a constant stretch in a
    band-passed signal gives itself away, and the encoder's input stays what it is once pretraining is over. (Sparse
    convolutions [3]_ would keep the mask out of the features altogether, at a price that such small networks need not
    pay.)

    Parameters
    ----------
    encoder : ResNet1d
    settings : config.Pretraining
        ``mask_ratio`` 0 makes a plain autoencoder whose loss counts all samples.
    fs_hz : float
        Sampling rate of the segments.

    References
    ----------
    .. [1] He et al., Masked autoencoders are scalable vision learners, CVPR 2022, arXiv:2111.06377.
    .. [2] Xie et al., SimMIM: a simple framework for masked image modeling, CVPR 2022, arXiv:2111.09886.
    .. [3] Tian et al., Designing BERT for convolutional networks: sparse and hierarchical masked modeling, ICLR 2023,
       arXiv:2301.03580.
    """

    def __init__(self, encoder: ResNet1d, settings: Pretraining, *, fs_hz: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = ResNet1dDecoder(encoder)
        self.mask_value = nn.Parameter(torch.zeros(encoder.n_channels, 1))
        self.mask_ratio = settings.mask_ratio
        self.group = max(1, round(settings.mask_group_s * fs_hz))
        self.fs_hz = fs_hz

    def loss(self, batch: Tensor, generator: torch.Generator) -> Tensor:
        """Mean squared error over hidden samples, of segments of shape (batch, n_channels, length)."""
        mask, reconstruction = self.reconstruct(batch, generator)
        squared = (reconstruction - batch).square()
        if self.mask_ratio == 0:
            return squared.mean()
        return (squared * mask).sum() / (mask.sum() * batch.shape[1])

    def reconstruct(self, batch: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Hide, encode, decode.

        Returns
        -------
        mask : bool tensor, shape (batch, 1, length)
            True where samples were hidden, in all channels.
        reconstruction : tensor, shape of ``batch``
        """
        mask = self.draw_mask(len(batch), batch.shape[-1], generator).to(batch.device)
        visible = torch.where(mask, self.mask_value, batch)
        return mask, self.decoder(self.encoder(visible), batch.shape[-1]).float()

    def judged(self, mask: Tensor) -> Tensor:
        """Samples that the loss counts, shape of ``mask``: hidden ones, or all where nothing is hidden."""
        return mask if self.mask_ratio > 0 else torch.ones_like(mask)

    def draw_mask(self, n_segments: int, length: int, generator: torch.Generator) -> Tensor:
        """Masks, shape (n_segments, 1, length): in each segment the same number of groups, drawn without replacement.

        Drawn on the CPU, so that one seed hides the same samples on every device.

        Raises
        ------
        TrainingError
            If groups are so long that a segment would be hidden whole.
        """
        n_groups = -(-length // self.group)
        n_hidden = self._n_hidden(n_groups, length)
        rank = torch.rand(n_segments, n_groups, generator=generator).argsort(dim=1).argsort(dim=1)
        groups = rank < n_hidden
        return groups.repeat_interleave(self.group, dim=1)[:, None, :length]

    def _n_hidden(self, n_groups: int, length: int) -> int:
        if self.mask_ratio == 0:
            return 0
        if n_groups < 2:
            raise TrainingError(
                f"cannot hide stretches of {self.group / self.fs_hz:g} s in segments of {length / self.fs_hz:g} s: "
                "nothing would be left to see. Lower `pretraining.mask_group_s` to half of `inputs.segment_s` or less."
            )
        return min(max(1, round(self.mask_ratio * n_groups)), n_groups - 1)
