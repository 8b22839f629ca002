"""Learning rate by step, and what weight decay touches."""

from __future__ import annotations

import numpy as np
import pytest

from ppgssl.pretraining_options import Pretraining, ResNet1dShape
from ppgssl.selfsupervised.encoders import make_encoder
from ppgssl.selfsupervised.optimisation import learning_rate, make_optimizer, set_learning_rate

SETTINGS = Pretraining(n_steps=100, warmup_fraction=0.1, learning_rate=1e-3, encoder=ResNet1dShape(width=4))


def test_the_rate_rises_in_a_line_then_falls_along_half_a_cosine():
    rates = np.array([learning_rate(step, SETTINGS) for step in range(100)])
    np.testing.assert_allclose(rates[:10], 1e-4 * np.arange(1, 11))
    assert rates.argmax() in (9, 10)
    assert (np.diff(rates[10:]) < 0).all()
    assert rates[55] == pytest.approx(0.5e-3)
    assert 0 < rates[-1] < 1e-6


@pytest.mark.parametrize("n_steps", [1, 2, 3])
def test_the_shortest_runs_have_a_positive_rate(n_steps):
    chosen = SETTINGS.model_copy(update={"n_steps": n_steps})
    assert all(learning_rate(step, chosen) > 0 for step in range(n_steps))


def test_only_kernels_are_drawn_to_zero():
    encoder = make_encoder(1, SETTINGS.encoder, seed=0)
    decayed, free = make_optimizer(encoder, SETTINGS).param_groups
    assert decayed["weight_decay"] == SETTINGS.weight_decay
    assert free["weight_decay"] == 0
    assert {parameter.ndim for parameter in decayed["params"]} == {3}
    assert {parameter.ndim for parameter in free["params"]} == {1}
    assert len(decayed["params"]) + len(free["params"]) == len(list(encoder.parameters()))


def test_the_rate_reaches_every_group():
    optimizer = make_optimizer(make_encoder(1, SETTINGS.encoder, seed=0), SETTINGS)
    set_learning_rate(optimizer, 0.25)
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 0.25]
