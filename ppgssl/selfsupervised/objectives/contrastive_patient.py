"""Contrastive learning: which two segments are of one patient?"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ppgssl.core.config.pretraining import ContrastiveOptions
from ppgssl.selfsupervised.encoders.base import EncoderNetwork
from ppgssl.selfsupervised.objectives.base import Draws, projection_head
from ppgssl.selfsupervised.objectives.two_views import TwoViewsObjective, partner


class ContrastivePatient(TwoViewsObjective):
    """Encoder, head, and the loss of picking a segment's partner out of a batch (NT-Xent [1]_).

    Partners are two non-overlapping segments of one patient, as in [2]_, or two augmentations of one segment, as in
    [1]_. All other segments of the batch count as strangers: of two pairs of one patient in a batch each is held to be
    strange to the other, so batches should mix patients.

    References
    ----------
    .. [1] Chen et al., A simple framework for contrastive learning of visual representations, ICML 2020,
       arXiv:2002.05709.
    .. [2] Mwaniki et al., Using self-supervised feature learning to improve the use of pulse oximeter signals to
       predict paediatric hospitalization, Wellcome Open Research 6:248, 2023, 10.12688/wellcomeopenres.17148.2.
    """

    name = "contrastive-patient"

    def __init__(
        self, encoder: EncoderNetwork, options: ContrastiveOptions, *, fs_hz: float, channel_dropout: float = 0.0
    ) -> None:
        del fs_hz
        width = encoder.moments_dim
        head = projection_head(width, width, options.projection_dim, n_layers=2)
        super().__init__(encoder, options, head, channel_dropout=channel_dropout)
        self.options = options

    def project(self, batch: Tensor, draws: Draws) -> Tensor:
        """Directions of the projections of both views, float32, shape (n, 2, n_dimensions)."""
        return functional.normalize(super().project(batch, draws), dim=-1)

    def compare(self, projections: Tensor) -> Tensor:
        options = self.options
        return nt_xent(projections, temperature=options.temperature, margin=options.margin, decoupled=options.decoupled)


def nt_xent(projections: Tensor, *, temperature: float, margin: float = 0.0, decoupled: bool = False) -> Tensor:
    """Normalised, temperature-scaled cross-entropy of picking each view's partner [1]_.

    With s the scalar product, i a view, p(i) its partner and t the temperature, the mean over i of

        -log( exp((s(i, p(i)) - margin) / t) / (exp((s(i, p(i)) - margin) / t) + sum of exp(s(i, k) / t)) )

    where k runs over all views but i and p(i).

    Parameters
    ----------
    projections : tensor, shape (n, 2, n_dimensions)
        Of length 1: both views of n samples.
    temperature : float
        Above 0; the lower it is, the more only the most similar strangers count.
    margin : float
        By how much a partner has to be more similar than a stranger. Additive margins come from face verification
        [2]_; against the other pairs of a batch they serve in sentence embedding [3]_.
    decoupled : bool
        Leave the first term of the denominator out [4]_. The gradient of a pair then does not fade as soon as its
        partner is found, which happens early in small batches; the loss can be negative.

    Returns
    -------
    tensor
        A scalar; 0 for a lone pair, as it has no strangers.

    References
    ----------
    .. [1] Chen et al., A simple framework for contrastive learning of visual representations, ICML 2020,
       arXiv:2002.05709.
    .. [2] Wang et al., Additive margin softmax for face verification, IEEE Signal Processing Letters 25:926, 2018,
       arXiv:1801.05599.
    .. [3] Yang et al., Improving multilingual sentence embedding using bi-directional dual encoder with additive
       margin softmax, IJCAI 2019, arXiv:1902.08564.
    .. [4] Yeh et al., Decoupled contrastive learning, ECCV 2022, arXiv:2110.06848.
    """
    views = projections.flatten(0, 1)
    if len(projections) < 2:
        return 0 * views.sum()
    number = torch.arange(len(views), device=views.device)
    is_partner = number == partner(number)[:, None]
    logits = (views @ views.T - margin * is_partner) / temperature
    positive = logits[number, partner(number)]
    is_self = number == number[:, None]
    left_out = is_self | is_partner if decoupled else is_self
    return (logits.masked_fill(left_out, -torch.inf).logsumexp(dim=-1) - positive).mean()
