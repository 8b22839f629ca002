"""Waves of an ECG lead: intervals, ST level and amplitudes between the marks that neurokit2's delineation sets."""

from __future__ import annotations

import warnings

import numpy as np

from ppgssl.core.records import BoolArray, FloatArray, IntArray
from ppgssl.signals.beat_times import BeatTimes
from ppgssl.signals.rhythm import FAILURES

# As many successive beats are delineated, those among which most can be used: medians change little with more.
_MOST_BEATS = 20
_MIN_BEATS = 5
# Quiet samples before and after these beats, which the methods look into.
_PADDING_S = 1.0
# Two methods agree on a wave whose peaks they set this near.
_NEAR_MS = 30.0
# The level before the QRS complex is the mean over this long; the ST level is one over as long, this long after it.
_LEVEL_MS, _AFTER_J_MS = 20.0, 60.0
# The T wave ends where its steepest tangent within this time after the peak meets the level before the QRS complex.
_T_DESCENT_MS = 200.0

ECG_WAVE_NAMES = (
    "pr_ms",
    "qrs_ms",
    "qt_ms",
    "qtc_bazett_ms",
    "qtc_fridericia_ms",
    "p_to_r_ms",
    "r_to_t_ms",
    "r_amplitude",
    "p_amplitude",
    "t_amplitude",
    "st_level",
    "p_difference_ms",
    "t_difference_ms",
    "p_agreement",
    "t_agreement",
    "beat_likeness",
    "usable_proportion",
)
"""Names of the features of a lead, in their order."""


def ecg_wave_features(samples: FloatArray, beats: BeatTimes, *, fs_hz: float) -> FloatArray:
    """Medians over the beats of one lead, of whole recordings.

    Peaks of P and T waves are those of neurokit2's method `prominence` [1]_, which found more low and inverted T waves
    than its others; onset of the P wave and edges of the QRS complex those of its method `dwt` [2]_. A beat counts if
    its shape is trusted and both its neighbours are whole.

    Parameters
    ----------
    samples : float array, shape (n_samples,)
        Band-passed without delay, NaN where unusable. Up to 0.67 Hz such a filter leaves the ST level where it was
        [3]_.
    beats : BeatTimes
        R peaks of this lead.
    fs_hz : float
        At least ``ECG_WAVE_FS_HZ``.

    Returns
    -------
    float array, shape (len(ECG_WAVE_NAMES),)
        ``pr_ms`` runs from onset to onset; ``qt_ms`` to where the T wave's steepest descent meets the level before the
        QRS complex [4]_; its corrections divide it by the square and the cubic root of the median interval in seconds.
        Amplitudes and the level 60 ms after the end of the QRS complex are relative to the level before it, in the unit
        of the samples. ``p_difference_ms`` and ``t_difference_ms`` are between the peaks of both methods, and
        ``p_agreement`` and ``t_agreement`` the proportions of beats in which they are at most 30 ms; ``beat_likeness``
        and ``usable_proportion`` say how alike the beats are and how many of them count. NaN with fewer than five.

    References
    ----------
    .. [1] Emrich, Gargano, Koka and Muma, Physiology-informed ECG delineation based on peak prominence, 32nd European
       Signal Processing Conference, 2024.
    .. [2] Martinez, Almeida, Olmos, Rocha and Laguna, A wavelet-based ECG delineator: evaluation on standard databases,
       IEEE Trans Biomed Eng 51:570-581, 2004, doi 10.1109/TBME.2003.821031.
    .. [3] Kligfield et al., Recommendations for the standardization and interpretation of the electrocardiogram, part
       I, Circulation 115:1306-1324, 2007, doi 10.1161/CIRCULATIONAHA.106.180200.
    .. [4] Lepeschkin and Surawicz, The measurement of the Q-T interval of the electrocardiogram, Circulation 6:378-388,
       1952, doi 10.1161/01.CIR.6.3.378.
    """
    found = dict.fromkeys(ECG_WAVE_NAMES, np.nan)
    is_whole = np.concatenate([[False], beats.is_interval[1:] & beats.is_interval[:-1], [False]])[: len(beats.sample)]
    is_usable = beats.is_trusted & is_whole
    if is_usable.sum() < _MIN_BEATS:
        return np.array(list(found.values()))
    found["beat_likeness"] = float(np.median(beats.likeness[is_usable]))
    found["usable_proportion"] = float(is_usable.mean())
    chosen = _best_run(is_usable)
    r = np.round(beats.sample[chosen]).astype(np.int64)
    padding = round(_PADDING_S * fs_hz)
    start, end = max(r[0] - padding, 0), min(r[-1] + padding, len(samples))
    lead = np.pad(np.nan_to_num(samples[start:end].astype(np.float64)), padding, mode="edge")
    r += padding - start
    height = float(np.median(np.abs(lead[r])))
    marks = _marks(lead / height, r, fs_hz) if height > 0 else None
    if marks is not None:
        measures = _measures(lead, r, marks, fs_hz)
        kept = is_usable[chosen]
        found |= {name: _median(values[kept]) for name, values in measures.items()}
        for wave in ("p", "t"):
            difference = measures[f"{wave}_difference_ms"][kept]
            found[f"{wave}_agreement"] = float((difference <= _NEAR_MS).mean())
        interval_s = float(np.median(np.diff(beats.sample)[beats.is_interval])) / fs_hz
        found["qtc_bazett_ms"] = found["qt_ms"] / float(np.sqrt(interval_s))
        found["qtc_fridericia_ms"] = found["qt_ms"] / float(np.cbrt(interval_s))
    return np.array(list(found.values()))


