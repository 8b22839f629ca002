import numpy as np
import pytest
import torch

from ppgssl.core.config.pretraining import ResNet1dShape
from ppgssl.features.depths import Depths
from ppgssl.selfsupervised.encoders import make_encoder


def segments(n=5):
    return np.random.default_rng(0).normal(size=(n, 2, 200)).astype(np.float32)


@pytest.mark.parametrize("representation", ["moments", "last"])
def test_the_parts_hold_each_depth_and_the_encoders_own_representation(representation):
    encoder = make_encoder(2, ResNet1dShape(width=8, n_stages=3, representation=representation), fs_hz=40.0, seed=1)
    depths = Depths(encoder)
    features = depths(segments())
    batch = torch.from_numpy(segments())
    with torch.inference_mode():
        own, of_depths = encoder.embed(batch).numpy(), [part.numpy() for part in encoder.embed_parts(batch)]
    assert depths.own == representation
    np.testing.assert_allclose(features[:, depths.parts[representation]], own, rtol=1e-5)
    for number, expected in enumerate(of_depths, start=1):
        np.testing.assert_allclose(features[:, depths.parts[f"depth-{number}"]], expected, rtol=1e-5)
    assert list(depths.parts) == ["moments", *(f"depth-{i + 1}" for i in range(len(of_depths))), "last"]
