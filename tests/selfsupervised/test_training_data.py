"""Segments, or pairs of them, to train on and to evaluate by."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ppgssl.core.config.pretraining import Pretraining
from ppgssl.core.errors import TrainingError
from ppgssl.selfsupervised.bank import SegmentBank
from ppgssl.selfsupervised.training_data import checked_data

LENGTH = 10
PAIRS = Pretraining(objective="contrastive-patient", batch_size=4)
SINGLE = Pretraining(objective="masked-autoencoder", batch_size=4)
# Twelve segments that overlap by half: patients of four, of two recordings each.
STARTS = np.concatenate([np.array([0, 5, 20, 25]) + 40 * number for number in range(3)])
PATIENTS, RECORDINGS = np.repeat([7, 8, 9], 4), np.repeat(np.arange(6), 2)


def make_data(train=range(8), validation=range(8, 12), patients=PATIENTS, recordings=RECORDINGS):
    bank = SegmentBank(np.zeros((1, 120)), STARTS, LENGTH, np.zeros((12, 1)), np.ones((12, 1)))
    return checked_data(bank, train, validation, patients, recordings)


def assert_pairs(pairs, of):
    first, second = pairs.T.numpy()
    assert set(pairs.flatten().tolist()) <= set(of)
    assert (PATIENTS[first] == PATIENTS[second]).all()
    assert ((RECORDINGS[first] != RECORDINGS[second]) | (np.abs(STARTS[first] - STARTS[second]) >= LENGTH)).all()


def test_pairs_are_of_one_patient_and_do_not_overlap():
    data = make_data()
    assert_pairs(data.sampler(PAIRS, seed=3).draw(), range(8))
    assert_pairs(data.held_out(PAIRS), range(8, 12))


def test_held_out_pairs_are_always_the_same():
    assert torch.equal(make_data().held_out(PAIRS), make_data().held_out(PAIRS))


def test_held_out_pairs_come_in_whole_batches():
    for batch_size, n in ((2, 4), (3, 3), (4, 4), (100, 4)):
        assert make_data().held_out(PAIRS.model_copy(update={"batch_size": batch_size})).shape == (n, 2)


def test_objectives_of_single_segments_get_single_segments():
    data = make_data(patients=None, recordings=None)
    assert data.sampler(SINGLE, seed=0).draw().shape == (4,)
    np.testing.assert_array_equal(data.held_out(SINGLE), np.arange(8, 12))
    two_views = Pretraining.model_validate({"objective": {"name": "vicreg", "pairs": "segment"}, "batch_size": 4})
    assert data.sampler(two_views, seed=0).draw().shape == (4,)


def test_pairs_need_to_know_whose_segments_they_are():
    with pytest.raises(TrainingError, match=r"contrastive-patient` learns from pairs .*`patients`, `recordings`"):
        make_data(patients=None).sampler(PAIRS, seed=0)
    with pytest.raises(TrainingError, match=r"`recordings` must have a code for each of the 12 segments, and has \(3,"):
        make_data(recordings=[0, 1, 2])


def test_held_out_patients_without_pairs_are_reported():
    with pytest.raises(
        TrainingError, match=r"is evaluated by pairs of segments of held-out patients.*validation_fraction"
    ):
        make_data(validation=[8, 9]).held_out(PAIRS)


def test_patients_with_few_segments_make_no_training_pairs():
    settings = Pretraining.model_validate({"objective": {"name": "vicreg", "min_segments": 4}, "batch_size": 4})
    data = make_data(train=[0, 1, 2, 3, 4, 5, 6])
    assert set(data.sampler(settings, seed=0).draw().flatten().tolist()) <= {0, 1, 2, 3}
    with pytest.raises(TrainingError, match="no patient has 4 segments"):
        make_data(train=[0, 1, 4, 5]).sampler(settings, seed=0)


def test_the_digest_follows_what_a_run_learns_from():
    same = make_data().digest(PAIRS)
    assert same == make_data().digest(PAIRS)
    assert same != make_data(patients=np.repeat([7, 8, 8], 4)).digest(PAIRS)
    assert same != make_data(recordings=np.arange(12)).digest(PAIRS)
    # Who they are of does not matter to those who learn from single segments.
    assert make_data().digest(SINGLE) == make_data(patients=None, recordings=None).digest(SINGLE)
