"""Cohorts of simulated children with a known truth, as raw files."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from ppgssl.core.parallel import Progress, silent
from ppgssl.simulate.cohort import simulate_cohort
from ppgssl.simulate.published import LAYOUT as LAYOUT
from ppgssl.simulate.published import N_LABELLED, N_UNLABELLED, simulate_published

_DEMO_SIZE = 120


def simulate(
    out: Path,
    *,
    layout: str,
    hospital: str = "",
    n_labelled: int | None = None,
    n_unlabelled: int | None = None,
    progress: Progress = silent,
    **options: Any,
) -> tuple[int, int]:
    """Write the raw files and descriptions of two cohorts; numbers of labelled and of unlabelled recordings.

    ``layout`` is of a recording's files, see :mod:`ppgssl.simulate.layouts`, or ``mwaniki2023``, the published data
    sets; numbers are 120 each by default, or the published ones. Other options are those of
    :func:`ppgssl.simulate.cohort.simulate_cohort`.
    """
    is_published = layout == LAYOUT
    write = simulate_published if is_published else partial(simulate_cohort, layout=layout, hospital=hospital)
    default = (N_LABELLED, N_UNLABELLED) if is_published else (_DEMO_SIZE, _DEMO_SIZE)
    sizes = default[0] if n_labelled is None else n_labelled, default[1] if n_unlabelled is None else n_unlabelled
    write(out, n_labelled=sizes[0], n_unlabelled=sizes[1], progress=progress, **options)
    return sizes
