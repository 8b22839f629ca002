"""Which view is the nearest, and the score made of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ppgssl.selfsupervised.objectives.two_views import partner, partner_is_nearest
from tests.support.pretext_tasks import generator, make_batch, make_patients, make_task


def test_the_views_of_a_sample_are_each_others_partners():
    assert partner(torch.arange(6)).tolist() == [1, 0, 3, 2, 5, 4]


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_the_nearest_view_equals_a_search_written_out(offset):
    projections = torch.randn(30, 2, 3, generator=generator()).round(decimals=2) + offset
    projections[:10, 1] = projections[:10, 0] + 0.01
    views = projections.double().numpy().reshape(60, 3)
    expected = []
    for i, view in enumerate(views):
        distances = [np.sum((view - other) ** 2) if k != i else np.inf for k, other in enumerate(views)]
        expected.append(int(np.argmin(distances)) == (i ^ 1))
    assert 10 < sum(expected) < 50
    assert partner_is_nearest(projections).tolist() == expected


@pytest.mark.parametrize("name", ["contrastive-patient", "vicreg"])
def test_tallies_of_batches_add_up_to_the_proportion_of_partners_found(name):
    objective = make_task(name, augmentations=[]).eval()
    batches = make_patients(objective, 24).split(12)
    with torch.no_grad():
        tallies = [objective.tally(batch, {}) for batch in batches]
        loss, score = objective.evaluation(sum(tallies))
        assert loss == pytest.approx(np.mean([float(objective.loss(batch, {})) for batch in batches]), rel=1e-6)
        found = torch.cat([partner_is_nearest(objective.project(batch, {})) for batch in batches])
    assert score == pytest.approx(float(found.float().mean()))
    assert score > 3 / 23  # by chance: 1 / 23


def test_strangers_are_found_no_more_often_than_by_chance():
    objective = make_task("contrastive-patient").eval()
    draws = objective.draw(200, 50, generator())
    with torch.no_grad():
        _, score = objective.evaluation(objective.tally(make_batch(objective, 200, 50), draws))
    assert score < 0.03


def test_each_view_drops_channels_of_its_own():
    objective = make_task("vicreg", pairs="segment", channel_dropout=0.5)
    keep = objective.draw(50, 200, generator())["keep"]
    assert keep.shape == (50, 2, 2, 1)
    assert (keep.sum(dim=2) >= 1).all()
    assert not torch.equal(keep[:, 0], keep[:, 1])
