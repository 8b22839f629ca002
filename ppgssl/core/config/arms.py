"""The rows of the results table: which learner sees which information, by a name that gives both.

covariates                          clinical covariates, ridge logistic regression
covariates+ssl-all                  and the features of the encoder pretrained on all recordings
covariates+ssl-all:horseshoe        by another learner
covariates+ssl-all+pulse-wave       the encoder's features and hand-crafted ones, as one set of features
pulse-wave+rhythm+ecg-wave          all hand-crafted features together
covariates+ssl-all:late             one model of the covariates and one of the features, their risks combined
network-ssl-all                     encoder and head trained end to end, from SSL weights
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from ppgssl.core.text import suggest

ClinicalName = Literal["heart-rate", "vitals", "covariates"]
EncoderName = Literal["untrained", "ssl-labelled", "ssl-all"]
HandCraftedName = Literal["pulse-wave", "rhythm", "ecg-wave"]
FeatureName = Literal["untrained", "ssl-labelled", "ssl-all", "minirocket", "pulse-wave", "rhythm", "ecg-wave"]
RegressionName = Literal["ridge", "elastic-net", "horseshoe", "gradient-boosting"]
LearnerName = Literal["ridge", "elastic-net", "horseshoe", "gradient-boosting", "network"]

CLINICAL_LABELS: dict[str, str] = {
    "heart-rate": "Heart rate",
    "vitals": "SpO2 + heart rate",
    "covariates": "Clinical covariates",
}
FEATURE_LABELS: dict[str, str] = {
    "untrained": "untrained encoder features",
    "ssl-labelled": "SSL features (labelled cohort)",
    "ssl-all": "SSL features (all recordings)",
    "minirocket": "MiniRocket features",
    "pulse-wave": "hand-crafted pulse features",
    "rhythm": "heart rate variability features",
    "ecg-wave": "ECG wave features",
}
LEARNER_LABELS: dict[str, str] = {
    "ridge": "ridge logistic regression",
    "elastic-net": "elastic net",
    "horseshoe": "horseshoe logistic regression",
    "gradient-boosting": "gradient boosting",
    "network": "network",
}
_NETWORKS: dict[str, tuple[EncoderName, str]] = {
    "network-random": ("untrained", "Network, random initialization"),
    "network-ssl-labelled": ("ssl-labelled", "Network, SSL initialization (labelled cohort)"),
    "network-ssl-all": ("ssl-all", "Network, SSL initialization (all recordings)"),
}
HAND_CRAFTED: tuple[HandCraftedName, ...] = get_args(HandCraftedName)
_CONTROLS = ("untrained", "minirocket", *HAND_CRAFTED)


@dataclass(frozen=True)
class Arm:
    """One row of the results table.

    Attributes
    ----------
    name, label : str
        The name written in ``study.yaml``, and the words of the report.
    learner : {"ridge", "elastic-net", "horseshoe", "gradient-boosting", "network"}
        A learner of patient features, or an encoder with a linear head trained end to end.
    clinical : {"heart-rate", "vitals", "covariates"} or None
        The clinical input: heart rate alone, SpO2 and heart rate, or the study's covariates.
    features : {"untrained", "ssl-labelled", "ssl-all", "minirocket", "pulse-wave", "rhythm", "ecg-wave"} or None
        The input from signals; of a network, where its first weights come from. ``untrained`` is the random start.
    is_stacking : bool
        Whether clinical input and features have a model each, whose risks are combined, instead of one together.
    added : tuple of str
        Hand-crafted features that are added to ``features``; all are then one set of features.
    """

    name: str
    label: str
    learner: LearnerName = "ridge"
    clinical: ClinicalName | None = None
    features: FeatureName | None = None
    is_stacking: bool = False
    added: tuple[HandCraftedName, ...] = ()

    @property
    def feature_sets(self) -> tuple[FeatureName, ...]:
        """All features of signals that the arm sees, in the order of its columns; empty for clinical input alone."""
        return (self.features, *self.added) if self.features else ()

    @property
    def has_hand_crafted(self) -> bool:
        """Whether hand-crafted features are added to those of an encoder."""
        return bool(self.added) and self.encoder is not None

    @property
    def encoder(self) -> EncoderName | None:
        """The encoder that the arm needs, if any."""
        return self.features if self.features in get_args(EncoderName) else None  # type: ignore[return-value]

    @property
    def is_network(self) -> bool:
        return self.learner == "network"

    @property
    def is_ssl(self) -> bool:
        return self.features in ("ssl-labelled", "ssl-all")

    @property
    def is_control(self) -> bool:
        """A control shows how much of a result needs no learning from signals at all."""
        return self.clinical == "heart-rate" or (self.features in _CONTROLS and not self.is_network)


REFERENCE_ARM = "covariates"

# The published table (Mwaniki et al. 2023, 10.12688/wellcomeopenres.17148.2), and what helps to read it.
DEFAULT_ARMS: tuple[str, ...] = (
    "vitals",
    "covariates",
    "ssl-labelled",
    "ssl-all",
    "vitals+ssl-labelled",
    "vitals+ssl-all",
    "covariates+ssl-labelled",
    "covariates+ssl-all",
    "network-random",
    "network-ssl-labelled",
    "network-ssl-all",
    "untrained",
    "covariates+untrained",
    "pulse-wave",
    "covariates:gradient-boosting",
)


def parse_arm(name: str) -> Arm:
    """The arm that a name describes.

    Raises
    ------
    ValueError
        If the name is none of ``CLINICAL``, ``FEATURES``, ``CLINICAL+FEATURES``, each with ``:LEARNER`` or ``:late``
        after it, or a network; the message lists what there is. FEATURES are of one kind, of an encoder with
        hand-crafted ones, or several hand-crafted ones.
    """
    if name in _NETWORKS:
        weights, label = _NETWORKS[name]
        return Arm(name, label, learner="network", features=weights)
    inputs, *options = name.split(":")
    clinical, features, *added = _inputs(name, inputs.split("+"))
    learner: RegressionName = "ridge"
    is_late = False
    for option in options:
        if option == "late" and not is_late:
            is_late = True
        elif option in get_args(RegressionName) and option == options[0]:
            learner = option  # type: ignore[assignment]
        else:
            raise ValueError(_unknown(name, option, [*get_args(RegressionName), "late"]))
    if learner == "ridge" and "ridge" in options:
        raise ValueError(f"arm {name!r}: ridge is what none means; write {name.replace(':ridge', '')!r}")
    if is_late and not (clinical and features):
        raise ValueError(
            f"arm {name!r}: stacking combines a clinical input and features, such as covariates+ssl-all:late"
        )
    arm = Arm(name, "", learner, clinical, features, is_late, tuple(added))
    return replace(arm, label=_label(arm))


def _inputs(name: str, parts: list[str]) -> list[Any]:
    """Clinical input or None, features or None, and the hand-crafted features added to these."""
    clinical = parts[0] if parts[0] in CLINICAL_LABELS else None
    features = parts[1:] if clinical else parts
    wrong = next((part for part in features if part not in FEATURE_LABELS), None)
    if wrong is not None:
        wrong = name if wrong in CLINICAL_LABELS else wrong
        raise ValueError(_unknown(name, wrong, [*CLINICAL_LABELS, *FEATURE_LABELS, *_NETWORKS]))
    encoder = [part for part in features[:1] if part in get_args(EncoderName)]
    if len(features) > 1 and features != [*encoder, *(part for part in HAND_CRAFTED if part in features)]:
        raise ValueError(
            f"arm {name!r}: of several kinds of features, only those of one encoder and hand-crafted ones go together, "
            f"in this order: one of {', '.join(get_args(EncoderName))}, then any of {', '.join(HAND_CRAFTED)}"
        )
    return [clinical, *features] if features else [clinical, None]


def _unknown(name: str, part: str, known: list[str]) -> str:
    learners, near = ", ".join(get_args(RegressionName)), suggest(part, known)
    return (
        f"arm {name!r}: unknown {part!r}{near}. An arm is CLINICAL ({', '.join(CLINICAL_LABELS)}), FEATURES "
        f"({', '.join(FEATURE_LABELS)}; or several: an encoder's, then {'+'.join(HAND_CRAFTED)}) or "
        f"CLINICAL+FEATURES, then maybe :LEARNER ({learners}) and :late; or a network ({', '.join(_NETWORKS)})"
    )


def _label(arm: Arm) -> str:
    words = [CLINICAL_LABELS[arm.clinical]] if arm.clinical else []
    if arm.clinical == "covariates" and arm.features:
        words = ["Covariates"]
    words += [FEATURE_LABELS[features] for features in arm.feature_sets]
    label = " + ".join(words)
    label = label[0].upper() + label[1:]
    details = [LEARNER_LABELS[arm.learner]] if arm.learner != "ridge" else []
    details += ["stacking"] if arm.is_stacking else []
    return label + (f", {', '.join(details)}" if details else "")


def untrained_counterpart(arm: Arm) -> str | None:
    """Name of the arm that is alike but for an encoder never pretrained: what SSL must beat. None if there is none."""
    if not arm.is_ssl:
        return None
    return "network-random" if arm.is_network else arm.name.replace(str(arm.features), "untrained")


def without_features(arm: Arm) -> str | None:
    """Name of the arm of the clinical input alone, which shows what signals add to it. None if the arm has only one."""
    if arm.clinical is None or arm.features is None:
        return None
    return arm.clinical if arm.learner == "ridge" else f"{arm.clinical}:{arm.learner}"


def without_encoder(arm: Arm) -> str | None:
    """Name of the arm that is alike but for the encoder's features, which shows what they add to hand-crafted ones.

    None for an arm without both.
    """
    return arm.name.replace(f"{arm.features}+", "") if arm.has_hand_crafted else None
