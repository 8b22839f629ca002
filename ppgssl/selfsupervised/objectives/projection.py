"""The head between the representation and the loss, which is thrown away after pretraining."""

from __future__ import annotations

from itertools import pairwise

from torch import nn


def projection_head(n_in: int, n_hidden: int, n_out: int, *, n_layers: int) -> nn.Sequential:
    """Layers from a representation of shape (n, n_in) to what a loss compares, shape (n, n_out).

    A loss makes the layer that it sees forget what does not serve it, and a head takes that upon itself [1]_.

    Representation and hidden layers are normalised over the dimensions of each segment alone [2]_. The published heads
    normalise over the batch instead; then a segment's projection depends on the other segments, which differ between
    processes and parts of a batch, and in which a network can find the partner without looking at the segment [1]_.
    The last layer has no offset: the losses here do not see one, or have no use for it.

    Parameters
    ----------
    n_in, n_hidden, n_out : int
        Dimensions of the representation, of hidden layers, and of the outcome.
    n_layers : int
        Linear layers, all but the last followed by normalisation and activation.

    References
    ----------
    .. [1] Chen et al., A simple framework for contrastive learning of visual representations, ICML 2020,
       arXiv:2002.05709.
    .. [2] Ba et al., Layer normalization, 2016, arXiv:1607.06450.
    """
    widths = [n_in, *[n_hidden] * (n_layers - 1)]
    layers: list[nn.Module] = [nn.LayerNorm(n_in)]
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.LayerNorm(after), nn.SiLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], n_out, bias=False))
