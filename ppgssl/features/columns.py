"""Which columns of an arm's table are clinical numbers, clinical levels, and signal features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ppgssl.core.records import FloatArray

# Of 0.15, 0.3 and 1, over simulated studies of the published size: docs/choices.md.
MOMENT_WEIGHT = 0.3


@dataclass(frozen=True)
class Columns:
    """What the columns of a table of patients are.

    ``numeric``, ``categorical``: the clinical input; a binary variable counts as categorical. ``features``: numbers
    from signals. Alongside a clinical input they form a block with a penalty of its own. ``moments``: those of the
    features that are moments of an encoder's feature maps.
    """

    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    moments: tuple[str, ...] = ()

    @property
    def feature_weights(self) -> FloatArray:
        """What linear learners multiply each standardised feature by, shape (n_features,).

        Moments are several times as many as the readouts, and each holds little information: under a common penalty
        they would dominate the model, as features would dominate covariates.
        """
        own = set(self.moments)
        return np.array([MOMENT_WEIGHT if name in own else 1.0 for name in self.features])

    @property
    def clinical(self) -> tuple[str, ...]:
        return (*self.numeric, *self.categorical)

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.clinical, *self.features)

    def without(self, names: set[str]) -> Columns:
        """The same but for some names."""
        blocks = (self.numeric, self.categorical, self.features, self.moments)
        return Columns(*(tuple(name for name in block if name not in names) for block in blocks))
