from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, hyperu
from sklearn.metrics import roc_auc_score

from ppgssl.classifiers import horseshoe
from ppgssl.classifiers.horseshoe import INTERCEPT_SD, learn_horseshoe
from ppgssl.classifiers.posterior import Design, Posterior
from ppgssl.classifiers.preparation import Scaling
from ppgssl.core.config.fixed import MOST_FEATURES
from tests.support.patient_tables import inner_of, make_split


@pytest.fixture
def few_draws(monkeypatch):
    monkeypatch.setattr(horseshoe, "N_WARMUP", 100)
    monkeypatch.setattr(horseshoe, "N_DRAWS", 200)


def _quadrature(split, guess):
    """Mean and SD of (intercept, slopes) of two columns, and mean risks of the others, by sums over grids.

    Given the common scale t, a slope b has density exp(u) E1(u) / (t sqrt(2 pi^3)) with u = b^2 / (2 t^2) (Carvalho,
    Polson and Scott, Biometrika 97:465, 2010, appendix), and exp(u) E1(u) is hyperu(1, 1, u).
    """
    line = (np.arange(-50, 50) + 0.5) / 50 * 9  # never at 0, where the density is infinite
    b, spacing = 1e-3 * np.sinh(line), 1e-3 * np.cosh(line)
    t = guess * np.geomspace(1e-4, 1e4, 120)
    of_t = t / (1 + (t / guess) ** 2)
    given = (
        hyperu(1, 1, b**2 / (2 * t[:, None] ** 2)) / t[:, None] * np.exp(-(b**2) / (2 * horseshoe.SLAB_SD**2)) * spacing
    )
    prior = np.einsum("t,ti,tj->ij", of_t, given, given)
    intercept = np.linspace(-6, 5, 56)
    slopes = np.stack(np.meshgrid(b, b, indexing="ij"), axis=-1)
    log_density = -(intercept**2) / (2 * INTERCEPT_SD**2) + np.log(prior)[..., None]
    for x, event in zip(split.X, split.y, strict=True):
        log_density = log_density - np.logaddexp(0, (1 - 2 * event) * (intercept + (slopes @ x)[..., None]))
    weight = np.exp(log_density - log_density.max())
    weight /= weight.sum()
    values = [intercept + 0 * weight, b[:, None, None] + 0 * weight, b[:, None] + 0 * weight]
    means = np.array([(weight * value).sum() for value in values])
    sds = np.sqrt([(weight * value**2).sum() for value in values] - means**2)
    risks = [(weight * expit(intercept + (slopes @ x)[..., None])).sum() for x in split.X_out]
    return means, sds, np.array(risks)


@pytest.mark.parametrize(("slope", "slab"), [(1.2, 2.0), (2.5, 0.7)])
def test_draws_have_the_moments_of_the_posterior_by_quadrature(monkeypatch, slope, slab):
    """The other fit has more patients, so that rows are filled up; a narrow slab counts."""
    monkeypatch.setattr(horseshoe, "N_DRAWS", 4000)
    monkeypatch.setattr(horseshoe, "SLAB_SD", slab)
    rng = np.random.default_rng(0)
    split, other = (make_split(rng, n, 4, n_first=2, n_last=0, slope=slope) for n in (40, 50))
    fits = horseshoe._stack([split.X, other.X], [split.y, other.y])
    draws = horseshoe._posterior(fits, rng)[:, :, 0]
    means, sds, risks = _quadrature(split, fits.guess[0, 0])
    np.testing.assert_allclose(draws.mean(axis=(0, 1)), means, atol=0.02)
    np.testing.assert_allclose(draws.std(axis=(0, 1)), sds, rtol=0.05)
    as_it_is = Design(np.empty((0, 2), dtype=int), Scaling(np.zeros(2), np.ones(2)), np.empty((0, 0)))
    np.testing.assert_allclose(Posterior(as_it_is, draws).risks(split.X_out), risks, atol=0.005)


