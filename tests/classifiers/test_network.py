import copy
import json

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from ppgssl.classifiers.network import NetworkRiskModel, corrected_risk
from ppgssl.core.config.pretraining import ResNet1dShape
from ppgssl.core.config.study import Network
from ppgssl.core.errors import StoreError, TrainingError
from ppgssl.features.segment_table import SegmentTable
from ppgssl.selfsupervised.bank import SegmentBank
from ppgssl.selfsupervised.encoders import make_encoder

LENGTH = 200


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_study(n_patients=40, n_segments=4, *, seed=0, prevalence=0.3):
    """Sine waves in noise; in patients with the event they are twice as fast. Segments of patients are mixed."""
    rng = np.random.default_rng(seed)
    patients = [f"p{i:03d}" for i in range(n_patients)]
    y = pd.Series((np.arange(n_patients) < prevalence * n_patients).astype(float), index=patients)
    owner = rng.permutation(np.repeat(patients, n_segments))
    cycles = np.where(y[owner] == 1, 6.0, 3.0)[:, None]
    time_axis = np.arange(LENGTH) / LENGTH
    waves = np.sin(2 * np.pi * (cycles * time_axis + rng.random((len(owner), 1))))
    samples = (waves + 0.3 * rng.normal(size=waves.shape)).astype(np.float32).reshape(1, -1)
    ones = np.ones((len(owner), 1), dtype=np.float32)
    bank = SegmentBank(samples, LENGTH * np.arange(len(owner)), LENGTH, 0 * ones, ones)
    return bank, owner, y


def make_small_encoder(seed=0):
    return make_encoder(1, ResNet1dShape(width=8, n_stages=2), fs_hz=40.0, seed=seed)


def fit(bank, owner, y, train, *, is_pretrained=False, seed=1, **settings):
    chosen = Network(**{"n_epochs": 8, "batch_size": 16, "learning_rate": 3e-3, "n_models": 1, **settings})
    model = NetworkRiskModel(make_small_encoder(), is_pretrained=is_pretrained, settings=chosen, seed=seed)
    return model.fit(SegmentTable(bank, owner, pd.Index(train)), y.reindex(train))


def predict(model, bank, owner, patients):
    risks = model.predict_proba(SegmentTable(bank, owner, pd.Index(patients)))
    np.testing.assert_allclose(risks.sum(axis=1), 1)
    return pd.Series(risks[:, 1], index=patients)


@pytest.mark.parametrize("pooling", ["mean", "attention"])
@pytest.mark.parametrize("n_models", [1, 3])
def test_it_learns_to_distinguish_fast_from_slow_waves_in_patients_it_has_not_seen(pooling, n_models):
    bank, owner, y = make_study()
    train, test = list(y.index[::2]), list(y.index[1::2])
    result = fit(bank, owner, y, train, pooling=pooling, n_models=n_models, n_epochs=16)
    scores = predict(result, bank, owner, test)
    assert roc_auc_score(y[test], scores) > 0.95
    assert len(result.members_) == n_models


def test_risks_are_those_of_the_training_patients_population_not_of_the_balanced_draws():
    bank, owner, y = make_study(60, prevalence=0.1)
    unrelated = pd.Series(np.random.default_rng(1).permutation(y.to_numpy()), index=y.index)
    result = fit(bank, owner, unrelated, list(y.index), n_epochs=3)
    assert result.prevalence_ == pytest.approx(0.1)
    assert predict(result, bank, owner, list(y.index)).mean() == pytest.approx(0.1, abs=0.06)


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_the_correction_multiplies_the_odds_by_those_of_the_prevalence(score, prevalence):
    risk = corrected_risk(np.array([score]), prevalence)[0]
    assert risk / (1 - risk) == pytest.approx(score / (1 - score) * prevalence / (1 - prevalence), rel=1e-9)


def test_each_network_of_several_is_fitted_to_a_sample_and_stops_by_those_who_were_not_drawn():
    bank, owner, y = make_study(20)
    result = fit(bank, owner, y, list(y.index), n_models=4, n_epochs=1)
    samples = [set(member.fitted_to) for member in result.members_]
    for member, sample in zip(result.members_, samples, strict=True):
        assert set(member.held_out) == set(y.index) - sample
    assert len({frozenset(sample) for sample in samples}) == 4
    assert all(y[list(member.held_out)].nunique() == 2 for member in result.members_)
    held_out = {name for sample in samples for name in set(y.index) - sample}
    assert set(y.index[~np.isnan(result.oof_)]) == held_out


def test_the_risk_of_a_training_patient_is_of_networks_that_were_not_fitted_to_them():
    bank, owner, y = make_study(20)
    result = fit(bank, owner, y, list(y.index), n_models=3, n_epochs=2)
    place = int(np.flatnonzero(~np.isnan(result.oof_))[0])
    name, members = y.index[place], result.members_
    alone = []
    for member in members:
        result.members_ = (member,)
        alone += [predict(result, bank, owner, [name])[name]] if name in member.held_out else []
    assert result.oof_[place] == pytest.approx(np.mean(alone), abs=1e-9)


def test_two_runs_with_one_seed_are_equal_and_leave_the_global_generator_alone():
    bank, owner, y = make_study(20)
    before = torch.get_rng_state()
    scores = [predict(fit(bank, owner, y, list(y.index), n_epochs=2), bank, owner, y.index) for _ in range(2)]
    assert torch.equal(before, torch.get_rng_state())
    np.testing.assert_array_equal(scores[0], scores[1])


