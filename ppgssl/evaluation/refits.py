"""A model of all patients, and the same kind of model refitted to bootstrap samples of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ppgssl.core.errors import EvaluationError
from ppgssl.core.records import BoolArray, FloatArray


@dataclass(frozen=True)
class Refits:
    """Risks of the same patients by all these models.

    Attributes
    ----------
    y : bool array, shape (n_patients,)
        Who had the event.
    risk : float array, shape (n_patients,)
        By the model fitted to all of them.
    counts : float array, shape (n_refits, n_patients)
        How often each patient is in the bootstrap sample of each refit.
    refit_risk : float array, shape (n_refits, n_patients)
        Of all patients, whether in the sample or not.

    Raises
    ------
    EvaluationError
        If shapes do not fit, a risk lies outside 0..1, or there is a single outcome or no refit.
    """

    y: BoolArray = field(repr=False)
    risk: FloatArray = field(repr=False)
    counts: FloatArray = field(repr=False)
    refit_risk: FloatArray = field(repr=False)

    def __post_init__(self) -> None:
        n = len(self.y)
        shapes = (self.risk.shape, self.counts.shape, self.refit_risk.shape)
        if shapes != ((n,), (self.n_refits, n), (self.n_refits, n)) or not self.n_refits:
            raise EvaluationError(
                f"risks {shapes[0]}, counts {shapes[1]} and risks of refits {shapes[2]} of {n} patients do not fit "
                "together: they must be (n_patients,) and twice (n_refits, n_patients), with at least one refit"
            )
        if not (_are_risks(self.risk) and _are_risks(self.refit_risk)):
            raise EvaluationError("risks of refits must lie between 0 and 1")
        if self.y.all() or not self.y.any():
            raise EvaluationError(f"all {n} patients have the same outcome: no refit can be judged")

    @property
    def n_refits(self) -> int:
        return len(self.counts)


def _are_risks(values: FloatArray) -> bool:
    return bool(np.all((values >= 0) & (values <= 1)))


def drawable_counts(y: BoolArray, n_refits: int, *, groups: Sequence[str], seed: int) -> FloatArray:
    """Bootstrap samples in which both outcomes have at least two different patients, so that a model can be fitted.

    Groups of patients are drawn, mostly of one patient each, so that those who may be one person stay together.

    Parameters
    ----------
    y : bool array, shape (n_patients,)
    n_refits : int
    groups : sequence of str, shape (n_patients,)
    seed : int

    Returns
    -------
    float array, shape (n_refits, n_patients)
        Whole numbers: how often each patient is in each sample.

    Raises
    ------
    EvaluationError
        If hardly any sample would do.
    """
    rng = np.random.default_rng(seed)
    names, group = np.unique(np.asarray(groups), return_inverse=True)
    found: list[FloatArray] = []
    for _ in range(100 * n_refits):
        counts = np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))[group].astype(float)
        if min((counts[y] > 0).sum(), (counts[~y] > 0).sum()) >= 2:
            found.append(counts)
        if len(found) == n_refits:
            return np.array(found)
    raise EvaluationError(
        f"{int(y.sum())} of {len(y)} patients have the event: nearly every bootstrap sample holds fewer than two of "
        "one outcome. Set `validation.n_optimism: 0`."
    )