@pytest.mark.slow
def test_posterior_means_are_those_of_no_u_turn_sampling():
    """By numpyro, of the same model, with products of clinical columns and components of features."""
    pytest.importorskip("numpyro", reason="needs numpyro")
    split = make_split(np.random.default_rng(3), 120, 30, n_first=4, n_last=60)
    design = horseshoe._fit_design(split.X, split.n_last)
    seen = design(split.X)
    slopes, intercept = _no_u_turn(seen, split.y)
    fits = horseshoe._stack([seen], [split.y])
    draws = np.concatenate([horseshoe._posterior(fits, np.random.default_rng(seed))[:, :, 0] for seed in range(5)])
    np.testing.assert_allclose(draws[..., 0].mean(), intercept.mean(), atol=0.03)
    np.testing.assert_allclose(draws[..., 1:].mean(axis=(0, 1)), slopes.mean(axis=0), atol=0.03)
    np.testing.assert_allclose(draws[..., 1:].std(axis=(0, 1)), slopes.std(axis=0), atol=0.04)
    risks = expit(intercept[:, None] + slopes @ design(split.X_out).T).mean(axis=0)
    np.testing.assert_allclose(Posterior(design, draws).risks(split.X_out), risks, atol=0.015)


def _no_u_turn(X, y):
    import jax
    import jax.numpy as jnp
    import numpyro
    from numpyro import distributions as dist
    from numpyro.infer import MCMC, NUTS

    n_columns = X.shape[1]
    guess = horseshoe._global_scale(n_columns, len(y), float(y.mean()))

    def model():
        overall = numpyro.sample("overall", dist.HalfCauchy(1.0)) * guess
        local = numpyro.sample("local", dist.HalfCauchy(jnp.ones(n_columns)))
        unit = numpyro.sample("unit", dist.Normal(jnp.zeros(n_columns), 1.0))
        slopes = numpyro.deterministic("slopes", unit * overall * local)
        numpyro.factor("slab", -(slopes**2).sum() / (2 * horseshoe.SLAB_SD**2))
        intercept = numpyro.sample("intercept", dist.Normal(0.0, INTERCEPT_SD))
        numpyro.sample("y", dist.Bernoulli(logits=intercept + X @ slopes), obs=y)

    sampler = MCMC(NUTS(model, target_accept_prob=0.95), num_warmup=1000, num_samples=6000, progress_bar=False)
    sampler.run(jax.random.PRNGKey(0))
    draws = sampler.get_samples()
    return np.asarray(draws["slopes"], dtype=float), np.asarray(draws["intercept"], dtype=float)


def test_what_matters_is_found_among_noise_and_a_product_with_it():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 4))
    y = (rng.random(600) < expit(1.5 * X[:, 0] + 1.5 * X[:, 1] * X[:, 2])).astype(int)
    base = make_split(rng, 192, 408, n_first=4, n_last=0)
    split = replace(base, X=X[:192], y=y[:192], X_out=X[192:], y_out=y[192:])
    learned = learn_horseshoe([], split, 0)
    assert learned.n_columns == 4 + 6
    best = roc_auc_score(split.y_out, X[192:, 0] + X[192:, 1] * X[192:, 2])
    assert roc_auc_score(split.y_out, learned.model.risks(split.X_out)) > best - 0.04
    assert learned.notes == ()


def test_equal_seeds_give_equal_risks_and_disagreeing_chains_give_a_note(monkeypatch):
    monkeypatch.setattr(horseshoe, "N_WARMUP", 5)
    monkeypatch.setattr(horseshoe, "N_DRAWS", 20)
    monkeypatch.setattr(horseshoe, "MOST_RHAT", 0.9)
    split = make_split(np.random.default_rng(1), 60, 20, n_first=2, n_last=0)
    first, again, other = (learn_horseshoe(inner_of(split), split, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(np.concatenate(first.inner), np.concatenate(again.inner))
    np.testing.assert_array_equal(first.model.draws, again.model.draws)
    assert (first.model.risks(split.X_out) != other.model.risks(split.X_out)).any()
    assert first.notes == ("the chains of the horseshoe model did not agree in every fit",)


def test_rhat_is_one_of_chains_of_one_law_and_large_of_chains_apart():
    draws = np.random.default_rng(0).normal(size=(4, 1000, 3))
    assert horseshoe._rhat(draws) == pytest.approx(1, abs=0.01)
    draws[0, :, 2] += 5
    assert horseshoe._rhat(draws) > 1.5


@pytest.mark.usefixtures("few_draws")
def test_risks_of_inner_folds_are_of_those_held_out_though_folds_differ_in_size():
    split = make_split(np.random.default_rng(5), 83, 10, n_first=3, n_last=40)
    # Of twenty patients there are no more components than nineteen or twenty, and the others have thirty.
    few = make_split(np.random.default_rng(6), 20, 7, n_first=3, n_last=40)
    learned = learn_horseshoe([few, *inner_of(split)], split, 0)
    assert [len(risks) for risks in learned.inner] == [7, *(len(one.X_out) for one in inner_of(split))]
    held_out = np.concatenate(learned.inner[1:])
    assert roc_auc_score(np.concatenate([one.y_out for one in inner_of(split)]), held_out) > 0.75


@pytest.mark.usefixtures("few_draws")
def test_outcomes_that_a_column_separates_and_columns_that_are_constant_give_risks():
    X = np.column_stack([np.linspace(-50, 50, 30), np.zeros(30)])
    base = make_split(np.random.default_rng(0), 30, 30, n_first=2, n_last=0)
    y = (X[:, 0] > 0).astype(int)
    learned = learn_horseshoe([], replace(base, X=X, y=y, X_out=X, y_out=y), 0)
    risks = learned.model.risks(X)
    assert ((risks > 0.5) == y).all()
    assert ((risks > 0) & (risks < 1)).all()


def test_wide_features_become_components():
    split = make_split(np.random.default_rng(1), 60, 20, n_first=2, n_last=50)
    design = horseshoe._fit_design(split.X, split.n_last)
    assert design.n_columns == 2 + 1 + MOST_FEATURES
    components = design(split.X)[:, 3:]
    np.testing.assert_allclose(components.T @ components - np.diag((components**2).sum(axis=0)), 0, atol=1e-8)
    assert (components[:, 0] ** 2).mean() == pytest.approx(1)
    few = horseshoe._fit_design(split.X[:, :12], 10)
    np.testing.assert_array_equal(few(split.X_out[:, :12])[:, 3:], split.X_out[:, 2:12])


def test_products_are_of_clinical_columns_unless_these_are_many():
    X = np.random.default_rng(7).normal(size=(40, horseshoe.MOST_FOR_PRODUCTS + 1))
    assert len(horseshoe._fit_design(X, 0).pairs) == 0
    pairs = horseshoe._fit_design(X, 12).pairs
    assert [tuple(pair) for pair in pairs] == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]


def test_the_model_that_is_kept_has_a_seventh_of_the_draws_and_their_risks():
    split = make_split(np.random.default_rng(8), 80, 30, n_first=3, n_last=35)
    learned = learn_horseshoe(inner_of(split), split, 0)
    assert learned.model.draws.shape == (horseshoe.N_CHAINS, horseshoe.N_DRAWS, 1 + learned.n_columns)
    kept = learned.model.thinned(horseshoe.N_KEPT).drawn_risks(split.X_out)
    assert len(kept) == horseshoe.N_KEPT
    # Their mean is off from that of all draws by chance, within five standard errors of it.
    difference = np.abs(kept.mean(axis=0) - learned.model.risks(split.X_out))
    assert (difference < 5 * kept.std(axis=0) / np.sqrt(horseshoe.N_KEPT)).all()
    assert difference.max() < 0.03


def test_the_global_scale_follows_the_columns_that_are_expected_to_matter():
    # 5 of 100 columns, 400 patients, half of them with the event: 5 / 95 * 2 / 20.
    assert horseshoe._global_scale(100, 400, 0.5) == pytest.approx(5 / 95 / 10)
