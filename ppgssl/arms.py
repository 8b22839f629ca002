"""The rows of the results table: which learner sees which information."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

EncoderName = Literal["untrained", "ssl-labelled", "ssl-all"]


@dataclass(frozen=True)
class Arm:
    """One row of the results table.

    Attributes
    ----------
    name, label : str
        The name written in ``study.yaml``, and the words of the report.
    learner : {"logistic", "network"}
        Penalised logistic regression on patient features, or an encoder with a linear head trained end to end.
    covariates, heart_rate : bool
        Whether the clinical covariates, or heart rate alone, are among the inputs.
    encoder : {"untrained", "ssl-labelled", "ssl-all"} or None
        Where the features, or the network's first weights, come from. ``untrained`` is the random start.
    is_control : bool
        A control tells how much of a result needs no learning from signals at all.
    """

    name: str
    label: str
    learner: Literal["logistic", "network"] = "logistic"
    covariates: bool = False
    heart_rate: bool = False
    encoder: EncoderName | None = None
    is_control: bool = False


REFERENCE_ARM = "covariates"

_ALL = (
    Arm("heart-rate", "Heart rate alone", heart_rate=True, is_control=True),
    Arm("covariates", "Clinical covariates", covariates=True),
    Arm("untrained", "Untrained encoder features", encoder="untrained", is_control=True),
    Arm("ssl-labelled", "SSL features (labelled cohort)", encoder="ssl-labelled"),
    Arm("ssl-all", "SSL features (all recordings)", encoder="ssl-all"),
    Arm(
        "covariates+untrained",
        "Covariates + untrained encoder features",
        covariates=True,
        encoder="untrained",
        is_control=True,
    ),
    Arm(
        "covariates+ssl-labelled",
        "Covariates + SSL features (labelled cohort)",
        covariates=True,
        encoder="ssl-labelled",
    ),
    Arm("covariates+ssl-all", "Covariates + SSL features (all recordings)", covariates=True, encoder="ssl-all"),
    Arm("network-random", "Network, random initialization", learner="network", encoder="untrained"),
    Arm(
        "network-ssl-labelled",
        "Network, SSL initialization (labelled cohort)",
        learner="network",
        encoder="ssl-labelled",
    ),
    Arm("network-ssl-all", "Network, SSL initialization (all recordings)", learner="network", encoder="ssl-all"),
)

ARMS: dict[str, Arm] = {arm.name: arm for arm in _ALL}


def untrained_counterpart(arm: Arm) -> Arm | None:
    """The arm that is alike but for an encoder that was never pretrained: what SSL must beat. None if there is none."""
    if arm.encoder in (None, "untrained"):
        return None
    return next(
        other
        for other in _ALL
        if (other.learner, other.covariates, other.heart_rate, other.encoder)
        == (arm.learner, arm.covariates, arm.heart_rate, "untrained")
    )
