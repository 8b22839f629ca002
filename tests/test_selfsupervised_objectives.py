"""Every objective: a name finds it, and its loss can be trained on."""

from __future__ import annotations

import pytest
import torch

from ppgssl.pretraining_options import Pretraining, ResNet1dShape
from ppgssl.errors import ConfigError
from ppgssl.selfsupervised.encoders import make_encoder
from ppgssl.selfsupervised.objectives import OBJECTIVES, get_objective


@pytest.mark.parametrize("name", list(OBJECTIVES))
def test_a_loss_is_one_finite_number_whose_gradient_reaches_the_whole_encoder(name):
    encoder = make_encoder(2, ResNet1dShape(width=8, n_stages=2), seed=0)
    objective = get_objective(name)(encoder, Pretraining(), fs_hz=100)
    loss = objective.loss(torch.randn(8, 2, 200), torch.Generator().manual_seed(0))
    loss.backward()
    assert loss.shape == ()
    assert torch.isfinite(loss)
    assert objective.encoder is encoder
    assert all(parameter.grad.abs().sum() > 0 for parameter in objective.parameters())


def test_an_unknown_objective_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"'masked-autoencodr' \(did you mean 'masked-autoencoder'\?\)"):
        get_objective("masked-autoencodr")
