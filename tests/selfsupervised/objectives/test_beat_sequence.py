"""Predicting beat measures: targets, what is masked, and whether the head learns them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from ppgssl.core.config.pretraining import Pretraining
from ppgssl.selfsupervised.encoders.beat_head import DEVIATION_SCALES
from ppgssl.signals.beat_sequence import MEASURES, beat_sequence
from tests.support.pretext_tasks import generator, make_patients, make_task

FS_HZ = 50.0


def slow_loss(objective, batch, draws):
    """The loss, literally: a mean over the known times of each measure of each segment, each with its weight."""
    level, deviation = (values.detach().numpy() for values in objective.predict(batch, draws))
    found = beat_sequence(batch.numpy(), fs_hz=FS_HZ, n_times=level.shape[-1])
    weights = objective.weights[:, 0].numpy()
    losses = []
    for row in range(len(batch)):
        total = 0.0
        for number, name in enumerate(MEASURES):
            for predicted, is_level in ((level, True), (deviation, False)):
                errors = []
                for channel in range(batch.shape[1]):
                    for time in range(level.shape[-1]):
                        if is_level:
                            mean = float(objective.level_mean[channel, number, 0])
                            sd = float(objective.level_sd[channel, number, 0])
                            target = (found.level[row, channel, number] - mean) / sd
                        else:
                            target = found.deviation[row, channel, number, time] / DEVIATION_SCALES[name]
                            target = min(max(target, -6), 6) if np.isfinite(target) else target
                        if np.isfinite(target):
                            error = abs(predicted[row, channel, number, time] - target)
                            errors.append(error**2 / 2 if error < 1 else error - 0.5)
                total += weights[number] * (np.mean(errors) if errors else 0)
        losses.append(total)
    return float(np.mean(losses))


def test_the_loss_is_the_literal_one():
    objective = make_task("beat-sequence", fs_hz=FS_HZ, measure_weights={"rise": 0.3})
    batch = make_patients(objective, n=4)
    batch[0, 0] = 0  # a channel that its cohort lacks
    objective.prepare(batch)
    draws = objective.draw(4, 200, generator())
    assert float(objective.loss(batch, draws).detach()) == pytest.approx(slow_loss(objective, batch, draws), rel=1e-4)


def test_levels_are_standardised_over_the_segments_it_was_prepared_with():
    objective = make_task("beat-sequence", fs_hz=FS_HZ)
    batch = make_patients(objective, n=40)
    objective.prepare(batch)
    level, _ = objective.targets(batch, objective.predict(batch, {})[0].shape[-1])
    interval = level[:, :, MEASURES.index("interval"), 0]
    torch.testing.assert_close(interval.mean(dim=0), torch.zeros(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(interval.std(dim=0, unbiased=False), torch.ones(2), atol=1e-3, rtol=0)
    assert torch.isnan(level[:, 0, MEASURES.index("ratio")]).all()


def test_segments_without_beats_cost_nothing_and_have_a_finite_gradient():
    objective = make_task("beat-sequence", fs_hz=FS_HZ)
    batch = torch.zeros(3, 2, 200)
    objective.prepare(batch)
    loss = objective.loss(batch, {})
    loss.backward()
    assert float(loss.detach()) == 0
    assert all(torch.isfinite(one.grad).all() for one in objective.parameters() if one.grad is not None)


def test_the_targets_are_those_of_the_clean_segment():
    objective = make_task("beat-sequence", fs_hz=FS_HZ, beat_augmentations=[{"name": "contact-loss", "probability": 1}])
    batch = make_patients(objective, n=4)
    expected = [values.clone() for values in objective.targets(batch, 25)]
    objective.loss(batch, objective.draw(4, 200, generator()))
    for found, values in zip(objective.targets(batch, 25), expected, strict=True):
        torch.testing.assert_close(found, values, equal_nan=True)


def test_training_makes_the_head_predict_the_intervals_of_segments_it_has_not_seen():
    objective = make_task("beat-sequence", fs_hz=FS_HZ)
    batch = make_patients(objective, n=256)
    train, test = batch[:224], batch[224:]
    objective.prepare(train)
    before = float(objective.loss(test, {}).detach())
    optimizer = torch.optim.AdamW(objective.parameters(), lr=3e-3)
    for step in range(120):
        loss = objective.loss(train[torch.randperm(224, generator=generator(step))[:64]], {})
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        level, _ = objective.predict(test, {})
        target, _ = objective.targets(test, level.shape[-1])
    predicted = level[:, 1, MEASURES.index("interval")].mean(dim=-1)
    assert float(np.corrcoef(predicted, target[:, 1, MEASURES.index("interval"), 0])[0, 1]) > 0.65
    assert float(objective.loss(test, {}).detach()) < 0.9 * before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beat_augmentations": ["permutation"]}, "changes the times or the signs"),
        ({"measure_weights": {"hight": 1}}, "'hight' is no measure of a beat"),
        ({"measure_weights": {"height": -1}}, "must lie in 0 to 1000"),
    ],
)
def test_options_that_make_no_sense_are_refused_by_name(options, message):
    with pytest.raises(ValidationError, match=message):
        Pretraining(objective={"name": "beat-sequence", **options})


def test_readouts_need_an_objective_that_predicts_beat_measures():
    with pytest.raises(ValidationError, match="needs an objective that predicts beat measures"):
        Pretraining(objective="vicreg", encoder={"representation": "moments+readouts"})
    assert Pretraining(objective="vicreg").shape.representation == "moments"
    assert Pretraining(objective="beat-sequence").shape.representation == "moments+readouts"
    assert Pretraining(encoder={"representation": "moments"}).shape.representation == "moments"


def test_a_level_of_a_channel_that_no_segment_has_stays_standard():
    objective = make_task("beat-sequence", fs_hz=FS_HZ)
    batch = make_patients(objective, n=8)
    batch[:, 1] = 0
    objective.prepare(batch)
    assert torch.equal(objective.level_mean[1], torch.zeros_like(objective.level_mean[1]))
    assert torch.equal(objective.level_sd[1], torch.ones_like(objective.level_sd[1]))
