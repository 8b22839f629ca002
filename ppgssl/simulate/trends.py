"""What the oximeter displays while it records: its own quality index, rate, saturation and perfusion, every second."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter1d

from ppgssl.core.records import BoolArray, FloatArray
from ppgssl.simulate.devices import Acquired
from ppgssl.simulate.waveform import Light, Vitals

# Displays show means of the last seconds.
_AVERAGED_S = 8
# The index of an undisturbed recording, and that of one in which a child moves all the time.
_BEST_SQI, _MOVING_SQI = 92.0, 25.0


def device_trends(
    vitals: Vitals, light: Light, acquired: Acquired, *, fs_hz: float, rng: np.random.Generator
) -> dict[str, FloatArray]:
    """Trends of one recording, shape (n_seconds,) each, NaN where the display shows nothing.

    ``Time`` (s), ``SQI`` (0..100: low while the child moves or perfusion is poor, 0 without a finger), ``HeartRate``
    (1/min), ``Saturation`` (%) and ``Perfusion`` (%), as devices do show them: averaged over 8 s, whole numbers but for
    perfusion, off by a little, and missing where most of the last seconds were lost.
    """
    n = int(len(light.red) // fs_hz)
    second = np.arange(n)
    moving, lost = (_proportion(mask, n, fs_hz) for mask in (acquired.is_motion, acquired.is_lost))
    weak = 15 * np.exp(-vitals.perfusion_index_pct / 0.4)
    sqi = _BEST_SQI - weak - (_BEST_SQI - _MOVING_SQI) * moving + rng.normal(0, 3, n)
    rate = np.interp(second + 1, light.beat_times_s[1:], 60 / np.diff(light.beat_times_s))
    saturation = vitals.spo2_pct + _averaged(light.spo2_pct[(second * fs_hz).astype(int)] - vitals.spo2_pct)
    spoilt = _averaged(moving)
    is_shown = _averaged(lost) < 0.5
    shown = {
        "HeartRate": np.round(_averaged(rate) + rng.normal(0, 1, n) + spoilt * rng.normal(0, 12, n)),
        "Saturation": np.round(np.minimum(saturation + rng.normal(0, 0.4, n) - 4 * spoilt, 100)),
        "Perfusion": np.round(np.maximum(vitals.perfusion_index_pct * (1 + rng.normal(0, 0.05, n)), 0.02), 2),
    }
    return {
        "Time": second.astype(float),
        "SQI": np.round(np.clip(np.where(lost > 0.5, 0, sqi), 0, 100)),
        **{name: np.where(is_shown, values, np.nan) for name, values in shown.items()},
    }


def trends_text(trends: dict[str, FloatArray]) -> str:
    """As the published files have them: a line of the device, column names after blanks, a row a second."""
    rows = [
        ", ".join("--" if np.isnan(value) else f"{value:g}" for value in row)
        for row in zip(*trends.values(), strict=True)
    ]
    return "\n".join(["Simulated pulse oximeter", ", ".join(trends), *rows]) + "\n"


def _proportion(mask: BoolArray, n_seconds: int, fs_hz: float) -> FloatArray:
    """Of each second, the proportion in which ``mask`` is true."""
    edges = np.round(np.arange(n_seconds) * fs_hz).astype(int)
    return np.asarray(np.add.reduceat(mask.astype(float), edges)[:n_seconds] / fs_hz).clip(0, 1)


def _averaged(values: FloatArray) -> FloatArray:
    """Mean of the last seconds up to each; what is before the first is as the first."""
    return np.asarray(uniform_filter1d(values, _AVERAGED_S, mode="nearest", origin=_AVERAGED_S // 2 - 1))
