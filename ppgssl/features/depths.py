"""Every part of a frozen encoder's representation in one pass: which of them serves a task best?"""

from __future__ import annotations

import numpy as np
import torch

from ppgssl.core.records import FloatArray
from ppgssl.selfsupervised.encoders.base import EncoderNetwork

MOMENTS, READOUTS, LAST = "moments", "readouts", "last"


class Depths:
    """Mean and SD over time of the feature maps of all depths, then the readouts; computed on a GPU if there is one.

    Attributes
    ----------
    parts : columns of ``moments`` (those of all depths), of ``depth-1``, ``depth-2``, ... (mean and SD of one depth;
        the deepest last), and of ``last`` (the mean alone of the last map, the representation of the published study);
        of an encoder with readouts, of ``readouts`` (these alone) and ``moments+readouts`` (all).
    own : the part that the encoder itself gives to classifiers
    """

    def __init__(self, encoder: EncoderNetwork) -> None:
        self.encoder = encoder.eval().to("cuda" if torch.cuda.is_available() else "cpu")
        ends = 2 * np.cumsum(encoder.depth_dims)
        starts = ends - 2 * np.array(encoder.depth_dims)
        n_moments, n_readouts = int(ends[-1]), len(encoder.readout_names)
        self.parts = {MOMENTS: slice(0, n_moments)}
        if n_readouts:
            self.parts = {f"{MOMENTS}+{READOUTS}": slice(0, n_moments + n_readouts), **self.parts}
            self.parts[READOUTS] = slice(n_moments, n_moments + n_readouts)
        self.parts |= {
            f"depth-{i + 1}": slice(int(a), int(b)) for i, (a, b) in enumerate(zip(starts, ends, strict=True))
        }
        self.parts[LAST] = slice(int(starts[-1]), int(starts[-1]) + encoder.n_features)
        self.own = encoder.representation

    @torch.inference_mode()
    def __call__(self, segments: FloatArray) -> FloatArray:
        """Features of segments of shape (n, n_channels, length): float32, shape (n, n_features)."""
        device = next(self.encoder.parameters()).device
        batch = torch.as_tensor(segments, dtype=torch.float32).to(device)
        return torch.cat(self.encoder.embed_parts(batch), dim=-1).cpu().numpy()
