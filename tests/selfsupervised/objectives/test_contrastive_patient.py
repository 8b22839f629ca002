"""NT-Xent and its variants, against their formulas written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from ppgssl.selfsupervised.objectives.contrastive_patient import nt_xent
from tests.support.pretext_tasks import generator, make_batch, make_task


def make_projections(n=5, n_dimensions=4, seed=0):
    return functional.normalize(torch.randn(n, 2, n_dimensions, generator=generator(seed)), dim=-1)


def literal_nt_xent(projections, temperature, margin, decoupled):
    """View by view, with exponentials as in the formula."""
    views = projections.double().numpy().reshape(-1, projections.shape[-1])
    losses = []
    for i, view in enumerate(views):
        other = i + 1 if i % 2 == 0 else i - 1
        positive = np.exp((view @ views[other] - margin) / temperature)
        strangers = sum(np.exp(view @ views[k] / temperature) for k in range(len(views)) if k not in (i, other))
        losses.append(-np.log(positive / (strangers if decoupled else strangers + positive)))
    return np.mean(losses)


@pytest.mark.parametrize("decoupled", [False, True])
@given(n=st.integers(2, 9), temperature=st.floats(0.05, 10), margin=st.floats(0, 1.9), seed=st.integers(0, 1000))
def test_the_loss_equals_its_formula_written_out(decoupled, n, temperature, margin, seed):
    projections = make_projections(n, seed=seed)
    found = float(nt_xent(projections, temperature=temperature, margin=margin, decoupled=decoupled))
    assert found == pytest.approx(literal_nt_xent(projections, temperature, margin, decoupled), rel=1e-4, abs=1e-4)


def test_alike_projections_leave_a_guess_among_all_other_views():
    projections = torch.ones(8, 2, 4) / 2
    assert float(nt_xent(projections, temperature=0.1)) == pytest.approx(np.log(15), rel=1e-5)


def test_a_lone_pair_has_no_strangers_and_no_loss():
    projections = make_projections(1).requires_grad_()
    for decoupled in (False, True):
        loss = nt_xent(projections, temperature=0.1, margin=0.2, decoupled=decoupled)
        loss.backward()
        assert loss == 0
    assert (projections.grad == 0).all()


def test_a_margin_keeps_pulling_at_pairs_that_are_found():
    projections = torch.eye(6).unsqueeze(1).expand(-1, 2, -1)
    plain, with_margin = (float(nt_xent(projections, temperature=0.1, margin=margin)) for margin in (0.0, 0.5))
    assert plain < 0.001
    assert with_margin > 50 * plain


def test_decoupling_keeps_the_gradient_of_pairs_that_are_found():
    pulls = []
    for decoupled in (False, True):
        first = torch.eye(6).requires_grad_()
        nt_xent(torch.stack([first, torch.eye(6)], dim=1), temperature=0.1, decoupled=decoupled).backward()
        pulls.append(float(first.grad.diagonal().abs().max()))
    assert pulls[1] > 100 * pulls[0]


def test_two_views_are_two_segments_of_a_patient_or_two_augmentations_of_one():
    for pairs, shape in [("patient", (4, 2, 2, 200)), ("segment", (4, 2, 200))]:
        objective = make_task("contrastive-patient", pairs=pairs)
        assert objective.segments_per_sample == len(shape) - 2
        batch = make_batch(objective, 4)
        assert batch.shape == shape
        projections = objective.project(batch, objective.draw(4, 200, generator()))
        assert projections.shape == (4, 2, 64)
        torch.testing.assert_close(projections.norm(dim=-1), torch.ones(4, 2))
        assert not torch.allclose(projections[:, 0], projections[:, 1])


def test_every_view_goes_through_the_network_on_its_own():
    objective = make_task("contrastive-patient", channel_dropout=0.5)
    batch, draws = make_batch(objective, 4), objective.draw(4, 200, generator())
    whole = objective.project(batch, draws)
    part = objective.project(batch[1:2], {key: value[1:2] for key, value in draws.items()})
    torch.testing.assert_close(part, whole[1:2])
