"""Groups of arms that belong together in tables, figures and sentences."""

from __future__ import annotations

from ppgssl.arms import ARMS, REFERENCE_ARM, Arm
from ppgssl.results import ArmResult, Results

REFERENCE = "Reference"
FAMILIES = (
    REFERENCE,
    "SSL features alone",
    "Covariates with SSL features",
    "Networks trained end to end",
    "Other arms",
    "Controls",
)


def family(arm: ArmResult) -> str:
    """One of :data:`FAMILIES`."""
    known = ARMS.get(arm.name)
    if arm.name == REFERENCE_ARM:
        return REFERENCE
    if arm.is_control:
        return "Controls"
    if arm.learner == "network":
        return "Networks trained end to end"
    if known is None or not is_ssl(known):
        return "Other arms"
    return "Covariates with SSL features" if known.covariates else "SSL features alone"


def is_ssl(arm: Arm | None) -> bool:
    return arm is not None and arm.encoder is not None and arm.encoder.startswith("ssl")


def ssl_arms(results: Results) -> list[ArmResult]:
    """Arms with features or first weights from self-supervised pretraining."""
    return [arm for arm in results.arms if is_ssl(ARMS.get(arm.name))]


def grouped(arms: list[ArmResult]) -> dict[str, list[ArmResult]]:
    """Arms by family, in the order of :data:`FAMILIES`; empty families are left out."""
    groups = {name: [arm for arm in arms if family(arm) == name] for name in FAMILIES}
    return {name: members for name, members in groups.items() if members}


def reference_arm(results: Results) -> ArmResult | None:
    """The covariates arm, or None in a study without it."""
    return next((arm for arm in results.arms if arm.name == REFERENCE_ARM), None)


def arm_label(results: Results, name: str) -> str:
    return next((arm.label for arm in results.arms if arm.name == name), name)
