import numpy as np
import pytest
import torch

from ppgssl.core.config.pretraining import ResNet1dShape
from ppgssl.features.embeddings import embed
from ppgssl.selfsupervised.bank import SegmentBank
from ppgssl.selfsupervised.encoders import make_encoder


@pytest.fixture
def bank():
    samples = np.random.default_rng(0).standard_normal((2, 3000))
    return SegmentBank(samples, 100 * np.arange(28), 200, np.zeros((28, 2)), np.ones((28, 2)))


@pytest.fixture
def encoder():
    return make_encoder(2, ResNet1dShape(width=8, n_stages=2), fs_hz=40.0, seed=0)


def test_embeddings_are_those_of_the_encoder_in_the_order_of_the_index(bank, encoder):
    index = np.array([5, 0, 27, 5])
    embeddings = embed(encoder, bank, index)
    assert embeddings.dtype == np.float32
    assert embeddings.shape == (4, encoder.embedding_dim)
    np.testing.assert_allclose(embeddings, encoder.embed(bank.gather(index)).detach().numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(embeddings[0], embeddings[3], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 3, 28])
def test_the_batch_size_does_not_change_the_result(bank, encoder, batch_size):
    together = embed(encoder, bank, np.arange(28))
    np.testing.assert_allclose(
        embed(encoder, bank, np.arange(28), batch_size=batch_size), together, rtol=1e-4, atol=1e-5
    )


def test_embedding_twice_gives_the_same_bits_and_leaves_the_encoder_as_it_was(bank, encoder):
    encoder.train()
    np.testing.assert_array_equal(embed(encoder, bank, np.arange(28)), embed(encoder, bank, np.arange(28)))
    assert encoder.training
    assert all(parameter.grad is None for parameter in encoder.parameters())
    assert torch.is_grad_enabled()


def test_no_segments_give_no_rows(bank, encoder):
    assert embed(encoder, bank, []).shape == (0, encoder.embedding_dim)
