"""Every objective: a name finds it, and its loss can be trained on."""

from __future__ import annotations

import pytest
import torch

from ppgssl.core.config.pretraining import PatchTransformerShape, ResNet1dShape, ResNet50Shape
from ppgssl.selfsupervised.encoders import ENCODERS, make_encoder
from ppgssl.selfsupervised.objectives import OBJECTIVES
from ppgssl.selfsupervised.objectives.reconstruction_losses import RECONSTRUCTION_LOSSES
from tests.support.pretext_tasks import SHAPE, generator, make_batch, make_patients, make_task

CASES = [
    *[("autoencoder", {"loss": loss}) for loss in RECONSTRUCTION_LOSSES],
    *[("masked-autoencoder", {"loss": loss}) for loss in RECONSTRUCTION_LOSSES],
    ("masked-autoencoder", {"mask_channels": "apart"}),
    ("contrastive-patient", {}),
    ("contrastive-patient", {"pairs": "segment", "decoupled": True, "margin": 0.2}),
    ("contrastive-masked-autoencoder", {}),
    ("contrastive-masked-autoencoder", {"pairs": "segment", "loss": "sdsc", "mask_channels": "apart"}),
    ("beat-sequence", {}),
    ("beat-sequence", {"beat_augmentations": ["noise"], "measure_weights": {"ratio": 0}}),
    ("contrastive-masked-beats", {}),
    ("contrastive-masked-beats", {"pairs": "segment", "beat_augmentations": ["scaling"]}),
    ("vicreg", {}),
    ("vicreg", {"pairs": "segment", "augmentations": ["time-warping", "scaling"]}),
    ("transformation-recognition", {}),
]
SMALL_SHAPES = {
    "resnet1d": ResNet1dShape(width=8, n_stages=2),
    "resnet50-1d": ResNet50Shape(name="resnet50-1d", width=4, n_features=8),
    "patch-transformer": PatchTransformerShape(name="patch-transformer", width=16, n_blocks=2, n_heads=2),
}
every_case = pytest.mark.parametrize(("name", "options"), CASES)


def part_of(draws, part):
    return {key: value[part] for key, value in draws.items()}


def test_every_objective_is_among_the_cases():
    assert {name for name, _ in CASES} == set(OBJECTIVES)


@every_case
def test_a_loss_is_one_finite_number_whose_gradient_reaches_the_whole_network(name, options):
    encoder = make_encoder(2, SHAPE, fs_hz=40.0, seed=0)
    objective = make_task(name, **options)
    loss = objective.loss(make_batch(objective), objective.draw(8, 200, generator()))
    loss.backward()
    assert loss.shape == ()
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)
    assert all(parameter.grad.abs().sum() > 0 for parameter in objective.parameters())
    first_weights = objective.encoder.state_dict()
    assert all(torch.equal(value, first_weights[key]) for key, value in encoder.state_dict().items())


@pytest.mark.parametrize("shape", ENCODERS)
@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("representation", ["moments", "last"])
def test_every_objective_trains_every_encoder(name, shape, representation):
    chosen = SMALL_SHAPES[shape].model_copy(update={"representation": representation})
    objective = make_task(name, shape=chosen)
    objective.loss(make_batch(objective), objective.draw(8, 200, generator())).backward()
    assert all(parameter.grad is not None for parameter in objective.parameters())
    assert sum(float(parameter.grad.abs().sum()) > 0 for parameter in objective.encoder.parameters()) >= 6


@every_case
@pytest.mark.parametrize("channel_dropout", [0.0, 0.5])
def test_draws_belong_to_samples_and_repeat_with_the_generator(name, options, channel_dropout):
    objective = make_task(name, channel_dropout=channel_dropout, **options)
    first, again, other = (objective.draw(8, 200, generator(seed)) for seed in (1, 1, 2))
    assert all(len(value) == 8 and value.device.type == "cpu" for value in first.values())
    assert all(torch.equal(value, again[key]) for key, value in first.items())
    assert not first or any(not torch.equal(value, other[key]) for key, value in first.items())


@every_case
def test_all_randomness_comes_from_the_generator(name, options):
    objective = make_task(name, channel_dropout=0.3, **options)
    state = torch.random.get_rng_state()
    batch, draws = make_batch(objective), objective.draw(8, 200, generator())
    assert torch.equal(objective.loss(batch, draws), objective.loss(batch, draws))
    assert torch.equal(torch.random.get_rng_state(), state)


@every_case
def test_parts_of_a_batch_with_their_draws_are_batches(name, options):
    objective = make_task(name, channel_dropout=0.3, **options)
    batch, draws = make_batch(objective), objective.draw(8, 203, generator())
    batch = make_batch(objective, length=203)
    with torch.no_grad():
        batch[0, ..., :1, :] = 0  # a channel that a cohort lacks
        halves = [objective.loss(batch[part], part_of(draws, part)) for part in (slice(0, 4), slice(4, 8))]
        assert all(torch.isfinite(half) for half in halves)
        assert torch.isfinite(objective.loss(batch[:1], part_of(draws, slice(0, 1))))
        if name not in (
            "contrastive-patient",
            "contrastive-masked-autoencoder",
            "contrastive-masked-beats",
            "vicreg",
        ):  # these compare the samples of a batch
            torch.testing.assert_close(sum(halves) / 2, objective.loss(batch, draws))


@every_case
def test_the_evaluation_of_a_batch_has_its_loss_and_a_score_where_there_is_a_name_for_it(name, options):
    objective = make_task(name, **options).eval()
    batch, draws = make_batch(objective), objective.draw(8, 200, generator())
    with torch.inference_mode():
        loss, score = objective.evaluation(objective.tally(batch, draws))
        assert loss == pytest.approx(float(objective.loss(batch, draws)), rel=1e-5)
    assert bool(objective.score_name) == (score is not None)


@every_case
def test_training_lowers_the_loss(name, options):
    objective = make_task(name, fs_hz=50.0, **options)
    batch, draws = make_patients(objective), generator()
    optimizer = torch.optim.AdamW(objective.parameters(), lr=3e-3)
    losses = []
    for _ in range(60):
        loss = objective.loss(batch, objective.draw(len(batch), batch.shape[-1], draws))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        if len(losses) > 20 and sum(losses[-10:]) < 0.85 * sum(losses[:10]):
            return
    pytest.fail(f"the loss went from {sum(losses[:10]) / 10:.3g} to {sum(losses[-10:]) / 10:.3g}")


@every_case
def test_a_reduced_precision_is_confined_to_the_network(name, options):
    objective = make_task(name, **options)
    batch, draws = make_batch(objective), objective.draw(8, 200, generator())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        reduced = objective.loss(batch, draws)
    assert reduced.dtype == torch.float32
    torch.testing.assert_close(reduced, objective.loss(batch, draws), rtol=0.05, atol=0.02)
