"""Learning rate by step, and what weight decay touches."""

from __future__ import annotations

import numpy as np
import pytest

from ppgssl.core.config.pretraining import Pretraining, ResNet1dShape
from ppgssl.selfsupervised.encoders import make_encoder
from ppgssl.selfsupervised.objectives import make_objective
from ppgssl.selfsupervised.optimisation import learning_rate, make_optimizer, set_learning_rate

SETTINGS = Pretraining(
    objective="masked-autoencoder", n_steps=100, warmup_fraction=0.1, learning_rate=1e-3, encoder=ResNet1dShape(width=4)
)


def test_the_rate_rises_in_a_line_then_falls_along_half_a_cosine():
    rates = np.array([learning_rate(step, 100, SETTINGS) for step in range(100)])
    np.testing.assert_allclose(rates[:10], 1e-4 * np.arange(1, 11))
    assert rates.argmax() in (9, 10)
    assert (np.diff(rates[10:]) < 0).all()
    assert rates[55] == pytest.approx(0.5e-3)
    assert 0 < rates[-1] < 1e-6


@pytest.mark.parametrize("n_steps", [1, 2, 3])
def test_the_shortest_runs_have_a_positive_rate(n_steps):
    chosen = SETTINGS.model_copy(update={"n_steps": n_steps})
    assert all(learning_rate(step, n_steps, chosen) > 0 for step in range(n_steps))


@pytest.mark.parametrize("objective", ["masked-autoencoder", "vicreg"])
@pytest.mark.parametrize("encoder", ["resnet1d", "patch-transformer", "resnet50-1d"])
def test_only_weights_of_layers_are_drawn_to_zero(objective, encoder):
    settings = Pretraining.model_validate({"objective": objective, "encoder": encoder})
    module = make_objective(make_encoder(2, settings.shape, fs_hz=40.0, seed=0), settings, fs_hz=80.0)
    decayed, free = make_optimizer(module, settings).param_groups
    assert decayed["weight_decay"] == settings.weight_decay
    assert free["weight_decay"] == 0
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    assert all(names[id(parameter)].endswith("weight") for parameter in decayed["params"])
    assert min(parameter.ndim for parameter in decayed["params"]) >= 2
    assert all(parameter.ndim == 1 or "weight" not in names[id(parameter)] for parameter in free["params"])
    assert len(decayed["params"]) + len(free["params"]) == len(names)


def test_the_rate_reaches_every_group():
    optimizer = make_optimizer(make_encoder(1, SETTINGS.encoder, fs_hz=40.0, seed=0), SETTINGS)
    set_learning_rate(optimizer, 0.25)
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 0.25]
