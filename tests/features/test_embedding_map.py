import json

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness
from sklearn.preprocessing import StandardScaler

from ppgssl.features import embedding_map as module
from ppgssl.features.embedding_map import MIN_PATIENTS_TSNE, embedding_map


def cohort(n=120, n_features=40, seed=1, n_groups=3):
    """Patients in groups far apart, in correlated features of unlike units."""
    rng = np.random.default_rng(seed)
    group = np.arange(n) % n_groups
    values = rng.normal(size=(n_groups, n_features))[group] * 4 + rng.normal(size=(n, n_features))
    index = [f"p{number:03d}" for number in range(n)]
    features = pd.DataFrame(values * rng.uniform(0.01, 100, n_features), index=index)
    y = pd.Series((rng.random(n) < 0.3).astype(float), index=index)
    return features, y, pd.Series("home", index=index), group


def make(features, y, of_cohort, seed=5):
    return embedding_map(features, y, of_cohort, name="ssl-all", label="SSL features", seed=seed)


def points(found):
    return np.column_stack([found.x, found.y])


def nearest(found):
    """The nearest other point of each point."""
    distance = np.linalg.norm(points(found)[:, None] - points(found)[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    return distance.argmin(axis=1)


def test_neighbours_in_the_features_are_neighbours_on_the_map():
    features, y, of_cohort, group = cohort()
    found = make(features, y, of_cohort)
    assert found.method == "t-SNE of the first 30 principal components (perplexity 30)"
    assert (found.features, found.label) == ("ssl-all", "SSL features")
    scaled = StandardScaler().fit_transform(features)
    assert trustworthiness(scaled, points(found), n_neighbors=10) > 0.9
    assert (group[nearest(found)] == group).all()


def test_the_same_seed_makes_the_same_map_and_the_outcome_is_not_in_it():
    features, y, of_cohort, _ = cohort(n=60)
    first, again = make(features, y, of_cohort), make(features, y, of_cohort)
    assert first == again
    other = make(features, 1 - y, of_cohort)
    assert (other.x, other.y) == (first.x, first.y)
    assert other.is_event == [not one for one in first.is_event]


def test_few_patients_are_shown_by_principal_components():
    features, y, of_cohort, _ = cohort(n=MIN_PATIENTS_TSNE - 1)
    found = make(features, y, of_cohort)
    assert found.method == "first two principal components"
    expected = PCA(2, svd_solver="full").fit_transform(StandardScaler().fit_transform(features))
    assert abs(points(found)) == pytest.approx(abs(expected), rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("n", [1, 2, 3, 20])
@pytest.mark.parametrize("n_features", [1, 2, 40])
def test_any_number_of_patients_and_features_gives_a_point_each(n, n_features):
    features, y, of_cohort, _ = cohort(n=n, n_features=n_features)
    found = make(features, y, of_cohort)
    assert len(found.x) == len(found.y) == len(found.is_event) == len(found.cohort) == n
    assert np.isfinite(points(found)).all()


def test_patients_who_are_all_alike_lie_on_one_point():
    features, y, of_cohort, _ = cohort(n=60)
    found = make(features * 0 + 0.1, y, of_cohort)
    assert (points(found) == 0).all()
    assert found.method == "no two patients differ"


def test_missing_values_and_empty_columns_are_filled_or_left_out():
    features, y, of_cohort, group = cohort(n=90)
    holes = features.mask(np.random.default_rng(2).random(features.shape) < 0.1)
    holes[0], holes[1] = np.nan, 3.0
    assert (group[nearest(make(holes, y, of_cohort))] == group).mean() > 0.95


def test_patients_without_an_outcome_and_of_other_cohorts_are_on_the_map():
    features, y, of_cohort, _ = cohort(n=40)
    of_cohort.iloc[30:] = "away"
    y.iloc[30:35] = np.nan
    found = make(features, y.iloc[:35], of_cohort)
    assert found.is_event[30:] == [None] * 10
    assert None not in found.is_event[:30]
    assert found.cohort == ["home"] * 30 + ["away"] * 10
    json.dumps(found.model_dump(), allow_nan=False)


def test_too_many_patients_are_drawn_from_at_random(monkeypatch):
    monkeypatch.setattr(module, "MAX_PATIENTS", 60)
    features, y, of_cohort, _ = cohort(n=1234)
    found = make(features, y, of_cohort)
    assert len(found.x) == 60
    assert found.method.endswith(", of 60 patients drawn at random from 1,234")
    assert make(features, y, of_cohort) == found
    assert 5 < sum(found.is_event) < 35
