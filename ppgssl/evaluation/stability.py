"""How much one patient's risk depends on which patients the model happened to be fitted to."""

from __future__ import annotations

import numpy as np

from ppgssl.core.results.robustness import Stability
from ppgssl.evaluation.refits import Refits


def stability(refits: Refits, *, arm: str, label: str) -> Stability:
    """Spread of each patient's risk over refits to bootstrap samples [1]_.

    Parameters
    ----------
    refits : Refits
    arm, label : str

    Returns
    -------
    Stability
        Patients in the order of their risk by the model of all patients, with the 2.5th and 97.5th percentile over
        refits; and the mean over patients and refits of the distance to that risk, the authors' mean absolute
        prediction error.

    References
    ----------
    .. [1] Riley & Collins, Stability of clinical prediction models developed using statistical or machine learning
           methods, Biometrical Journal 65, 2023, 10.1002/bimj.202200302.
    """
    order = np.argsort(refits.risk, kind="stable")
    low, high = np.quantile(refits.refit_risk[:, order], [0.025, 0.975], axis=0)
    return Stability(
        arm=arm,
        label=label,
        n_refits=refits.n_refits,
        risk=refits.risk[order].tolist(),
        ci_low=low.tolist(),
        ci_high=high.tolist(),
        mean_absolute_difference=float(np.abs(refits.refit_risk - refits.risk).mean()),
    )
