"""The light that a finger lets through: a pulse train, modulated by breathing, at two wavelengths."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ppgssl.core.records import FloatArray

_PHASES = np.arange(512) / 512
# SD of the wavering, on the scale of vascular tone.
_TONE_WAVERS = 0.25
# Of the pulse height: how much it wavers, and how much strong and weak beats alternate where they do.
_HEIGHT_WAVERS, _ALTERNATION = 0.05, 0.08


@dataclass(frozen=True)
class Vitals:
    """State of one child during one recording; the fields are columns of :func:`physiology.simulate_patients`.

    Attributes
    ----------
    heart_rate_bpm, resp_rate_per_min, spo2_pct : float
    perfusion_index_pct : float
        Peak-to-trough pulse over baseline, infrared.
    vascular_tone, reflection : float
        Shape of the pulse, see :func:`pulse_shape`; 0 is the average child.
    heart_rate_variability : float
        SD over mean of the instantaneous heart rate.
    resp_modulation : float
        Amplitude of the baseline's movement with breathing, over the pulse height.
    resp_amplitude : float
        Modulation of the pulse height by breathing, over ``resp_modulation``.
    sinus_arrhythmia : float
        Proportion of the variance of the heart rate that goes with breathing, 0..1.
    spo2_variation_pct : float
        SD of the saturation within the recording, over a minute or so.
    height_lag_rad : float, optional
        Lag of the pulse height's modulation by breathing behind that of the heart rate; without, any.
    tone_coupling : float
        Correlation of what wavers in the tone and, a twentieth of it, in the pulse height, -1..1.
    alternans_coupling : float, optional
        Strong and weak beats alternate, where the heart rate is high in the breath by ``1 + alternans_coupling`` and
        where it is low by ``1 - alternans_coupling``, at one overall size; without, they do not.
    """

    heart_rate_bpm: float
    resp_rate_per_min: float
    spo2_pct: float
    perfusion_index_pct: float
    vascular_tone: float
    heart_rate_variability: float
    resp_modulation: float
    reflection: float = 0.0
    resp_amplitude: float = 0.5
    sinus_arrhythmia: float = 0.5
    spo2_variation_pct: float = 0.0
    height_lag_rad: float | None = None
    tone_coupling: float = 0.0
    alternans_coupling: float | None = None

    @classmethod
    def of(cls, row: Mapping[Hashable, Any]) -> Vitals:
        """Of a row of :func:`physiology.simulate_patients`; what it lacks is as by default."""
        return cls(**{item.name: float(row[item.name]) for item in fields(cls) if item.name in row})


@dataclass(frozen=True)
class Light:
    """Transmitted light over its baseline, about 1, and the truth behind it.

    More blood absorbs more light: the systolic upstroke points down. ``beat_times_s`` are pulse onsets, shape
    (n_beats,); ``resp_phase`` is the phase of breathing in radians, rising; ``spo2_pct`` is the saturation. But for the
    beats, all have the shape (n_samples,).
    """

    red: FloatArray
    infrared: FloatArray
    beat_times_s: FloatArray
    resp_phase: FloatArray
    spo2_pct: FloatArray


def ratio_of_ratios(spo2_pct: FloatArray | float) -> FloatArray | float:
    """Red over infrared AC/DC at an oxygen saturation: the inverse of SpO2 = 110 - 25 R.

    The linear curve of textbooks (Webster, Design of Pulse Oximeters, 1997); real devices use curves of their own.
    """
    return (110 - spo2_pct) / 25


def simulate_light(vitals: Vitals, *, duration_s: float, fs_hz: float, rng: np.random.Generator) -> Light:
    """Red and infrared light over one recording.

    A phase runs through the beats at the instantaneous heart rate, and the pulse shape is read at that phase (integral
    pulse frequency modulation). Breathing modulates the heart rate (respiratory sinus arrhythmia), the pulse amplitude
    and the baseline [1]_. Both wavelengths share one modulation of blood volume; in red it is ``ratio_of_ratios`` times
    as deep. (Truly, the venous part that breathing moves has a lower saturation than the arterial part.)

    Parameters
    ----------
    vitals : Vitals
        ``heart_rate_bpm`` is the mean over the recording, exactly.
    duration_s, fs_hz : float
        Length and sampling rate.
    rng : Generator
        The only source of randomness.

    References
    ----------
    .. [1] Charlton et al., Breathing rate estimation from the electrocardiogram and photoplethysmogram: a review,
       IEEE Rev Biomed Eng 11:2, 2018, 10.1109/RBME.2017.2763681.
    """
    n = round(duration_s * fs_hz)
    resp_phase = _resp_phase(vitals, n, fs_hz, rng)
    beat_phase = _beat_phase(vitals, resp_phase, fs_hz, rng)
    lag_amplitude, lag_baseline = rng.uniform(-np.pi, np.pi, 2)
    if vitals.height_lag_rad is not None:
        lag_amplitude = -vitals.height_lag_rad
    depth = vitals.resp_amplitude * vitals.resp_modulation
    wavering = _slow(n, fs_hz, 0.5, rng)
    amplitude = 1 + depth * np.sin(resp_phase + lag_amplitude) + _HEIGHT_WAVERS * wavering
    baseline = vitals.resp_modulation * np.sin(resp_phase + lag_baseline) + 0.2 * _slow(n, fs_hz, 0.1, rng)
    pulse = _pulses(vitals, beat_phase, wavering, fs_hz, rng)
    volume = amplitude * pulse + baseline
    if vitals.alternans_coupling is not None:
        # From the foot, which stays where it is.
        volume += _alternation(vitals.alternans_coupling, beat_phase, resp_phase) * (pulse - pulse.min())
    volume = vitals.perfusion_index_pct / 100 * volume
    spo2_pct = np.full(n, vitals.spo2_pct)
    if vitals.spo2_variation_pct > 0:
        spo2_pct = np.clip(spo2_pct + vitals.spo2_variation_pct * _slow(n, fs_hz, 0.03, rng), 60, 100)
    whole_beats = np.arange(np.ceil(beat_phase[0]), np.floor(beat_phase[-1]) + 1)
    return Light(
        red=1 - ratio_of_ratios(spo2_pct) * volume,
        infrared=1 - volume,
        beat_times_s=np.interp(whole_beats, beat_phase, np.arange(n) / fs_hz),
        resp_phase=resp_phase,
        spo2_pct=spo2_pct,
    )


def pulse_shape(
    vascular_tone: float, reflection: float = 0.0, heart_rate_bpm: float = 110.0, systole: float = 1.0
) -> FloatArray:
    """Blood volume over one beat at 512 phases from its onset: mean 0, peak to trough 1.

    A systolic wave and a reflected (dicrotic) wave, after the two Gaussians of [1]_; each rises faster than it falls.
    Constricted vessels reflect more and earlier and widen the systolic wave, which lifts the dicrotic notch and fills
    it; in dilated ones the reflected wave is late and low, and the notch deep [2]_. Systole lasts a larger
    proportion of a fast beat than of a slow one [3]_.

    Parameters
    ----------
    vascular_tone : float
        High: constricted; about -3..3.
    reflection : float
        Height and earliness of the reflected wave beyond what tone explains; about -3..3.
    heart_rate_bpm : float
        Rate of the beats, 30..240.
    systole : float
        Length of systole, as a multiple of what is typical at that rate, 0.75..1.3.

    References
    ----------
    .. [1] Tang et al., Synthetic photoplethysmogram generation using two Gaussian functions, Sci Rep 10:13883, 2020,
       10.1038/s41598-020-69076-x.
    .. [2] Millasseau et al., Contour analysis of the photoplethysmographic pulse measured at the finger, J Hypertens
       24:1449, 2006, 10.1097/01.hjh.0000239277.05068.87.
    .. [3] Weissler, Harris, Schoenfeld, Systolic time intervals in heart failure in man, Circulation 37:149, 1968,
       10.1161/01.CIR.37.2.149.
    """
    constriction, reflected_more = np.tanh(vascular_tone / 2), np.tanh(reflection / 3)
    scale = np.clip(systole * (heart_rate_bpm / 110) ** 0.35, 0.7, 1.2)
    # Of children of average tone, and how tone and reflection change it: after the mean beats of young adults in
    # `mw_ppg` (docs/simulator.md).
    systolic = _wave(centre=0.17 * scale, rise=0.072 * scale, fall=(0.165 + 0.02 * constriction) * scale)
    reflected = _wave(
        centre=(0.52 - 0.06 * constriction - 0.03 * reflected_more) * scale**0.5,
        rise=(0.165 + 0.03 * constriction) * scale,
        fall=0.26,
    )
    shape = systolic + (0.74 + 0.20 * constriction + 0.20 * reflected_more) * reflected
    shape = np.roll(shape, -int(np.argmin(shape)))
    return np.asarray((shape - shape.mean()) / np.ptp(shape))


def _pulses(
    vitals: Vitals, beat_phase: FloatArray, height: FloatArray, fs_hz: float, rng: np.random.Generator
) -> FloatArray:
    """Pulses of a child whose systole is its own, and whose tone wavers from beat to beat, with the height or not."""
    systole = float(np.clip(rng.lognormal(0, 0.12), 0.75, 1.3))
    typical, tenser = (
        pulse_shape(vitals.vascular_tone + change, vitals.reflection, vitals.heart_rate_bpm, systole)
        for change in (0.0, _TONE_WAVERS)
    )
    own = _slow(len(beat_phase), fs_hz, 0.5, rng)
    wavering = vitals.tone_coupling * height + (1 - vitals.tone_coupling**2) ** 0.5 * own
    return _at_phase(typical, beat_phase) + wavering * _at_phase(tenser - typical, beat_phase)


def _alternation(coupling: float, beat_phase: FloatArray, resp_phase: FloatArray) -> FloatArray:
    """Part of its height by which each beat is stronger or weaker; its mean square does not depend on the coupling."""
    sign = 1 - 2 * (np.floor(beat_phase) % 2)
    return np.asarray(_ALTERNATION * sign * (1 + coupling * np.sin(resp_phase)) / (1 + coupling**2 / 2) ** 0.5)


def _at_phase(shape: FloatArray, beat_phase: FloatArray) -> FloatArray:
    """The shape, read at each phase of a beat."""
    place = (beat_phase % 1) * len(shape)
    before = place.astype(np.int64) % len(shape)
    closed = np.append(shape, shape[0])
    return np.asarray(closed[before] + (place - np.floor(place)) * np.diff(closed)[before])


def _wave(*, centre: float, rise: float, fall: float) -> FloatArray:
    """A Gaussian with two widths, wrapped round the beat."""
    offset = _PHASES[:, None] - centre + np.array([-1, 0, 1])
    return np.exp(-0.5 * (offset / np.where(offset < 0, rise, fall)) ** 2).sum(axis=1)


def _resp_phase(vitals: Vitals, n: int, fs_hz: float, rng: np.random.Generator) -> FloatArray:
    rate_hz = vitals.resp_rate_per_min / 60 * (1 + 0.03 * _slow(n, fs_hz, 0.1, rng))
    return rng.uniform(0, 2 * np.pi) + 2 * np.pi * np.cumsum(rate_hz) / fs_hz


def _beat_phase(vitals: Vitals, resp_phase: FloatArray, fs_hz: float, rng: np.random.Generator) -> FloatArray:
    """Beats since some beat before the start; whole numbers are pulse onsets."""
    with_breathing = np.sqrt(2) * np.sin(resp_phase)
    slowly = _slow(len(resp_phase), fs_hz, 0.15, rng)
    proportion = vitals.sinus_arrhythmia
    variation = np.sqrt(proportion) * with_breathing + np.sqrt(1 - proportion) * slowly
    variation = vitals.heart_rate_variability * (variation - variation.mean())
    return np.asarray(rng.uniform() + np.cumsum(vitals.heart_rate_bpm / 60 * (1 + variation)) / fs_hz)


def _slow(n: int, fs_hz: float, high_hz: float, rng: np.random.Generator) -> FloatArray:
    """Noise of mean 0 and SD 1 with little power above ``high_hz``, shape (n,)."""
    spectrum = np.fft.rfft(rng.standard_normal(n)) * np.exp(-0.5 * (np.fft.rfftfreq(n, 1 / fs_hz) / high_hz) ** 2)
    spectrum[0] = 0
    noise = np.fft.irfft(spectrum, n)
    return noise / noise.std()