def _best_run(is_usable: BoolArray) -> slice:
    """The run of beats with the most usable ones, and a neighbour on either side."""
    n_until = np.concatenate([[0], np.cumsum(is_usable)])
    last = np.minimum(np.arange(len(is_usable)) + _MOST_BEATS, len(is_usable))
    first = int((n_until[last] - n_until[:-1]).argmax())
    return slice(max(first - 1, 0), first + _MOST_BEATS + 1)


def _marks(lead: FloatArray, r: IntArray, fs_hz: float) -> dict[str, dict[str, FloatArray]] | None:
    """Places of the waves by method and neurokit2's name without its start; None where a method cannot find them.

    The R peaks of ``lead`` have the height 1, as in mV: `dwt` weighs heights of waves against seconds.
    """
    import neurokit2 as nk

    found = {}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for method in ("prominence", "dwt"):
            try:
                _, waves = nk.ecg_delineate(lead, rpeaks=r, sampling_rate=fs_hz, method=method)
            except FAILURES:
                return None
            found[method] = {name.removeprefix("ECG_"): np.array(at, dtype=float) for name, at in waves.items()}
            if any(len(at) != len(r) for at in found[method].values()):
                return None
    return found


def _measures(
    lead: FloatArray, r: IntArray, marks: dict[str, dict[str, FloatArray]], fs_hz: float
) -> dict[str, FloatArray]:
    """Of each beat, what is measured between the marks; NaN where a mark is missing."""
    ms = 1000 / fs_hz
    p, t = marks["prominence"]["P_Peaks"], marks["prominence"]["T_Peaks"]
    other = marks["dwt"]
    onset, offset = other["R_Onsets"], other["R_Offsets"]
    level = _mean_level(lead, onset - _LEVEL_MS / ms, onset)
    j = offset + _AFTER_J_MS / ms
    return {
        "pr_ms": (onset - other["P_Onsets"]) * ms,
        "qrs_ms": (offset - onset) * ms,
        "qt_ms": (_t_ends(lead, t, level, fs_hz) - onset) * ms,
        "p_to_r_ms": (r - p) * ms,
        "r_to_t_ms": (t - r) * ms,
        "r_amplitude": _at(lead, r) - level,
        "p_amplitude": _at(lead, p) - level,
        "t_amplitude": _at(lead, t) - level,
        "st_level": _mean_level(lead, j, j + _LEVEL_MS / ms) - level,
        "p_difference_ms": np.abs(p - other["P_Peaks"]) * ms,
        "t_difference_ms": np.abs(t - other["T_Peaks"]) * ms,
    }


def _t_ends(lead: FloatArray, t: FloatArray, level: FloatArray, fs_hz: float) -> FloatArray:
    """Where the steepest tangent that leads from each T peak towards the level before the QRS complex meets it."""
    height = _at(lead, t) - level
    steps = np.arange(round(_T_DESCENT_MS * fs_hz / 1000))
    after = _at(lead, t[:, None] + steps)
    slope = np.diff(after, axis=1) * np.sign(height)[:, None]
    steepest = np.where(np.isfinite(slope), slope, np.inf).argmin(axis=1)
    rows = np.arange(len(t))
    descent = -slope[rows, steepest]
    middle = (after[rows, steepest] + after[rows, steepest + 1]) / 2
    left = (middle - level) * np.sign(height)
    is_known = (descent > 0) & (left >= 0)
    return np.where(is_known, t + steepest + 0.5 + left / np.where(is_known, descent, 1.0), np.nan)


def _at(lead: FloatArray, place: FloatArray | IntArray) -> FloatArray:
    """Samples at places, NaN where there is none."""
    is_inside = np.isfinite(place) & (place >= 0) & (place <= len(lead) - 1)
    at = np.round(np.where(is_inside, place, 0)).astype(np.int64)
    return np.where(is_inside, lead[at], np.nan)


def _mean_level(lead: FloatArray, start: FloatArray, end: FloatArray) -> FloatArray:
    """Mean between two places, the ends included."""
    return np.asarray(np.mean([_at(lead, start + part * (end - start)) for part in np.linspace(0, 1, 5)], axis=0))


def _median(values: FloatArray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) >= _MIN_BEATS else float("nan")
