"""Interval of a proportion of few patients."""

from __future__ import annotations

import numpy as np

# The 97.5th percentile of the standard normal distribution.
Z95 = 1.959963984540054


def wilson_interval(count: float, n: float) -> tuple[float, float]:
    """95 % score interval of a proportion [1]_, [2]_.

    Unlike the interval of a bootstrap or of the normal approximation it keeps its width where all or none of the
    patients count, and stays inside 0..1.

    Parameters
    ----------
    count, n : float
        How many of how many, ``0 <= count <= n`` and ``n > 0``. They need not be whole: means over repeats of a
        cross-validation are counts of patients, too.

    References
    ----------
    .. [1] Wilson, Probable inference, the law of succession, and statistical inference, JASA 22, 1927,
           10.1080/01621459.1927.10502953.
    .. [2] Brown, Cai & DasGupta, Interval estimation for a binomial proportion, Statistical Science 16, 2001,
           10.1214/ss/1009213286; equation 4.
    """
    share, z2 = count / n, Z95**2
    middle = (count + z2 / 2) / (n + z2)
    half = Z95 * np.sqrt(n) / (n + z2) * np.sqrt(share * (1 - share) + z2 / (4 * n))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))
