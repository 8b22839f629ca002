"""From the embeddings of a patient's segments to the log odds of the event: the last part of a network end to end."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn


class MeanHead(nn.Module):
    """One linear map for each segment; a patient's risk is the mean of the segments' risks, as published."""

    bag_size: ClassVar[int] = 1

    def __init__(self, embedding_dim: int) -> None:
        super().__init__()
        self.linear = _flat_linear(embedding_dim)

    def forward(self, bags: Tensor) -> Tensor:
        """Log odds, shape (n_bags,), of bags of one segment, shape (n_bags, 1, embedding_dim)."""
        return self.linear(bags[:, 0]).squeeze(-1)

    def risk(self, embeddings: Tensor) -> Tensor:
        """Risk of the patient whose segments have these embeddings, shape (n_segments, embedding_dim)."""
        return torch.sigmoid(self.linear(embeddings)).mean()


class AttentionHead(nn.Module):
    """Gated attention: a linear map of a mean of the segments' embeddings, whose weights come from the embeddings.

    ``a_k = softmax_k(w . (tanh(V h_k) * sigmoid(U h_k)))`` [1]_, equations 8 and 9. With the first weights, all
    segments weigh the same. In training a bag is a draw of eight of the patient's segments; a prediction sees them all.

    .. [1] Ilse, Tomczak & Welling, Attention-based deep multiple instance learning, ICML 2018, arXiv:1802.04712.
    """

    bag_size: ClassVar[int] = 8
    _WIDTH: ClassVar[int] = 32

    def __init__(self, embedding_dim: int) -> None:
        super().__init__()
        self.content = nn.Linear(embedding_dim, self._WIDTH)
        self.gate = nn.Linear(embedding_dim, self._WIDTH)
        self.score = _flat_linear(self._WIDTH)
        self.linear = _flat_linear(embedding_dim)

    def weights(self, bags: Tensor) -> Tensor:
        """Weight of each segment in its bag, shape (n_bags, n_segments); each bag's add up to one."""
        score = self.score(torch.tanh(self.content(bags)) * torch.sigmoid(self.gate(bags)))
        return torch.softmax(score.squeeze(-1), dim=1)

    def forward(self, bags: Tensor) -> Tensor:
        """Log odds, shape (n_bags,), of bags of segments, shape (n_bags, n_segments, embedding_dim)."""
        pooled = (self.weights(bags).unsqueeze(-1) * bags).sum(dim=1)
        return self.linear(pooled).squeeze(-1)

    def risk(self, embeddings: Tensor) -> Tensor:
        """Risk of the patient whose segments have these embeddings, shape (n_segments, embedding_dim)."""
        return torch.sigmoid(self(embeddings.unsqueeze(0))).squeeze(0)


HEADS: dict[str, type[MeanHead] | type[AttentionHead]] = {"mean": MeanHead, "attention": AttentionHead}


def _flat_linear(n_inputs: int) -> nn.Linear:
    """A linear map to one number that starts at zero: no guess before anything is known."""
    linear = nn.Linear(n_inputs, 1)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear
