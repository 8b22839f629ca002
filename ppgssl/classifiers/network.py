"""Encoder and head trained end to end on segments, as an average over networks fitted to bootstrap samples."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike

from ppgssl.classifiers.network_training import NetworkMember, fit_member, patient_risks
from ppgssl.classifiers.patient_segments import PatientSegments, bootstrap, collect, split
from ppgssl.core.config.study import Network
from ppgssl.core.records import FloatArray
from ppgssl.selfsupervised.bank import SegmentBank
from ppgssl.selfsupervised.encoders.base import EncoderNetwork


@dataclass(frozen=True)
class NetworkFit:
    """Trained networks whose risks are averaged.

    Attributes
    ----------
    members : tuple of NetworkMember
    prevalence : float
        Share of training patients with the event, to which risks are corrected.
    training_risks : Series, index patient
        Risks of training patients by the networks that were not fitted to them, averaged. Patients to whom every
        network was fitted are absent.
    """

    members: tuple[NetworkMember, ...] = field(repr=False)
    prevalence: float
    training_risks: pd.Series = field(repr=False)


def fit_network(
    bank: SegmentBank,
    patient_of_segment: ArrayLike,
    y_of_patient: pd.Series,
    train_patients: Sequence[str],
    encoder: EncoderNetwork,
    *,
    is_pretrained: bool,
    settings: Network,
    seed: int,
) -> NetworkFit:
    """Train encoder and head on the segments of training patients.

    With ``settings.n_models`` over one, each network is fitted to a bootstrap sample of the training patients, each
    class by itself, and stops by the loss of those who were not drawn, as bagging does [1]_; a single network is fitted
    to a share of them and stops by the rest. A draw picks either class with equal chance, then a patient of the class,
    then segments of the patient: neither the rarer class nor patients with few segments are drowned. A pretrained
    encoder stays as it is for the first epochs, so that the head's first, wild gradients do not undo it. The weights of
    the best epoch are kept. Test patients are never touched.

    Parameters
    ----------
    bank : SegmentBank
        Segments of any patients; only those of ``train_patients`` are used.
    patient_of_segment : array of str, shape (n_segments,)
        Patient of each segment of the bank.
    y_of_patient : Series of 0/1, index patient
    train_patients : sequence of str
    encoder : EncoderNetwork
        Copied, so that the caller's stays as it is.
    is_pretrained : bool
        Whether the encoder is to be kept frozen for ``settings.freeze_epochs``.
    settings : config.Network
    seed : int
        Of the samples of patients, of the head's first weights and of the draws. Runs are equal on one CPU; a GPU may
        differ in the last digits.

    Raises
    ------
    TrainingError
        If a training patient has no segment or no outcome, either class has fewer than two training patients, or the
        loss is not finite.

    References
    ----------
    .. [1] Breiman, Bagging predictors, Machine Learning 24, 1996, 10.1007/BF00058655.
    """
    patients = collect(patient_of_segment, train_patients, y_of_patient)
    prevalence = float(patients.y.mean())
    members, risks = [], []
    for child in np.random.SeedSequence(seed).spawn(settings.n_models):
        rng, torch_seed = np.random.default_rng(child), int(child.generate_state(1)[0])
        is_bagged = settings.n_models > 1
        inner, held_out = bootstrap(patients, rng) if is_bagged else split(patients, settings.validation_fraction, rng)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(torch_seed)
            own = copy.deepcopy(encoder).to(bank.device)
            member = fit_member(
                own, bank, inner, held_out, settings, n_frozen=settings.freeze_epochs if is_pretrained else 0, rng=rng
            )
        members.append(member)
        risks.append(pd.Series(_risks(member, bank, held_out, prevalence), index=list(held_out.ids)))
    outside = pd.concat(risks).groupby(level=0).mean().rename_axis("patient").rename("y_score")
    return NetworkFit(tuple(members), prevalence, outside)


def predict_network(
    fit: NetworkFit, bank: SegmentBank, patient_of_segment: ArrayLike, patients: Sequence[str]
) -> pd.Series:
    """Risk of each patient: the mean over the networks, each corrected to the prevalence of the training patients.

    Returns
    -------
    Series, index ``patients`` in the order given

    Raises
    ------
    TrainingError
        If a patient has no segment in the bank.
    """
    chosen = collect(patient_of_segment, patients)
    risks = np.mean([_risks(member, bank, chosen, fit.prevalence) for member in fit.members], axis=0)
    return pd.Series(risks, index=pd.Index(chosen.ids, name="patient"), name="y_score")


def corrected_risk(score: FloatArray, prevalence: float) -> FloatArray:
    """Risks in a population of that prevalence, of scores learnt from equally many events and non-events.

    The odds are multiplied by the odds of the prevalence [1]_ (prior correction, equation 7, for a sample half of which
    are events). The order of patients stays. Scores of exactly 0 and 1 stay as they are.

    Parameters
    ----------
    score : float array, in 0..1
    prevalence : float, in 0..1

    References
    ----------
    .. [1] King & Zeng, Logistic regression in rare events data, Political Analysis 9, 2001,
       10.1093/oxfordjournals.pan.a004868.
    """
    events = prevalence * score
    return events / (events + (1 - prevalence) * (1 - score))


def _risks(member: NetworkMember, bank: SegmentBank, patients: PatientSegments, prevalence: float) -> FloatArray:
    return corrected_risk(patient_risks(member.model, bank, patients), prevalence)
