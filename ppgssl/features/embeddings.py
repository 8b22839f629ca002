"""Segments through a frozen encoder."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike

from ppgssl.core.records import FloatArray
from ppgssl.selfsupervised.bank import SegmentBank
from ppgssl.selfsupervised.encoders.base import EncoderNetwork


@torch.inference_mode()
def embed(encoder: EncoderNetwork, bank: SegmentBank, index: ArrayLike, *, batch_size: int = 1024) -> FloatArray:
    """Embeddings of segments, float32, shape (len(index), encoder.embedding_dim).

    Parameters
    ----------
    encoder : used in evaluation mode, and left in the mode it was in
    bank : on any device; embeddings are computed where the encoder is
    index : int array; numbers of the segments in the bank
    batch_size : segments at a time: memory and speed, not the result
    """
    device = next(encoder.parameters()).device
    was_training = encoder.training
    encoder.eval()
    parts = torch.as_tensor(np.asarray(index, dtype=np.int64)).split(batch_size)
    embeddings = [encoder.embed(bank.gather(part).to(device)).cpu() for part in parts if len(part)]
    encoder.train(was_training)
    return torch.cat(embeddings).numpy() if embeddings else np.empty((0, encoder.embedding_dim), dtype=np.float32)
