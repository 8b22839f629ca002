"""Masked autoencoder: intervals of a segment are hidden, and the network has to fill them in."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ppgssl.core.config.pretraining import MaskOptions
from ppgssl.core.errors import TrainingError
from ppgssl.selfsupervised.encoders.base import EncoderNetwork
from ppgssl.selfsupervised.objectives.base import Draws, visible_channels
from ppgssl.selfsupervised.objectives.reconstruction import ReconstructionObjective, is_present


class MaskedAutoencoder(ReconstructionObjective):
    """Encoder, decoder and the loss of filling in what was hidden [1]_.

    Hidden samples are the same times in all channels, or else one channel betrays the other; by option, each channel
    has its own (then the network learns how the channels hang together). A convolution cannot leave hidden samples out
    as the transformer of [1]_ does; they are replaced by a value learned for each channel, as in SimMIM [2]_, and the
    loss counts hidden samples alone. The encoder gets no mask: a constant interval in a band-passed signal gives itself
    away, and the encoder's input stays what it is once pretraining is over. (Sparse convolutions [3]_ would keep the
    mask out of the features altogether, at a price that such small networks need not pay.)

    References
    ----------
    .. [1] He et al., Masked autoencoders are scalable vision learners, CVPR 2022, arXiv:2111.06377.
    .. [2] Xie et al., SimMIM: a simple framework for masked image modeling, CVPR 2022, arXiv:2111.09886.
    .. [3] Tian et al., Designing BERT for convolutional networks: sparse and hierarchical masked modeling, ICLR 2023,
       arXiv:2301.03580.
    """

    name = "masked-autoencoder"
    score_name = "variance explained of hidden samples"

    def __init__(
        self, encoder: EncoderNetwork, options: MaskOptions, *, fs_hz: float, channel_dropout: float = 0.0
    ) -> None:
        super().__init__(encoder, loss=options.loss, fs_hz=fs_hz, channel_dropout=channel_dropout)
        self.mask_value = nn.Parameter(torch.zeros(encoder.n_channels, 1))
        self.mask_ratio = options.mask_ratio
        self.n_masks = encoder.n_channels if options.mask_channels == "apart" else 1
        self.group = max(1, round(options.mask_group_s * fs_hz))

    def draw(self, n: int, length: int, generator: torch.Generator) -> Draws:
        """``mask``, bool, shape (n, 1 or n_channels, length): in each row the same number of groups is hidden.

        A ``TrainingError`` is raised if groups are so long that a segment would be hidden whole.
        """
        n_groups = -(-length // self.group)
        n_hidden = self._n_hidden(n_groups, length)
        chance = torch.rand(n, self.n_masks, n_groups, generator=generator, device=generator.device)
        groups = chance.argsort(dim=-1).argsort(dim=-1) < n_hidden  # drawn without replacement
        mask = groups.repeat_interleave(self.group, dim=-1)[..., :length]
        return {**super().draw(n, length, generator), "mask": mask}

    def reconstruct(self, batch: Tensor, draws: Draws) -> Tensor:
        hidden = draws["mask"] & is_present(batch)
        visible = visible_channels(torch.where(hidden, self.mask_value, batch), draws)
        output: Tensor = self.decoder(self.encoder(visible), batch.shape[-1])
        return output.float()

    def hidden(self, batch: Tensor, draws: Draws) -> Tensor:
        return draws["mask"].expand_as(batch)

    def counted(self, batch: Tensor, draws: Draws) -> Tensor:
        return super().counted(batch, draws) & draws["mask"]

    def _n_hidden(self, n_groups: int, length: int) -> int:
        if n_groups < 2:
            raise TrainingError(
                f"cannot hide intervals of {self.group / self.fs_hz:g} s in segments of {length / self.fs_hz:g} s: "
                "nothing would be left to see. Lower `pretraining.objective.mask_group_s` to half of "
                "`inputs.segment_s` or less."
            )
        return min(max(1, round(self.mask_ratio * n_groups)), n_groups - 1)
