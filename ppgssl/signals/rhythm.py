"""Heart rate variability and breathing of a whole recording: neurokit2's indices, as far as its length supports them.

neurokit2 takes 2 s to import, so it is imported when the first index is computed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline

from ppgssl.core.records import FloatArray, IntArray
from ppgssl.signals.beat_times import BeatTimes
from ppgssl.signals.respiration import MIN_QUALITY, respiration
from ppgssl.signals.variability import MIN_INTERVALS, trusted_intervals

# Spectra and nonlinear indices are those of parts without a longer gap, each of about the five minutes of the standard;
# their cost grows with the square of a part's beats.
_LONGEST_GAP_S = 10.0
_PART_S = 300.0
# Three quarters of what the standard asks for must lie between normal beats: a minute, two, five, and twenty.
_MINUTE_S, _TWO_MINUTES_S, _FIVE_MINUTES_S, _TWENTY_MINUTES_S = 45.0, 90.0, 225.0, 900.0
# Intervals are interpolated to this rate for their spectrum; children breathe faster than the standard's 0.4 Hz.
_FS_HZ = 4.0
_FAST_HZ = (0.4, 1.0)
# Powers below that of a timing error of 0.1 ms are no more than that.
_LEAST_MS2 = 0.01

FAILURES = (ValueError, IndexError, KeyError, TypeError, ZeroDivisionError, np.linalg.LinAlgError)
"""What neurokit2 raises where there is too little to compute from, such as intervals that do not vary."""


class _Index(NamedTuple):
    """Name in neurokit2, and the seconds in normal intervals that it needs; ``is_log`` gives its logarithm."""

    of_neurokit: str
    needed_s: float = 0.0
    is_log: bool = False


_TIME = {
    "mean_nn_ms": _Index("MeanNN"),
    "sdnn_ms": _Index("SDNN"),
    "rmssd_ms": _Index("RMSSD"),
    "cv_nn": _Index("CVNN"),
    "cv_sd": _Index("CVSD"),
    "median_nn_ms": _Index("MedianNN"),
    "mad_nn_ms": _Index("MadNN"),
    "mcv_nn": _Index("MCVNN"),
    "iqr_nn_ms": _Index("IQRNN"),
    "sdnn_over_rmssd": _Index("SDRMSSD"),
    "percentile_20_nn_ms": _Index("Prc20NN"),
    "percentile_80_nn_ms": _Index("Prc80NN"),
    "pnn50_percent": _Index("pNN50"),
    "pnn20_percent": _Index("pNN20"),
    "min_nn_ms": _Index("MinNN"),
    "max_nn_ms": _Index("MaxNN"),
    "sdann_5min_ms": _Index("SDANN5", _TWENTY_MINUTES_S),
    "sdnn_index_5min_ms": _Index("SDNNI5", _TWENTY_MINUTES_S),
    "triangular_index": _Index("HTI", _TWENTY_MINUTES_S),
    "tinn_ms": _Index("TINN", _TWENTY_MINUTES_S),
}
_FREQUENCY = {
    "log_vlf_ms2": _Index("VLF", _FIVE_MINUTES_S, is_log=True),
    "log_lf_ms2": _Index("LF", _TWO_MINUTES_S, is_log=True),
    "log_hf_ms2": _Index("HF", _MINUTE_S, is_log=True),
    "log_vhf_ms2": _Index("VHF", _MINUTE_S, is_log=True),
    "lf_over_hf": _Index("LFHF", _TWO_MINUTES_S),
}
_NONLINEAR = {
    "sd2_ms": _Index("SD2", _MINUTE_S),
    "sd1_over_sd2": _Index("SD1SD2", _MINUTE_S),
    "cardiac_vagal_index": _Index("CVI", _MINUTE_S),
    "modified_cardiac_sympathetic_index": _Index("CSI_Modified", _MINUTE_S),
    "inflection_proportion": _Index("PIP", _MINUTE_S),
    "inverse_run_length": _Index("IALS", _MINUTE_S),
    "short_run_proportion": _Index("PSS", _MINUTE_S),
    "alternation_proportion": _Index("PAS", _MINUTE_S),
    "guzik_index": _Index("GI", _MINUTE_S),
    "porta_index": _Index("PI", _MINUTE_S),
    "deceleration_short_term": _Index("C1d", _MINUTE_S),
    "deceleration_long_term": _Index("C2d", _MINUTE_S),
    "deceleration_total": _Index("Cd", _MINUTE_S),
    "dfa_alpha1": _Index("DFA_alpha1", _MINUTE_S),
    "dfa_alpha2": _Index("DFA_alpha2", _FIVE_MINUTES_S),
    "sample_entropy": _Index("SampEn", _MINUTE_S),
    "fuzzy_entropy": _Index("FuzzyEn", _MINUTE_S),
    "correlation_dimension": _Index("CD", _MINUTE_S),
    "higuchi_dimension": _Index("HFD", _MINUTE_S),
    "katz_dimension": _Index("KFD", _MINUTE_S),
    "lempel_ziv_complexity": _Index("LZC", _MINUTE_S),
    "symbolic_0v": _Index("Symbolic_EqualProb4_0V", _MINUTE_S),
    "symbolic_1v": _Index("Symbolic_EqualProb4_1V", _MINUTE_S),
    "symbolic_2lv": _Index("Symbolic_EqualProb4_2LV", _MINUTE_S),
    "symbolic_2uv": _Index("Symbolic_EqualProb4_2UV", _MINUTE_S),
}

RHYTHM_NAMES = (
    "normal_proportion",
    *_TIME,
    *_FREQUENCY,
    *_NONLINEAR,
    "respiratory_rate_per_min",
    "respiratory_quality",
)
"""Names of the features, in their order."""


def rhythm_features(samples: FloatArray, beats: BeatTimes, *, fs_hz: float, modality: str) -> FloatArray:
    """Variability of the intervals of one channel over its whole recording, and its breathing.

    Only intervals between two normal, trusted beats count, see
    :func:`ppgssl.signals.variability.heart_rate_variability`. Time-domain indices need five of them. Of the others each
    needs three quarters of the duration that [1]_ asks for, in such intervals: a minute for the power from 0.15 Hz up
    and for nonlinear indices, two minutes from 0.04 Hz up, five minutes for the power below and for the long-term
    exponent of DFA, twenty minutes for geometric indices and for those of segments of five minutes. Indices that need a
    day (ULF) or thousands of beats (multiscale and approximate entropy, multifractal DFA), and those that follow from
    others, are left out. Definitions are those of [2]_, but for the fastest band, which reaches to 1 Hz since children
    breathe faster than 24 per minute. Spectra and nonlinear indices are means over parts of about five minutes.

    Parameters
    ----------
    samples : float array, shape (n_samples,)
        Band-passed, polarity-corrected; NaN where unusable.
    beats : BeatTimes
        Of the same channel.
    fs_hz : float
    modality : {"ppg", "ecg"}

    Returns
    -------
    float array, shape (len(RHYTHM_NAMES),)
        ``normal_proportion`` is the proportion of whole intervals that count. Powers are logarithms of ms^2. Of
        respiration see :func:`ppgssl.signals.respiration.respiration`. NaN where the recording does not support an
        index.

    References
    ----------
    .. [1] Task Force of the ESC and NASPE, Heart rate variability: standards of measurement, physiological
       interpretation and clinical use, Circulation 93:1043-1065, 1996, doi 10.1161/01.CIR.93.5.1043.
    .. [2] Makowski et al., NeuroKit2: a Python toolbox for neurophysiological signal processing, Behav Res Methods
       53:1689-1696, 2021, doi 10.3758/s13428-020-01516-y; Pham, Lau, Chen and Makowski, Heart rate variability in
       psychology: a review of HRV indices and an analysis tutorial, Sensors 21:3998, 2021, doi 10.3390/s21123998.
    """
    found = dict.fromkeys(RHYTHM_NAMES, np.nan)
    is_usable = trusted_intervals(beats)
    interval_ms, end_s = np.diff(beats.sample) * (1000 / fs_hz), beats.sample[1:] / fs_hz
    if beats.is_interval.any():
        found["normal_proportion"] = float(is_usable.sum() / beats.is_interval.sum())
    if is_usable.sum() >= MIN_INTERVALS:
        found |= _variability(interval_ms[is_usable], end_s[is_usable])
    rate, quality = respiration(
        samples, beats, np.zeros(1, dtype=np.int64), len(samples), fs_hz=fs_hz, modality=modality
    )
    found["respiratory_quality"] = float(quality[0])
    if quality[0] >= MIN_QUALITY:
        found["respiratory_rate_per_min"] = float(rate[0])
    return np.array(list(found.values()))


def _variability(interval_ms: FloatArray, end_s: FloatArray) -> dict[str, float]:
    import neurokit2 as nk

    found = _supported(_TIME, interval_ms, _values(nk.hrv_time, interval_ms, end_s))
    of_parts: list[dict[str, float]] = []
    for part in _parts(interval_ms, end_s):
        spectrum = _supported(_FREQUENCY, interval_ms[part], _spectrum(interval_ms[part], end_s[part]))
        nonlinear: dict[str, float] = {}
        if interval_ms[part].sum() >= 1000 * _MINUTE_S:
            values = _values(nk.hrv_nonlinear, interval_ms[part], end_s[part])
            nonlinear = _supported(_NONLINEAR, interval_ms[part], values)
        of_parts.append(spectrum | nonlinear)
    for name in (*_FREQUENCY, *_NONLINEAR):
        known = [values[name] for values in of_parts if np.isfinite(values.get(name, np.nan))]
        found[name] = float(np.mean(known)) if known else np.nan
    return found


def _parts(interval_ms: FloatArray, end_s: FloatArray) -> Iterator[IntArray]:
    """Numbers of the intervals of each part."""
    is_gap = np.diff(end_s) - interval_ms[1:] / 1000 > _LONGEST_GAP_S
    for run in np.split(np.arange(len(end_s)), np.flatnonzero(is_gap) + 1):
        yield from np.array_split(run, max(1, round((end_s[run[-1]] - end_s[run[0]]) / _PART_S)))


def _spectrum(interval_ms: FloatArray, end_s: FloatArray) -> dict[str, float]:
    """Powers in ms^2. Splines overshoot in gaps, neurokit2's too: missing beats are put on a straight line first."""
    import neurokit2 as nk

    if end_s[-1] - end_s[0] < _MINUTE_S / 2:
        return {}
    n_steps = np.maximum(np.round(np.diff(end_s) * 1000 / interval_ms[1:]), 1).astype(int)
    steps = [np.linspace(*ends, n, endpoint=False) for ends, n in zip(pairwise(end_s), n_steps, strict=True)]
    beat_s = np.concatenate([*steps, end_s[-1:]])
    grid_s = np.arange(end_s[0], end_s[-1], 1 / _FS_HZ)
    on_grid = CubicSpline(beat_s, np.interp(beat_s, end_s, interval_ms))(grid_s)
    return _values(nk.hrv_frequency, on_grid, grid_s, vhf=_FAST_HZ, normalize=False, interpolation_rate=None)


def _values(
    function: Callable[..., Any], interval_ms: FloatArray, end_s: FloatArray, **options: Any
) -> dict[str, float]:
    """Indices by neurokit2's names, without the start of the names; none where it cannot compute them."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of short recordings and gaps, which the rules here provide for
        try:
            row = function({"RRI": interval_ms, "RRI_Time": end_s}, **options).iloc[0]
        except FAILURES:
            return {}
    return {str(name).removeprefix("HRV_"): float(value) for name, value in row.items()}


def _supported(indices: dict[str, _Index], interval_ms: FloatArray, values: dict[str, float]) -> dict[str, float]:
    """Values that are finite, by our names; NaN for others, and for those that need longer recordings."""
    found = {}
    for name, index in indices.items():
        value = values.get(index.of_neurokit, np.nan)
        if index.is_log:
            value = np.log(max(value, _LEAST_MS2))
        is_known = np.isfinite(value) and interval_ms.sum() >= 1000 * index.needed_s
        found[name] = float(value) if is_known else np.nan
    return found
