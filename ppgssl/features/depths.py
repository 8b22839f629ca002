"""Every depth of a frozen encoder in one pass: which of them serves a task best?"""

from __future__ import annotations

import numpy as np
import torch

from ppgssl.core.records import FloatArray
from ppgssl.selfsupervised.encoders.base import EncoderNetwork

EVERY_DEPTH, LAST = "every-depth", "last"


class Depths:
    """Mean and SD over time of the feature maps of all depths, one after another; computed on a GPU if there is one.

    Attributes
    ----------
    parts : columns of ``every-depth`` (all), of ``depth-1``, ``depth-2``, ... (mean and SD of one depth; the deepest
        last), and of ``last`` (the mean alone of the last map, the representation of the published study).
    own : the part that the encoder itself gives to classifiers
    """

    def __init__(self, encoder: EncoderNetwork) -> None:
        self.encoder = encoder.eval().to("cuda" if torch.cuda.is_available() else "cpu")
        ends = 2 * np.cumsum(encoder.depth_dims)
        starts = ends - 2 * np.array(encoder.depth_dims)
        self.parts = {EVERY_DEPTH: slice(0, int(ends[-1]))}
        self.parts |= {
            f"depth-{i + 1}": slice(int(a), int(b)) for i, (a, b) in enumerate(zip(starts, ends, strict=True))
        }
        self.parts[LAST] = slice(int(starts[-1]), int(starts[-1]) + encoder.n_features)
        self.own = encoder.representation

    @torch.inference_mode()
    def __call__(self, segments: FloatArray) -> FloatArray:
        """Features of segments of shape (n, n_channels, length): float32, shape (n, 2 * sum of depth_dims)."""
        device = next(self.encoder.parameters()).device
        batch = torch.as_tensor(segments, dtype=torch.float32).to(device)
        return torch.cat(self.encoder.embed_depths(batch), dim=-1).cpu().numpy()
