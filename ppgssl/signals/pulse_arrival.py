"""Pulse arrival time: from the heart's electrical beat to the pulse at the sensor."""

from __future__ import annotations

import numpy as np

from ppgssl.core.records import FloatArray, IntArray
from ppgssl.signals.beat_times import BeatTimes, median_within

ARRIVAL_S = (0.05, 0.6)
"""Range in which the pulse is looked for after the R peak."""

MIN_PAIRS = 3
# Arrivals of true pairs scatter by some milliseconds; of pairs by chance, over the whole range.
_MAX_SCATTER_MS = 40.0


def pulse_arrival_time(ecg: BeatTimes, ppg: BeatTimes, starts: IntArray, length: int, *, fs_hz: float) -> FloatArray:
    """Median time from R peak to the steepest point of the PPG upstroke, in ms, of each segment.

    Each R peak is paired with the first upstroke 50 to 600 ms after it. Where beats follow each other faster than the
    pulse arrives (a long way at a high rate), that is the upstroke of the beat before. The time holds the heart's
    pre-ejection period [1]_ and whatever delay the device puts between its channels: only changes within one device can
    be compared. The steepest point lies some tens of ms after the foot of the pulse.

    Parameters
    ----------
    ecg, ppg : BeatTimes
        Beats of the two channels of one recording, on the same samples.
    starts, length, fs_hz
        Segments and sampling rate. The R peaks of a segment count.

    Returns
    -------
    float array, shape (n_segments,)
        NaN with fewer than three pairs, or where fewer than half of the pairs lie within 40 ms of their median.

    References
    ----------
    .. [1] Mukkamala et al., Toward ubiquitous blood pressure monitoring via pulse transit time: theory and practice,
       IEEE Trans Biomed Eng 62:1879-1901, 2015, doi 10.1109/TBME.2015.2441951.
    """
    if not len(ecg.sample) or not len(ppg.sample):
        return np.full(len(starts), np.nan)
    following = np.searchsorted(ppg.sample, ecg.sample + ARRIVAL_S[0] * fs_hz)
    delay_s = (ppg.sample[np.minimum(following, len(ppg.sample) - 1)] - ecg.sample) / fs_hz
    delay_ms = np.where((delay_s >= ARRIVAL_S[0]) & (delay_s <= ARRIVAL_S[1]), 1000 * delay_s, np.nan)
    first, last = ecg.within(starts, starts + length)
    median_ms = median_within(delay_ms, first, last, at_least=MIN_PAIRS)
    scatter_ms = _scatter(delay_ms, first, last, median_ms)
    return np.where(scatter_ms <= _MAX_SCATTER_MS, median_ms, np.nan)


def _scatter(values: FloatArray, first: IntArray, last: IntArray, centre: FloatArray) -> FloatArray:
    """Median distance of each interval's values from its centre."""
    counts = np.maximum(last - first, 0)
    of_interval = np.repeat(np.arange(len(first)), counts)
    at = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts - first, counts)
    edges = np.cumsum(counts)
    return median_within(np.abs(values[at] - centre[of_interval]), edges - counts, edges, at_least=1)
