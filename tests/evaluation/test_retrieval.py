import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.core.errors import EvaluationError
from ppgssl.evaluation.retrieval import Retrieval, draw_pairs, retrieve

LENGTH = 10


def retrieve_each(query, gallery) -> Retrieval:
    """Of features of shape (n_draws, n_patients, n_features)."""
    n_draws, n_patients, n_features = query.shape
    rows = np.arange(n_draws * n_patients).reshape(n_draws, n_patients)
    return retrieve(np.concatenate([query, gallery]).reshape(-1, n_features), rows, rows + rows.size)


@given(data=st.data(), seed=st.integers(0, 2**31))
def test_pairs_are_of_one_patient_and_do_not_overlap(data, seed):
    n = data.draw(st.integers(1, 25))
    patient = np.array(data.draw(st.lists(st.integers(0, 4), min_size=n, max_size=n)))
    start = np.array(data.draw(st.lists(st.integers(0, 60), min_size=n, max_size=n)))
    patients, query, other = draw_pairs(patient, start, LENGTH, n_draws=6, seed=seed)
    apart = (patient[:, None] == patient) & (np.abs(start[:, None] - start) >= LENGTH)
    expected = set(patient[apart.any(axis=1)])
    assert patients.tolist() == sorted(expected)
    assert query.shape == other.shape == (6, len(expected))
    assert (patient[query] == patients).all()
    assert (patient[other] == patients).all()
    assert (np.abs(start[query] - start[other]) >= LENGTH).all()


def test_every_pair_that_may_be_drawn_is_drawn_about_equally_often():
    start = np.array([0, 4, 12, 25])  # pairs: 0-12, 0-25, 4-25, 12-25
    patient = np.array([7, 7, 7, 7])
    _, query, other = draw_pairs(patient, start, LENGTH, n_draws=24_000, seed=0)
    found, counts = np.unique(np.stack([query.ravel(), other.ravel()]), axis=1, return_counts=True)
    drawn = dict(zip(map(tuple, found.T), counts, strict=True))
    # Queries evenly, then partners evenly: segment 0 has two partners, 1 one, 2 two, 3 three.
    expected = {(0, 2): 3000, (0, 3): 3000, (1, 3): 6000, (2, 0): 3000, (2, 3): 3000} | {(3, i): 2000 for i in range(3)}
    assert drawn.keys() == expected.keys()
    for pair, count in expected.items():
        assert drawn[pair] == pytest.approx(count, rel=0.08)


def test_features_that_know_nothing_reach_chance():
    rng = np.random.default_rng(2)
    found = retrieve_each(rng.normal(size=(4000, 5, 8)), rng.normal(size=(4000, 5, 8)))
    assert found.chance_top1 == pytest.approx(0.2)
    assert found.chance_reciprocal_rank == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5) / 5)
    assert found.top1.mean() == pytest.approx(found.chance_top1, abs=0.01)
    assert found.reciprocal_rank.mean() == pytest.approx(found.chance_reciprocal_rank, abs=0.01)


def test_equal_features_reach_exactly_chance_and_no_more():
    found = retrieve_each(np.ones((2, 6, 3)), np.ones((2, 6, 3)))
    np.testing.assert_allclose(found.top1, found.chance_top1)
    np.testing.assert_allclose(found.reciprocal_rank, found.chance_reciprocal_rank)
    empty = retrieve_each(np.zeros((1, 6, 3)), np.ones((1, 6, 3)))
    np.testing.assert_allclose(empty.top1, empty.chance_top1)


@given(seed=st.integers(0, 2**31), n=st.integers(2, 8))
def test_ranks_are_those_of_a_literal_count(seed, n):
    rng = np.random.default_rng(seed)
    query, gallery = rng.integers(-2, 3, size=(2, 3, n, 2)).astype(float)
    found = retrieve_each(query, gallery)
    for patient in range(n):
        top1, reciprocal = [], []
        for one, others in zip(query, gallery, strict=True):
            own = literal_cosine(one[patient], others[patient])
            cosines = [literal_cosine(one[patient], other) for other in others]
            places = [1 + sum(c > own + 1e-9 for c in cosines)]
            places = list(range(places[0], places[0] + sum(abs(c - own) <= 1e-9 for c in cosines)))
            top1.append(np.mean([place == 1 for place in places]))
            reciprocal.append(np.mean([1 / place for place in places]))
        assert found.top1[patient] == pytest.approx(np.mean(top1))
        assert found.reciprocal_rank[patient] == pytest.approx(np.mean(reciprocal))


def literal_cosine(a, b):
    size = np.sqrt((a**2).sum() * (b**2).sum())
    return (a * b).sum() / size if size else 0.0


def test_what_cannot_be_ranked_is_refused():
    one, two, three = np.zeros((1, 1), dtype=int), np.zeros((1, 2), dtype=int), np.zeros((1, 3), dtype=int)
    with pytest.raises(EvaluationError, match="two patients or more"):
        retrieve(np.ones((1, 3)), one, one)
    with pytest.raises(EvaluationError, match="one shape"):
        retrieve(np.ones((1, 3)), two, three)
    with pytest.raises(EvaluationError, match="not finite"):
        retrieve(np.full((1, 3), np.nan), two, two)