def test_segments_and_outcomes_of_other_patients_change_nothing():
    bank, owner, y = make_study(24)
    train, test = list(y.index[::2]), list(y.index[1::2])
    result = fit(bank, owner, y, train, n_epochs=2)
    other_samples = bank.samples.clone()
    for segment in np.flatnonzero(np.isin(owner, test)):
        other_samples[:, LENGTH * segment : LENGTH * (segment + 1)] = 1e6
    ones = np.ones((len(owner), 1), dtype=np.float32)
    other_bank = SegmentBank(other_samples.numpy(), LENGTH * np.arange(len(owner)), LENGTH, 0 * ones, ones)
    again = fit(other_bank, owner, y.where(y.index.isin(train), 1 - y), train, n_epochs=2)
    assert result.members_[0].history == again.members_[0].history


def test_a_pretrained_encoder_stays_as_it_is_while_frozen_and_moves_afterwards():
    bank, owner, y = make_study(20)
    given = make_small_encoder().state_dict()
    frozen = fit(bank, owner, y, list(y.index), is_pretrained=True, freeze_epochs=3, n_epochs=3)
    for name, value in frozen.members_[0].model.encoder.state_dict().items():
        assert torch.equal(value, given[name]), name
    assert all(row.is_frozen for row in frozen.members_[0].history)
    thawed = fit(bank, owner, y, list(y.index), is_pretrained=True, freeze_epochs=1, n_epochs=4)
    assert [row.is_frozen for row in thawed.members_[0].history] == [True, False, False, False]
    weights = thawed.members_[0].model.encoder.state_dict()
    assert any(not torch.equal(value, given[name]) for name, value in weights.items())


def test_the_callers_encoder_is_not_touched():
    bank, owner, y = make_study(20)
    encoder = make_small_encoder()
    before = copy.deepcopy(encoder.state_dict())
    settings = Network(n_epochs=1, batch_size=16)
    NetworkRiskModel(encoder, settings=settings).fit(SegmentTable(bank, owner, y.index), y)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert all(parameter.requires_grad for parameter in encoder.parameters())


def test_training_stops_when_held_out_patients_no_longer_gain_and_keeps_the_best_epoch():
    bank, owner, y = make_study(30)
    rng = np.random.default_rng(3)
    unrelated = pd.Series(rng.permutation(y.to_numpy()), index=y.index)  # nothing to learn but the training patients
    result = fit(bank, owner, unrelated, list(y.index), n_epochs=60, patience=2)
    member = result.members_[0]
    losses = [row.validation_loss for row in member.history]
    assert len(losses) < 60
    assert member.best_epoch == int(np.argmin(losses)) == len(losses) - 3


def test_a_patients_score_is_the_mean_over_their_segments():
    bank, owner, y = make_study(12)
    result = fit(bank, owner, y, list(y.index), n_epochs=1)
    model = result.members_[0].model
    score = predict(result, bank, owner, ["p003", "p001"])
    with torch.no_grad():
        embeddings = model.embed(bank.gather(torch.as_tensor(np.flatnonzero(owner == "p003"))))
        of_segments = torch.sigmoid(model.head(embeddings.unsqueeze(1))).double().numpy()
    assert score["p003"] == pytest.approx(corrected_risk(of_segments.mean(), result.prevalence_), abs=1e-6)


def test_what_cannot_be_trained_is_refused():
    bank, owner, y = make_study(10, prevalence=0.1)
    for outcomes, patients, message in (
        (y, list(y.index), r"1 training patient\(s\) have outcome 1: the network needs two"),
        (y, ["p000", "q"], "no segment in the bank, for example q"),
        (y.drop("p001"), ["p000", "p001"], "no outcome of 0 or 1, for example p001"),
    ):
        with pytest.raises(TrainingError, match=message):
            fit(bank, owner, outcomes, patients)


@pytest.mark.parametrize("pooling", ["mean", "attention"])
def test_networks_that_went_through_numbers_predict_the_same(pooling):
    bank, owner, y = make_study(12)
    model = fit(bank, owner, y, list(y.index), n_epochs=1, n_models=2, pooling=pooling)
    arrays, spec = model.to_arrays(), json.loads(json.dumps(model.spec()))
    again = NetworkRiskModel.from_arrays(arrays, spec)
    patients = list(y.index[::-1])
    np.testing.assert_array_equal(predict(again, bank, owner, patients), predict(model, bank, owner, patients))
    weight = next(name for name in arrays if name.startswith("member.1."))
    for wrong in ({weight: arrays[weight][..., :0]}, {weight.replace("member.1", "member.0"): np.zeros(3)}):
        with pytest.raises(StoreError, match="are not the networks that it describes"):
            NetworkRiskModel.from_arrays({**arrays, **wrong}, spec)
    with pytest.raises(StoreError, match="are not the networks that it describes"):
        NetworkRiskModel.from_arrays(arrays, {**spec, "n_members": 3})


def test_a_patient_without_a_segment_has_no_risk():
    bank, owner, y = make_study(12)
    model = fit(bank, owner, y, list(y.index), n_epochs=1)
    table = SegmentTable(bank, owner, y.index)
    risks = model.predict_proba(table.loc[["p003", "nobody"]])[:, 1]
    assert risks[0] == pytest.approx(predict(model, bank, owner, ["p003"])["p003"])
    assert np.isnan(risks[1])
    assert np.isnan(model.predict_proba(table.loc[["nobody"]])).all()


def test_a_loss_that_is_not_finite_is_refused():
    bank, owner, y = make_study(12)
    ones = np.full((len(owner), 1), np.nan, dtype=np.float32)
    broken = SegmentBank(bank.samples.numpy(), LENGTH * np.arange(len(owner)), LENGTH, ones, ones)
    with pytest.raises(TrainingError, match=r"loss is nan .* lower `network.learning_rate`"):
        fit(broken, owner, y, list(y.index))
