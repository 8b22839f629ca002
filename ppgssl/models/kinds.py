"""Which learners a model folder can hold, and as what numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt

from ppgssl.core.config.arms import Arm
from ppgssl.core.errors import ConfigError, StoreError
from ppgssl.features.columns import Columns
from ppgssl.models.classifier import Classifier, Level
from ppgssl.models.linear import LinearModel
from ppgssl.models.posterior import PosteriorModel

KINDS: dict[str, type[LinearModel] | type[PosteriorModel]] = {
    "ridge": LinearModel,
    "elastic-net": LinearModel,
    "horseshoe": PosteriorModel,
}


def check_freezable(arm: Arm) -> None:
    """Refuse an arm that cannot be written as plain numbers.

    Raises
    ------
    ConfigError
        Naming what can.
    """
    if arm.learner not in KINDS or arm.features == "minirocket":
        raise ConfigError(
            f"arm {arm.name!r} cannot be made into a model to take away: a model folder holds plain numbers, no code. "
            f"Arms of the learners {', '.join(KINDS)} can, on clinical inputs and the features ssl-all, ssl-labelled, "
            "untrained and pulse-wave, or an encoder's beside pulse-wave; for example 'covariates+ssl-all'"
        )
    if arm.is_late_fusion and KINDS[arm.learner] is PosteriorModel:
        raise ConfigError(
            f"arm {arm.name!r} cannot be made into a model to take away: a {arm.learner} model is draws from one "
            "posterior, and late fusion weighs the mean risks of two, so that there are no draws of its own risk. "
            f"Without `:late` the arm can, and with `:late` those of ridge and elastic-net; for example "
            f"{arm.name.replace(':late', '')!r}"
        )


def read_classifier(
    learner: str,
    columns: Columns,
    levels: Mapping[str, Sequence[Level]],
    arrays: Mapping[str, npt.NDArray[Any]],
) -> Classifier:
    """The classifier of a learner from its numbers.

    Raises
    ------
    StoreError
        If the learner is unknown, or its numbers are not whole.
    """
    if learner not in KINDS:
        raise StoreError(
            f"the model is of the learner {learner!r}, and this ppgssl reads models of {', '.join(KINDS)}: install the "
            "ppgssl that made it, or fit it anew"
        )
    return KINDS[learner].from_arrays(columns, levels, arrays)
