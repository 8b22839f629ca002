"""Groups of arms that belong together in tables, figures and sentences."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from ppgssl.core.config.arms import REFERENCE_ARM
from ppgssl.core.results.performance import ArmResult
from ppgssl.core.results.study import Results


class Family(StrEnum):
    """In the order of the published table; controls and other learners follow."""

    EXTERNAL = "Models whose risks were given"
    CLINICAL = "Clinical input alone"
    SSL_ALONE = "SSL features alone"
    VITALS_SSL = "SpO2 and heart rate with SSL features"
    COVARIATES_SSL = "Covariates with SSL features"
    HAND_CRAFTED_SSL = "SSL features in addition to hand-crafted features"
    NETWORKS = "Networks trained end to end"
    CONTROLS = "Controls"
    LEARNERS = "Other learners, stacking"
    OTHERS = "Other arms"


def family(arm: ArmResult) -> Family:
    if arm.learner == "external":
        return Family.EXTERNAL
    if arm.is_control:
        return Family.CONTROLS
    if arm.learner == "network":
        return Family.NETWORKS
    if arm.learner != "ridge" or arm.is_stacking:
        return Family.LEARNERS
    if arm.has_hand_crafted:
        return Family.HAND_CRAFTED_SSL
    if is_ssl(arm):
        known = {None: Family.SSL_ALONE, "vitals": Family.VITALS_SSL, "covariates": Family.COVARIATES_SSL}
        return known.get(arm.clinical, Family.OTHERS)
    return Family.CLINICAL if arm.clinical is not None and arm.features is None else Family.OTHERS


def is_ssl(arm: ArmResult) -> bool:
    return arm.features in ("ssl-labelled", "ssl-all")


def ssl_arms(results: Results) -> list[ArmResult]:
    """Arms with features or first weights from self-supervised pretraining."""
    return [arm for arm in results.arms if is_ssl(arm)]


def grouped(arms: Iterable[ArmResult]) -> dict[Family, list[ArmResult]]:
    """Arms by family, in the order of :class:`Family`; empty families are left out."""
    arms = list(arms)
    groups = {name: [arm for arm in arms if family(arm) == name] for name in Family}
    return {name: members for name, members in groups.items() if members}


def ordered(arms: Iterable[ArmResult]) -> list[ArmResult]:
    """Arms in the order of the results table."""
    return [arm for members in grouped(arms).values() for arm in members]


def reference_arm(results: Results) -> ArmResult | None:
    """The arm that the others are compared with: the covariates, or the model chosen for risks from a file."""
    names = {arm.difference.reference for arm in results.arms if arm.difference} or {REFERENCE_ARM}
    return next((arm for arm in results.arms if arm.name in names), None)


def reference_words(results: Results) -> str:
    """What the others are compared with, as it stands after ``difference from``, with an article."""
    reference = reference_arm(results)
    return "the covariates" if reference is None or reference.name == REFERENCE_ARM else reference.label


def arm_label(results: Results, name: str) -> str:
    return next((arm.label for arm in results.arms if arm.name == name), name)


def panels(results: Results, drawn: Iterable[ArmResult], most: int) -> list[tuple[str, list[ArmResult]]]:
    """Title and arms of each panel: at most ``most`` arms, families together; one panel without arms if there is none
    to show.

    The reference belongs to every panel and has none of its own.
    """
    reference = reference_arm(results)
    found: list[tuple[str, list[ArmResult]]] = []
    for name, members in grouped(arm for arm in drawn if arm is not reference).items():
        chunks = [members[i : i + most] for i in range(0, len(members), most)]
        found += [(name if i == 0 else f"{name} (continued)", chunk) for i, chunk in enumerate(chunks)]
    return found or [(Family.CLINICAL if reference is None else family(reference), [])]
