"""ppgssl/signals/hidden_markov.py."""

from itertools import pairwise, product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.signals.hidden_markov import smoothed


def chain(seed, n_windows, n_states):
    rng = np.random.default_rng(seed)
    transition = rng.uniform(0.01, 1, (n_states, n_states))
    return rng.uniform(1e-3, 1, (n_windows, n_states)), transition / transition.sum(axis=1, keepdims=True)


@given(seed=st.integers(0, 2**16), n_windows=st.integers(1, 5), n_states=st.integers(1, 4))
def test_it_is_the_sum_over_all_paths(seed, n_windows, n_states):
    likelihood, transition = chain(seed, n_windows, n_states)
    expected = np.zeros_like(likelihood)
    for path in product(range(n_states), repeat=n_windows):
        weight = np.prod([likelihood[at, state] for at, state in enumerate(path)])
        weight *= np.prod([transition[before, after] for before, after in pairwise(path)])
        for at, state in enumerate(path):
            expected[at, state] += weight
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(smoothed(likelihood, transition), expected, rtol=1e-9)


def test_chunks_of_a_long_recording_agree_with_the_recursion_over_all_of_it():
    likelihood, transition = chain(3, 700, 6)
    forward, backward = [likelihood[0]], [np.ones(6)]
    for row in likelihood[1:]:
        forward.append(row * (forward[-1] @ transition))
        forward[-1] /= forward[-1].sum()
    for row in likelihood[:0:-1]:
        backward.append(transition @ (row * backward[-1]))
        backward[-1] /= backward[-1].sum()
    joint = np.array(forward) * np.array(backward[::-1])
    np.testing.assert_allclose(smoothed(likelihood, transition), joint / joint.sum(axis=1, keepdims=True), atol=1e-9)
