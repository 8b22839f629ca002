"""Which transformations are asked for, and how the answers are counted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ppgssl.selfsupervised.augmentations import augment
from tests.support.pretext_tasks import generator, make_batch, make_task


def make_recognition(**options):
    return make_task("transformation-recognition", **options)


def test_each_transformation_is_applied_to_half_of_the_segments_whatever_its_probability():
    objective = make_recognition(transformations=["noise", {"name": "negation", "probability": 0.01}, "scaling"])
    truth = objective.truth(objective.draw(4000, 10, generator())).float()
    np.testing.assert_allclose(truth.mean(dim=0), 0.5, atol=0.03)
    np.testing.assert_allclose(np.corrcoef(truth.T), np.eye(3), atol=0.05)


def test_the_network_sees_what_the_answers_are_about():
    objective = make_recognition(transformations=["time-reversal", "negation"])
    batch, draws = make_batch(objective, 20), objective.draw(20, 200, generator())
    truth = objective.truth(draws)
    for segment, (is_reversed, is_negated) in enumerate(truth.tolist()):
        expected = batch[segment].flip(-1) if is_reversed else batch[segment]
        expected = -expected if is_negated else expected
        seen = augment(batch, objective.transformations, draws)[segment]
        assert torch.equal(seen, expected)
    assert len(truth.unique(dim=0)) == 4


def test_the_loss_equals_cross_entropy_written_out():
    objective = make_recognition()
    batch, draws = make_batch(objective), objective.draw(8, 200, generator())
    with torch.no_grad():
        chance = 1 / (1 + np.exp(-objective.answers(batch, draws).double().numpy()))
        truth = objective.truth(draws).numpy()
        expected = -np.mean(np.where(truth, np.log(chance), np.log(1 - chance)))
        assert float(objective.loss(batch, draws)) == pytest.approx(expected, rel=1e-5)


def balanced_accuracy(answers, truth):
    of_columns = []
    for answer, true in zip(answers.T > 0, truth.T, strict=True):
        if true.any() and not true.all():
            of_columns.append((answer[true].mean() + (~answer[~true]).mean()) / 2)
    return np.mean(of_columns)


def test_tallies_add_up_to_the_balanced_accuracy_of_all_answers():
    objective = make_recognition().eval()
    batch, draws = make_batch(objective, 30), objective.draw(30, 200, generator())
    with torch.no_grad():
        parts = [slice(0, 7), slice(7, 30)]
        tallies = [objective.tally(batch[part], {key: value[part] for key, value in draws.items()}) for part in parts]
        loss, score = objective.evaluation(sum(tallies))
        assert loss == pytest.approx(float(objective.loss(batch, draws)), rel=1e-5)
        expected = balanced_accuracy(objective.answers(batch, draws).numpy(), objective.truth(draws).numpy())
    assert score == pytest.approx(expected)


def test_a_transformation_of_which_one_answer_never_occurred_is_not_scored():
    objective = make_recognition(transformations=["noise", "negation"]).eval()
    batch, draws = make_batch(objective), objective.draw(8, 200, generator())
    draws["0.applied"] = torch.ones(8, dtype=torch.bool)
    with torch.no_grad():
        _, score = objective.evaluation(objective.tally(batch, draws))
        answers, truth = objective.answers(batch, draws).numpy(), objective.truth(draws).numpy()
        assert score == pytest.approx(balanced_accuracy(answers[:, 1:], truth[:, 1:]))
        draws["1.applied"] = torch.zeros(8, dtype=torch.bool)
        assert objective.evaluation(objective.tally(batch, draws))[1] is None
