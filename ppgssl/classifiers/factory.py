"""The model of an arm: of a table of patients, or of their segments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from ppgssl.classifiers.network import NetworkRiskModel
from ppgssl.classifiers.risk_model import RiskModel
from ppgssl.core.config.arms import Arm
from ppgssl.core.config.study import Study
from ppgssl.core.seeds import derive_seed
from ppgssl.features.columns import Columns
from ppgssl.selfsupervised.encoders.base import EncoderNetwork

AnyRiskModel = RiskModel | NetworkRiskModel


def make_risk_model(
    arm: Arm, columns: Columns | None, study: Study, *, fold: str, encoder: EncoderNetwork | None = None
) -> AnyRiskModel:
    """An unfitted model, as an arm of a study asks for it.

    Parameters
    ----------
    columns : what the columns of the arm's table are; None of a network, whose table is one of segments
    study : imputation, settings of networks, and the seed
    fold : name of the fold, or ``all`` of the final model: with the study's seed it decides every draw
    encoder : optional; first weights of a network
    """
    if arm.is_network:
        assert encoder is not None  # every network arm names where its first weights come from
        return NetworkRiskModel(
            encoder, is_pretrained=arm.is_ssl, settings=study.network, seed=derive_seed(study.seed, "network", fold)
        )
    return RiskModel(
        arm.learner,
        columns=columns,
        stacking=arm.is_stacking,
        missing=study.missing,
        seed=derive_seed(study.seed, "inner folds", fold),
    )


def read_risk_model(arrays: Mapping[str, npt.NDArray[Any]], spec: Mapping[str, Any]) -> AnyRiskModel:
    """The model of ``to_arrays`` and ``spec``.

    Raises StoreError if numbers are absent, or are not those of the model that the spec describes.
    """
    kind = NetworkRiskModel if spec.get("learner") == "network" else RiskModel
    return kind.from_arrays(arrays, spec)
