"""What may be written about pretraining, and what is made of it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from ppgssl.core.config.pretraining import (
    AnyAugmentation,
    AnyObjective,
    MaskedAutoencoderOptions,
    Pretraining,
    ResNet1dShape,
    ResNet50Shape,
)
from ppgssl.selfsupervised.augmentations import AUGMENTATIONS
from ppgssl.selfsupervised.objectives import OBJECTIVES
from ppgssl.selfsupervised.objectives.reconstruction_losses import RECONSTRUCTION_LOSSES


def names_of(union):
    return {options.model_fields["name"].annotation.__args__[0] for options in union.__args__}


def test_every_name_that_may_be_written_is_there_and_the_other_way_round():
    assert names_of(AnyObjective) == set(OBJECTIVES)
    assert names_of(AnyAugmentation) == set(AUGMENTATIONS)
    losses = MaskedAutoencoderOptions.model_fields["loss"].annotation
    assert set(losses.__args__) == set(RECONSTRUCTION_LOSSES)


def test_a_name_stands_for_its_options_at_their_defaults():
    for name in OBJECTIVES:
        short = Pretraining(objective=name)
        assert short == Pretraining(objective={"name": name})
        assert short.objective.name == name
    assert Pretraining() == Pretraining(objective="contrastive-masked-beats")
    assert Pretraining(encoder="resnet50-1d").encoder == ResNet50Shape(name="resnet50-1d")
    assert Pretraining(encoder={"width": 8}).encoder == ResNet1dShape(width=8)


def test_the_published_pretext_task_is_the_default_of_its_kind():
    objective = Pretraining(objective="contrastive-patient").objective
    assert objective.pairs == "patient"
    assert [augmentation.name for augmentation in objective.augmentations] == ["noise", "permutation"]


@pytest.mark.parametrize("name", ["contrastive-patient", "vicreg"])
def test_two_views_of_one_segment_have_to_differ(name):
    for augmentations in ([], [{"name": "noise", "probability": 0}]):
        with pytest.raises(ValidationError, match="`pairs: segment` needs `augmentations`"):
            Pretraining(objective={"name": name, "pairs": "segment", "augmentations": augmentations})
        Pretraining(objective={"name": name, "pairs": "patient", "augmentations": augmentations})
    assert Pretraining(objective={"name": name, "pairs": "segment"}).objective.augmentations


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"objective": {"name": "autoencoder", "loss": "mae"}}, "loss"),
        ({"objective": {"name": "masked-autoencoder", "mask_channels": "none"}}, "mask_channels"),
        ({"objective": {"name": "contrastive-patient", "temperature": 0}}, "temperature"),
        ({"objective": {"name": "contrastive-patient", "min_segments": 1}}, "min_segments"),
        ({"objective": {"name": "transformation-recognition", "transformations": []}}, "transformations"),
        ({"objective": {"name": "vicreg", "augmentations": [{"name": "permutation", "max_chunks": 1}]}}, "max_chunks"),
        ({"encoder": {"kernel_size": 4}}, "must be odd"),
        ({"encoder": {"name": "patch-transformer", "width": 10, "n_heads": 4}}, "`width` must be a multiple"),
    ],
)
def test_what_cannot_be_done_is_refused(options, reason):
    with pytest.raises(ValidationError, match=reason):
        Pretraining(**options)


@pytest.mark.parametrize(("n_segments", "expected"), [(10, 300), (6400, 2000), (10**6, 4000)])
def test_the_steps_follow_the_segments_unless_they_are_given(n_segments, expected):
    assert Pretraining().steps(n_segments) == expected
    assert Pretraining(n_steps=77).steps(n_segments) == 77
    for wrong in ("many", 0, 2.5, True):
        with pytest.raises(ValidationError, match="must be a whole number of at least 1, or auto"):
            Pretraining(n_steps=wrong)
