"""Encoder and head trained end to end on segments, as an average over networks fitted to bootstrap samples."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from numpy.typing import ArrayLike
from pydantic import TypeAdapter, ValidationError
from sklearn.base import BaseEstimator, ClassifierMixin

from ppgssl.classifiers.learner import Arrays
from ppgssl.classifiers.network_training import NetworkMember, PatientNetwork, fit_member, patient_risks
from ppgssl.classifiers.patient_segments import PatientSegments, bootstrap, collect, split
from ppgssl.core.config.pretraining import EncoderShape
from ppgssl.core.config.study import Network
from ppgssl.core.errors import StoreError
from ppgssl.core.records import FloatArray
from ppgssl.selfsupervised.bank import SegmentBank
from ppgssl.selfsupervised.encoders import build_encoder
from ppgssl.selfsupervised.encoders.base import EncoderNetwork


class NetworkRiskModel(ClassifierMixin, BaseEstimator):
    """Encoder and head, trained on the segments of training patients; risks are averaged over several networks.

    With ``settings.n_models`` over one, each network is fitted to a bootstrap sample of the training patients, each
    class by itself, and stops by the loss of those who were not drawn, as bagging does [1]_; a single network is fitted
    to a part of them and stops by the rest. A draw picks either class with equal chance, then a patient of the class,
    then segments of the patient: neither the minority class nor patients with few segments are drowned. A pretrained
    encoder stays as it is for the first epochs, so that the head's first, wild gradients do not undo it. The weights of
    the best epoch are kept.

    Parameters
    ----------
    encoder : the first weights. Copied, so that the caller's stays as it is.
    is_pretrained : whether the encoder is to be kept frozen for ``settings.freeze_epochs``
    seed : of the samples of patients, of the head's first weights and of the draws. Runs are equal on one CPU; a GPU
        may differ in the last digits.

    Attributes
    ----------
    prevalence_ : proportion of training patients with the event, to which risks are corrected
    oof_ : float array, shape (n_patients,)
        Out-of-fold predictions: risks of training patients by the networks that were not fitted to them, averaged; NaN
        for patients to whom every network was fitted. Not kept in a model folder.
    fitted_on_ : ids of the training patients. Not kept in a model folder.
    n_columns_, notes_ : None and empty: a network sees no columns

    .. [1] Breiman, Bagging predictors, Machine Learning 24, 1996, 10.1007/BF00058655.
    """

    n_columns_ = None
    n_draws_ = 0
    notes_: tuple[str, ...] = ()

    def __init__(
        self, encoder: EncoderNetwork, *, is_pretrained: bool = False, settings: Network | None = None, seed: int = 0
    ) -> None:
        self.encoder = encoder
        self.is_pretrained = is_pretrained
        self.settings = settings
        self.seed = seed

    def fit(self, X: Any, y: ArrayLike) -> Self:
        """Train on the segments of the patients of ``X``, a SegmentTable; their outcomes are ``y`` in its order.

        Raises TrainingError if a training patient has no segment or no outcome, either class has fewer than two
        training patients, or the loss is not finite.
        """
        settings, bank = self.settings or Network(), X.bank
        patients = collect(X.patient_of_segment, list(X.index), np.asarray(y, dtype=float))
        self.classes_ = np.array([0, 1])
        self.fitted_on_ = patients.ids
        self.prevalence_ = float(patients.y.mean())
        members, n_risks = [], np.zeros(len(patients.ids))
        total = np.zeros(len(patients.ids))
        for child in np.random.SeedSequence(self.seed).spawn(settings.n_models):
            rng, torch_seed = np.random.default_rng(child), int(child.generate_state(1)[0])
            is_bagged = settings.n_models > 1
            inner, held_out = (
                bootstrap(patients, rng) if is_bagged else split(patients, settings.validation_fraction, rng)
            )
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(torch_seed)
                own = copy.deepcopy(self.encoder).to(bank.device)
                n_frozen = settings.freeze_epochs if self.is_pretrained else 0
                member = fit_member(own, bank, inner, held_out, settings, n_frozen=n_frozen, rng=rng)
            members.append(member)
            rows = X.index.get_indexer(pd.Index(held_out.ids))
            total[rows] += self._risks(member, bank, held_out)
            n_risks[rows] += 1
        self.members_ = tuple(members)
        self.oof_ = np.divide(total, n_risks, out=np.full(len(total), np.nan), where=n_risks > 0)
        return self

    def predict_proba(self, X: Any) -> FloatArray:
        """Probabilities of both classes, shape (n_patients, 2); the event's is the second.

        ``X`` is a SegmentTable. The mean over the networks, each corrected to the prevalence of the training patients;
        NaN for a patient without a segment.
        """
        has_segments = X.index.isin(np.unique(X.patient_of_segment))
        risk = np.full(len(X), np.nan)
        if has_segments.any():
            chosen = collect(X.patient_of_segment, list(X.index[has_segments]))
            risk[has_segments] = np.mean([self._risks(member, X.bank, chosen) for member in self.members_], axis=0)
        return np.column_stack([1 - risk, risk])

    def predict(self, X: Any) -> npt.NDArray[np.int64]:
        """The likelier class of each patient."""
        return (self.predict_proba(X)[:, 1] > 0.5).astype(np.int64)

    def _risks(self, member: NetworkMember, bank: SegmentBank, patients: PatientSegments) -> FloatArray:
        return corrected_risk(patient_risks(member.model, bank, patients), self.prevalence_)

    def thinned(self) -> NetworkRiskModel:
        """The model as it is frozen: itself."""
        return self

    def drawn_risks(self, X: Any) -> None:
        """A network has no draws."""

    def spec(self) -> dict[str, Any]:
        """Everything of the model that is no array, as JSON values."""
        encoder = self.members_[0].model.encoder
        return {
            "learner": "network",
            "n_members": len(self.members_),
            "encoder": {
                "n_channels": encoder.n_channels,
                "fs_hz": encoder.fs_hz,
                "shape": encoder.shape.model_dump(mode="json"),
            },
            "settings": (self.settings or Network()).model_dump(mode="json"),
            "is_pretrained": self.is_pretrained,
            "seed": int(self.seed),
        }

    def to_arrays(self) -> Arrays:
        """Weights of all networks, and the prevalence."""
        found: Arrays = {"prevalence": np.array([self.prevalence_])}
        for number, member in enumerate(self.members_):
            for name, values in member.model.state_dict().items():
                found[f"member.{number}.{name}"] = np.ascontiguousarray(values.detach().cpu().numpy())
        return found

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], spec: Mapping[str, Any]) -> NetworkRiskModel:
        """The model of :meth:`to_arrays` and :meth:`spec`, ready to predict, on the CPU.

        Raises StoreError if weights are absent or do not fit the description.
        """
        try:
            settings = Network.model_validate(spec["settings"])
            shape: Any = TypeAdapter(EncoderShape).validate_python(spec["encoder"]["shape"])
            members = []
            for number in range(spec["n_members"]):
                made_of = spec["encoder"]
                encoder = build_encoder(made_of["n_channels"], shape, fs_hz=made_of["fs_hz"])
                network = PatientNetwork(encoder, settings.pooling)
                start = f"member.{number}."
                own = {name.removeprefix(start): values for name, values in arrays.items() if name.startswith(start)}
                network.load_state_dict({name: torch.from_numpy(np.array(values)) for name, values in own.items()})
                members.append(NetworkMember(network.eval().requires_grad_(False), (), 0, (), ()))
            encoder = members[0].model.encoder
            model = cls(encoder, is_pretrained=spec["is_pretrained"], settings=settings, seed=spec["seed"])
            model.prevalence_ = float(arrays["prevalence"][0])
        except (KeyError, IndexError, TypeError, ValidationError, RuntimeError) as error:
            raise StoreError(f"the numbers of the model are not the networks that it describes: {error}") from None
        model.members_, model.fitted_on_, model.classes_ = tuple(members), (), np.array([0, 1])
        return model


def corrected_risk(score: FloatArray, prevalence: float) -> FloatArray:
    """Risks in a population of that prevalence, of scores learnt from equally many events and non-events.

    The odds are multiplied by the odds of the prevalence [1]_ (prior correction, equation 7, for a sample half of which
    are events). The order of patients stays. Scores of exactly 0 and 1 stay as they are.

    ``score``: float array, in 0..1. ``prevalence``: float, in 0..1.

    .. [1] King & Zeng, Logistic regression in rare events data, Political Analysis 9, 2001,
       10.1093/oxfordjournals.pan.a004868.
    """
    events = prevalence * score
    return events / (events + (1 - prevalence) * (1 - score))
