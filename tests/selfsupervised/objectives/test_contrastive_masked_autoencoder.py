"""The joined loss is the sum of its two parts, and the second does not depend on the unit of the signal."""

from __future__ import annotations

import pytest
import torch

from tests.support.pretext_tasks import generator, make_batch, make_task

NAME = "contrastive-masked-autoencoder"


def of_masked(draws):
    return {key.removeprefix("masked."): value for key, value in draws.items() if key.startswith("masked.")}


@pytest.mark.parametrize("pairs", ["patient", "segment"])
@torch.no_grad()
def test_the_loss_is_that_of_finding_partners_and_the_weighted_proportion_of_what_a_flat_line_misses(pairs):
    joined = make_task(NAME, pairs=pairs, reconstruction_weight=3.0)
    alone = make_task("contrastive-patient", pairs=pairs)
    alone.load_state_dict({key: value for key, value in joined.state_dict().items() if not key.startswith("masked.")})
    batch = make_batch(joined)
    draws = joined.draw(8, 200, generator())
    contrastive = alone.loss(batch, {key: value for key, value in draws.items() if not key.startswith("masked.")})
    segments, mask = (batch[:, 0] if pairs == "patient" else batch), draws["masked.mask"].expand(8, 2, 200)
    reconstruction = joined.masked.reconstruct(segments, of_masked(draws))
    proportions = [
        float(((one - other)[hidden] ** 2).mean() / (other[hidden] ** 2).mean())
        for one, other, hidden in zip(reconstruction, segments, mask, strict=True)
    ]
    expected = float(contrastive) + 3.0 * sum(proportions) / 8
    assert float(joined.loss(batch, draws)) == pytest.approx(expected, rel=1e-5)


@torch.no_grad()
def test_a_decoder_that_gives_a_flat_line_misses_everything_whatever_the_unit():
    joined = make_task(NAME)
    for parameter in joined.masked.decoder.parameters():
        parameter.zero_()
    batch = make_batch(joined)
    draws = joined.draw(8, 200, generator())
    for unit in (1.0, 0.01):
        torch.testing.assert_close(joined.proportion_missed(unit * batch, draws), torch.ones(8))


@torch.no_grad()
def test_an_evaluation_gives_the_joined_loss_and_how_often_the_partner_was_found():
    joined = make_task(NAME).eval()
    batch = make_batch(joined)
    draws = joined.draw(8, 200, generator())
    loss, score = joined.evaluation(joined.tally(batch, draws))
    assert loss == pytest.approx(float(joined.loss(batch, draws)), rel=1e-6)
    assert 0 <= score <= 1


def test_encoder_weights_are_trained_once_and_not_twice():
    joined = make_task(NAME)
    numbers = [id(parameter) for parameter in joined.parameters()]
    assert len(numbers) == len(set(numbers))
    assert joined.masked.encoder is joined.encoder
