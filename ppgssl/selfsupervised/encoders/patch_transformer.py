"""Transformer over patches of samples."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from ppgssl.core.config.pretraining import PatchTransformerShape
from ppgssl.selfsupervised.encoders.base import EncoderNetwork

_MLP_RATIO = 4
# Wave lengths of the positions run from 2 pi tokens up to this many times as long.
_LONGEST = 10_000.0


class PatchTransformer(EncoderNetwork):
    """Transformer whose tokens are patches of samples [1]_, [2]_.

    A patch holds ``patch_samples`` samples of all channels, so that a token sees how they hang together; one linear map
    makes it a token. Sines and cosines [3]_ encode its position, so that segments of any length work; one that is no
    multiple of a patch is padded with zeros. Normalisation stands before attention and before the two-layer network of
    each block, and not in the residual path, in which the amplitude of a segment stays.

    References
    ----------
    .. [1] Dosovitskiy et al., An image is worth 16x16 words: transformers for image recognition at scale, ICLR 2021,
       arXiv:2010.11929.
    .. [2] Nie et al., A time series is worth 64 words: long-term forecasting with transformers, ICLR 2023,
       arXiv:2211.14730.
    .. [3] Vaswani et al., Attention is all you need, NeurIPS 2017, arXiv:1706.03762.
    """

    name = "patch-transformer"

    def __init__(self, n_channels: int, shape: PatchTransformerShape) -> None:
        depth_dims = [shape.width] * (shape.n_blocks + 1)
        super().__init__(n_channels, shape, depth_dims, stride=shape.patch_samples)
        self.patch_samples = shape.patch_samples
        self.embedding = nn.Linear(n_channels * shape.patch_samples, shape.width)
        self.blocks = nn.ModuleList(TransformerBlock(shape.width, shape.n_heads) for _ in range(shape.n_blocks))

    def feature_maps(self, x: Tensor) -> list[Tensor]:
        """Tokens after the embedding and after each block, each of shape (batch, width, n_tokens)."""
        tokens = self.embedding(self._patches(x))
        tokens = tokens + positions(tokens.shape[1], tokens.shape[2], like=tokens)
        maps = [tokens]
        for block in self.blocks:
            maps.append(block(maps[-1]))
        return [tokens.transpose(1, 2) for tokens in maps]

    def make_decoder(self) -> PatchDecoder:
        return PatchDecoder(self)

    def _patches(self, x: Tensor) -> Tensor:
        """(batch, n_tokens, n_channels * patch_samples), the last patch filled up with zeros."""
        padded = functional.pad(x, (0, -x.shape[-1] % self.patch_samples))
        split = padded.unflatten(-1, (-1, self.patch_samples))
        return split.transpose(1, 2).flatten(2)


class PatchDecoder(nn.Module):
    """One linear map from a token to the samples of its patch: light on purpose, as a pretext decoder may be [1]_.

    References
    ----------
    .. [1] Xie et al., SimMIM: a simple framework for masked image modeling, CVPR 2022, arXiv:2111.09886.
    """

    def __init__(self, encoder: PatchTransformer) -> None:
        super().__init__()
        self.n_channels = encoder.n_channels
        self.normalise = nn.LayerNorm(encoder.n_features)
        self.samples = nn.Linear(encoder.n_features, encoder.n_channels * encoder.patch_samples)

    def forward(self, feature_map: Tensor, length: int) -> Tensor:
        """Samples, shape (batch, n_channels, length), of a feature map of shape (batch, n_features, n_tokens)."""
        patches = self.samples(self.normalise(feature_map.transpose(1, 2)))
        split = patches.unflatten(-1, (self.n_channels, -1)).transpose(1, 2)
        samples: Tensor = split.flatten(2)
        return samples[..., :length]


class TransformerBlock(nn.Module):
    """Attention and a two-layer network, each after normalisation and added to its input."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.before_attention, self.before_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.attended = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, _MLP_RATIO * width), nn.GELU(), nn.Linear(_MLP_RATIO * width, width))

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self._attend(self.before_attention(tokens))
        changed: Tensor = tokens + self.mlp(self.before_mlp(tokens))
        return changed

    def _attend(self, tokens: Tensor) -> Tensor:
        heads = self.queries_keys_values(tokens).unflatten(-1, (3, self.n_heads, -1))
        queries, keys, values = heads.permute(2, 0, 3, 1, 4).unbind(0)  # each (batch, n_heads, n_tokens, features)
        mixed = functional.scaled_dot_product_attention(queries, keys, values)
        attended: Tensor = self.attended(mixed.transpose(1, 2).flatten(2))
        return attended


def positions(n_tokens: int, width: int, *, like: Tensor) -> Tensor:
    """Sines, then cosines, of the token's number at wave lengths in geometric progression, shape (n_tokens, width)."""
    n_waves = -(-width // 2)
    number = torch.arange(n_tokens, device=like.device, dtype=torch.float32)
    per_token = torch.exp(torch.arange(n_waves, device=like.device) * (-math.log(_LONGEST) / n_waves))
    phase = number.unsqueeze(1) * per_token
    return torch.cat([phase.sin(), phase.cos()], dim=1)[:, :width].to(like.dtype)
